"""Writes cases/: ONNX models of every route that makes quantized ones, with what onnxruntime computes for them.

    python tests/analyzers/frontends/onnx/make_models.py    # torch 2.13, torchao 0.18, onnxruntime 1.32, brevitas 0.13; a minute

Of each net: <name>.onnx, <name>.output.npy (float32, all outputs in a row) and <name>.layers.npy (the output codes of every
convolution and matrix product, channel-major, in execution order), all for input.npy. All optimizations are off.
"""

import copy
import io
import pathlib
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.ao import quantization as tq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import operator_cases  # noqa: E402

warnings.filterwarnings("ignore")
CASES = pathlib.Path(__file__).parent / "cases"
PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "QGemm"}
ABSORBED = {"QuantizeLinear", "Relu", "Div", "BatchNormalization", "Clip"}

# The fake-quant operators lack shape functions (torch 2.13), which torch.export needs.
META = torch.library.Library("aten", "IMPL", "Meta")
for fake_quant in ("fake_quantize_per_tensor_affine_cachemask", "fake_quantize_per_channel_affine_cachemask"):
    META.impl(fake_quant, lambda x, *rest: (torch.empty_like(x), torch.empty_like(x, dtype=torch.bool)))


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant = tq.QuantStub()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = Block(8)
        self.add = torch.ao.nn.quantized.FloatFunctional()
        self.cat = torch.ao.nn.quantized.FloatFunctional()
        self.head = nn.Conv2d(16, 8, 1, stride=2)
        self.pool = nn.MaxPool2d(2)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 4)
        self.dequant = tq.DeQuantStub()

    def forward(self, x):
        x = self.stem(self.quant(x))  # 12 x 12, so that the last pool is over 3 x 3: a mean of 9 codes is never a tie
        y = self.add.add(x, self.block(x))
        y = self.head(self.cat.cat([x, y], 1))
        y = self.gap(self.pool(y))
        return self.dequant(self.fc(torch.flatten(y, 1)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, dropout=0.0, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.fc(self.encoder(x)[:, 0])


class Frozen(nn.Module):
    """A fake-quant with its numbers fixed: what torch.onnx.export takes."""

    def __init__(self, module):
        super().__init__()
        scale, zero_point = module.scale, module.zero_point  # what the fused operator wrote there when it last ran
        self.per_channel = module.qscheme in (torch.per_channel_symmetric, torch.per_channel_affine)
        self.axis, self.low, self.high = module.ch_axis, module.quant_min, module.quant_max
        if self.per_channel:
            self.register_buffer("scale", scale.clone())
            self.register_buffer("zero_point", zero_point.to(torch.int32))
        else:
            self.scale, self.zero_point = float(scale), int(zero_point)

    def forward(self, x):
        if self.per_channel:
            return torch.fake_quantize_per_channel_affine(
                x, self.scale, self.zero_point, self.axis, self.low, self.high
            )
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, self.low, self.high)


def frozen(module):
    module = copy.deepcopy(module).eval().requires_grad_(False)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, tq.FakeQuantizeBase):
                setattr(parent, name, Frozen(child))
    for child in module.modules():  # the hooks call by name what was replaced
        if child._forward_hooks and hasattr(child, "activation_post_process"):
            child._forward_hooks.clear()
            forward = child.forward
            child.forward = lambda *a, forward=forward, child=child: child.activation_post_process(forward(*a))
    return module


def trained(module, steps=5):
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    for _ in range(steps):
        loss = (module(torch.randn(16, 3, 12, 12)) - 1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module


def session(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def output_codes(graph):
    """(name of the codes, product's type) behind every product, in order: its own output, or through QuantizeLinear and Clip."""
    readers, constants = {}, {initializer.name for initializer in graph.initializer}
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "QuantizeLinear", "Identity", "Clip", "Constant", "Transpose") and all(
            n in constants for n in node.input if n
        ):
            constants.update(node.output)
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        weight = 3 if node.op_type.startswith("Q") else 1
        if node.op_type not in PRODUCTS or node.input[weight] not in constants:
            continue
        name, quantized = node.output[0], node.op_type.startswith("Q")
        while not quantized and len(readers.get(name, [])) == 1 and readers[name][0].op_type in ABSORBED:
            reader = readers[name][0]
            name = reader.output[0]
            if reader.op_type == "QuantizeLinear":
                quantized = True
                after = readers.get(name, [])
                if len(after) == 1 and after[0].op_type == "Clip":
                    name = after[0].output[0]
        if quantized:
            found.append((name, node.op_type))
    return found


def sample():
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(7))


def save(name, model, x):
    onnx.checker.check_model(model)
    strip(model)
    CASES.mkdir(exist_ok=True)
    onnx.save(model, CASES / f"{name}.onnx")
    watched = copy.deepcopy(model)
    codes = output_codes(watched.graph)
    own = [output.name for output in watched.graph.output]
    watched.graph.output.extend(helper.make_value_info(n, onnx.TypeProto()) for n, _ in codes if n not in own)
    runtime = session(watched)
    results = dict(zip([o.name for o in runtime.get_outputs()], runtime.run(None, {runtime.get_inputs()[0].name: x})))
    np.save(CASES / f"{name}.output.npy", np.concatenate([results[n].astype(np.float32).reshape(-1) for n in own]))
    rows = []
    for code, op in codes:
        axis = 1 if "Conv" in op else -1
        rows.append(np.moveaxis(results[code].astype(np.int32), axis, 0).reshape(-1))
    rows = np.concatenate(rows)
    np.save(CASES / f"{name}.layers.npy", rows if rows.max() > 255 else rows.astype(np.int16))


def save_torchscript(name, module, x):
    """Compressed, and without debug records, which hold source paths: LibTorch reads that too."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, x), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(CASES / f"{name}.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            if not entry.endswith(".debug_pkl"):
                info = zipfile.ZipInfo(entry)
                info.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(info, source.read(entry))


def strip(model):
    """Without absolute paths of this machine, and without what only debuggers read."""
    keep = {"pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.stack_trace"}
    for node in model.graph.node:
        entries = [
            (e.key, e.value)
            for e in node.metadata_props
            if e.key in keep and (node.op_type in PRODUCTS or "trace" not in e.key)
        ]
        del node.metadata_props[:]
        for key, value in entries:
            value = value.replace(str(pathlib.Path(__file__).parent), "/project").replace(
                str(pathlib.Path(torch.__file__).parents[1]), "/site-packages"
            )
            if key.endswith("stack_trace"):  # the frames' headers are enough
                value = "\n".join(line for line in value.splitlines() if line.strip().startswith("File"))
            node.metadata_props.add(key=key, value=value)
        node.doc_string = ""
    for value in (
        list(model.graph.value_info)
        + list(model.graph.input)
        + list(model.graph.output)
        + list(model.graph.initializer)
    ):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]


def exported(module, x, opset, dynamo, batch=True):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},) if batch else None
            torch.onnx.export(
                module,
                (x,),
                path,
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
        else:
            axes = {"x": {0: "batch"}} if batch else None
            torch.onnx.export(
                module,
                (x,),
                path,
                dynamo=False,
                opset_version=opset,
                input_names=["x"],
                dynamic_axes=axes,
                verbose=False,
            )
        return onnx.load(path)


def qat_cases():
    torch.manual_seed(1)
    module = tq.fuse_modules_qat(Net().train(), [["stem.0", "stem.1", "stem.2"], ["block.conv", "block.relu"]])
    module.qconfig = tq.get_default_qat_qconfig("fbgemm")
    trained(tq.prepare_qat(module, inplace=True))
    module.apply(tq.disable_observer)
    module.eval()
    x = sample()
    module(x)  # the fused operator rewrites its buffers from min and max
    plain = frozen(module)
    assert torch.equal(plain(x), module(x))
    save_torchscript("qat", module, x)
    save_torchscript("converted", tq.convert(copy.deepcopy(module)), x)
    for name, opset, dynamo in (("qat_dynamo_21", 21, True), ("qat_traced_13", 13, False)):
        save(name, exported(plain, x, opset, dynamo), x.numpy())
    save("qat_one_batch", exported(plain, x[:1], 20, True, batch=False), x[:1].numpy())


def pt2e_cases():
    from torchao.quantization.pt2e import allow_exported_model_train_eval, move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    torch.manual_seed(2)
    x = sample()
    program = torch.export.export(Net().train(), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config(is_qat=True))
    module = prepare_qat_pt2e(program, quantizer)
    allow_exported_model_train_eval(module)
    module.train()
    trained(module)
    module.eval()
    move_exported_model_to_eval(module)
    converted = convert_pt2e(module)
    save("pt2e_converted", exported(converted, x, 20, True), x.numpy())


def encoder_cases():
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    torch.manual_seed(8)
    module = trained(Encoder().train()).eval()
    arrays = [torch.randn(4, 3, 12, 12).numpy() for _ in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "quantized.onnx"
        for name, dynamo, kind in (
            ("encoder_dynamo_qdq", True, QuantFormat.QDQ),
            ("encoder_traced_operators", False, QuantFormat.QOperator),
        ):
            onnx.save(exported(module, sample(), 20 if dynamo else 17, dynamo), source)
            quantize_static(
                source,
                target,
                Reader("x", arrays),
                quant_format=kind,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            save(name, onnx.load(target), sample().numpy())


class Reader:
    def __init__(self, name, arrays):
        self.name, self.arrays = name, list(arrays)

    def get_next(self):
        return {self.name: self.arrays.pop()} if self.arrays else None


def onnxruntime_cases():
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    torch.manual_seed(3)
    module = trained(Net().train()).eval()
    x = sample()
    arrays = [torch.randn(2, 3, 12, 12).numpy() for _ in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "quantized.onnx"
        for name, dynamo, kind, activations, weights, per_channel in (
            ("ort_qdq_u8s8_per_channel", False, QuantFormat.QDQ, QuantType.QUInt8, QuantType.QInt8, True),
            ("ort_qdq_s8s8_per_tensor", True, QuantFormat.QDQ, QuantType.QInt8, QuantType.QInt8, False),
            ("ort_qdq_u8u8_per_tensor", False, QuantFormat.QDQ, QuantType.QUInt8, QuantType.QUInt8, False),
            ("ort_qdq_u16s8_per_tensor", False, QuantFormat.QDQ, QuantType.QUInt16, QuantType.QInt8, False),
            ("ort_operators_u8s8_per_channel", False, QuantFormat.QOperator, QuantType.QUInt8, QuantType.QInt8, True),
            ("ort_operators_u8u8_per_tensor", True, QuantFormat.QOperator, QuantType.QUInt8, QuantType.QUInt8, False),
        ):
            onnx.save(exported(module, x, 20 if dynamo else 13, dynamo), source)
            quantize_static(
                source,
                target,
                Reader("x", arrays),
                quant_format=kind,
                activation_type=activations,
                weight_type=weights,
                per_channel=per_channel,
            )
            save(name, onnx.load(target), x.numpy())


def brevitas_cases():
    from brevitas import nn as qnn
    from brevitas.export import export_onnx_qcdq
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat

    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.inp = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, return_quant_tensor=True)
            self.conv = qnn.QuantConv2d(
                3,
                8,
                3,
                padding=1,
                weight_quant=Int8WeightPerChannelFloat,
                bias_quant=Int32Bias,
                return_quant_tensor=True,
            )
            self.act = qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, return_quant_tensor=True)
            self.low = qnn.QuantConv2d(8, 8, 3, groups=8, weight_bit_width=4, bias=False)
            self.out = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=6)

        def forward(self, x):
            return self.out(self.low(self.act(self.conv(self.inp(x)))))

    torch.manual_seed(4)
    module = trained(Quantized().train()).eval()
    x = sample()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        export_onnx_qcdq(module, args=x, export_path=str(path), opset_version=13, dynamo=False)
        save("brevitas_qcdq", onnx.load(path), x.numpy())


if __name__ == "__main__":
    CASES.mkdir(exist_ok=True)
    np.save(CASES / "input.npy", sample().numpy())
    wanted = sys.argv[1:] or ["qat", "pt2e", "onnxruntime", "encoder", "brevitas", "operators"]
    for make in wanted:
        if make == "operators":
            operator_cases.write(CASES, session)
        else:
            globals()[f"{make}_cases"]()
