#!/usr/bin/env python3
"""Makes lowering_cases.json: small layers before and after PyTorch's converters.

Usage: python tests/analyzers/graph/passes/make_lowering_cases.py
Needs torch 2.13 and torchao 0.18 (deploy/setup.sh --test). The seed is fixed; another version of PyTorch may give other
numbers, which is what the file is for.

Each case holds what a QAT file holds of one layer (weight, bias, batch norm, ranges of the observers) and what the
converter made of it. Arrays are little-endian bytes in hexadecimal, so that every bit counts.
"""

import copy
import json
import pathlib
import warnings

import torch
from torch import nn
from torch.ao import quantization as tq
from torch.ao.quantization import quantize_fx
from torch.ao.quantization.backend_config import get_native_backend_config, get_qnnpack_backend_config

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


def hexed(tensor, dtype):
    return {"shape": list(tensor.shape), "hex": tensor.detach().to(dtype).contiguous().numpy().tobytes().hex()}


def f32(tensor):
    return hexed(tensor, torch.float32)


def ranges(fake_quant, axis=None):
    """What ObservedRange holds, and the scales the fake-quant trained with."""
    observer = fake_quant.activation_post_process
    on = int(fake_quant.observer_enabled[0]) != 0
    return {
        "min": f32(observer.min_val.reshape(-1)),
        "max": f32(observer.max_val.reshape(-1)),
        "epsilon": f32(observer.eps.reshape(-1)),
        "symmetric": observer.qscheme in (torch.per_tensor_symmetric, torch.per_channel_symmetric),
        "quant_min": observer.quant_min,
        "quant_max": observer.quant_max,
        "is_signed": observer.dtype in (torch.qint8, torch.int8),
        "averaging": float(observer.averaging_constant) if on else 0.0,
        "axis": -1 if axis is None else axis,
    }


def qat_layer(kind, channels_in, channels_out, groups, bias):
    conv = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}
    if kind == "linear":
        return nn.Linear(channels_in, channels_out, bias=bias)
    if kind == "transposed":
        return nn.ConvTranspose2d(channels_in, channels_out, 3, groups=groups, bias=bias)
    return conv[kind](channels_in, channels_out, 2 if kind == "conv3d" else 3, groups=groups, bias=bias)


def norm(kind, channels):
    return {"linear": nn.BatchNorm1d, "conv1d": nn.BatchNorm1d, "conv3d": nn.BatchNorm3d}.get(kind, nn.BatchNorm2d)(channels)


def example(kind, channels_in, batch=4):
    sizes = {"linear": (), "conv1d": (7,), "conv3d": (3, 3, 3)}.get(kind, (5, 5))
    return torch.randn(batch, channels_in, *sizes)


class Net(nn.Module):
    def __init__(self, kind, channels_in, channels_out, groups=1, bias=True, bn=False, relu=False, stubs=True):
        super().__init__()
        self.quant = tq.QuantStub() if stubs else nn.Identity()
        parts = [qat_layer(kind, channels_in, channels_out, groups, bias)]
        if bn:
            parts.append(norm(kind, channels_out))
        if relu:
            parts.append(nn.ReLU())
        self.layer = nn.Sequential(*parts)
        self.dequant = tq.DeQuantStub() if stubs else nn.Identity()

    def forward(self, x):
        return self.dequant(self.layer(self.quant(x)))


def make_extreme(net, bn):
    """Dead channels, tiny variances, gammas of both signs and zero: what rounds badly."""
    with torch.no_grad():
        weight = net.layer[0].weight
        axis = 1 if isinstance(net.layer[0], nn.ConvTranspose2d) else 0
        weight.select(axis, 0).zero_()
        weight.select(axis, weight.shape[axis] - 1).mul_(1e-6)
        if bn:
            net.layer[1].weight.normal_()
            net.layer[1].bias.normal_()


def settle(bn_module):
    with torch.no_grad():
        bn_module.running_mean.normal_()
        bn_module.running_var.uniform_(0.05, 3)


def settle_trained(bn, extreme):
    """What would make training itself divide by zero."""
    if bn is not None and extreme:
        with torch.no_grad():
            bn.running_var[1] = 1e-12
            bn.weight[-2] = 0


def push_to_ties(weight, scales, zero_points, axis, factor):
    """Half of the weights lie within two units in the last place of a rounding boundary."""
    with torch.no_grad():
        shape = [1] * weight.dim()
        if scales.numel() > 1:
            shape[axis] = -1
        k = torch.randint(-90, 90, weight.shape).double() + 0.5
        factor_shape = [1] * weight.dim()
        factor_shape[axis] = -1
        divisor = factor.double().reshape(factor_shape) if factor is not None else 1.0
        ties = (k * scales.double().reshape(shape) / divisor).float()
        ties = (ties.view(torch.int32) + torch.randint(-2, 3, weight.shape).int()).view(torch.float32)
        pick = (torch.rand(weight.shape) < 0.5) & torch.isfinite(ties) & (weight != 0)
        weight.copy_(torch.where(pick, ties, weight))


def bn_of(module):
    bn = getattr(module, "bn", None)
    if bn is None:
        return None
    return {"gamma": f32(bn.weight), "beta": f32(bn.bias), "mean": f32(bn.running_mean), "variance": f32(bn.running_var),
            "epsilon": bn.eps}


def codes_of(qweight):
    if qweight.qscheme() == torch.per_tensor_affine:
        return {"codes": hexed(qweight.int_repr(), torch.int8), "scales": [qweight.q_scale()],
                "zero_points": [qweight.q_zero_point()], "axis": -1}
    return {"codes": hexed(qweight.int_repr(), torch.int8), "scales": qweight.q_per_channel_scales().tolist(),
            "zero_points": qweight.q_per_channel_zero_points().tolist(), "axis": qweight.q_per_channel_axis()}


def affine_weights(per_channel):
    observer = tq.MovingAveragePerChannelMinMaxObserver if per_channel else tq.MovingAverageMinMaxObserver
    return tq.FusedMovingAvgObsFakeQuantize.with_args(
        observer=observer, quant_min=-128, quant_max=127, dtype=torch.qint8,
        qscheme=torch.per_channel_affine if per_channel else torch.per_tensor_affine)


def qconfigs():
    default = tq.get_default_qat_qconfig
    activation = default("qnnpack").activation
    symmetric = tq.qconfig.default_symmetric_qnnpack_qat_qconfig
    return {
        "x86": default("x86"), "fbgemm": default("fbgemm"), "qnnpack": default("qnnpack"), "onednn": default("onednn"),
        "symmetric_qnnpack": symmetric,
        "affine_channel": tq.QConfig(activation=activation, weight=affine_weights(True)),
        "affine_tensor": tq.QConfig(activation=activation, weight=affine_weights(False)),
        "plain": tq.QConfig(activation=tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver, quant_min=0,
                                                                 quant_max=255, reduce_range=True),
                            weight=tq.default_per_channel_weight_fake_quant),
    }


def torch_case(name, style, qconfig, kind, channels_in, channels_out, extreme=False, observe=False, **options):
    net = Net(kind, channels_in, channels_out, **options)
    has_bn, has_relu = options.get("bn", False), options.get("relu", False)
    if extreme:
        make_extreme(net, has_bn)
    if has_bn:
        settle(net.layer[1])
    net.train()
    config = qconfigs()[qconfig]
    if style == "eager":
        net.qconfig = config
        if has_bn or has_relu:
            names = ["layer.0"] + (["layer.1"] if has_bn else []) + ([f"layer.{1 + has_bn}"] if has_relu else [])
            tq.fuse_modules_qat(net, names, inplace=True)
        tq.prepare_qat(net, inplace=True)
    else:
        mapping = tq.QConfigMapping().set_global(config)
        backend = get_qnnpack_backend_config() if qconfig == "symmetric_qnnpack" else get_native_backend_config()
        net = quantize_fx.prepare_qat_fx(net, mapping, (example(kind, channels_in),), backend_config=backend)
    with torch.no_grad():
        for _ in range(3):
            net(example(kind, channels_in) * 2 + 0.3)
    module = dict(net.named_modules())["layer.0"]
    transposed = kind == "transposed"
    settle_trained(getattr(module, "bn", None), extreme)
    if not observe:
        net.apply(tq.disable_observer)
    net.eval()
    if observe:
        with torch.no_grad():
            module.weight.mul_(1.07)  # training goes on behind the last observation
    elif not transposed:
        fq = module.weight_fake_quant
        scales, zero_points = fq.calculate_qparams()
        bn = getattr(module, "bn", None)
        factor = bn.weight * torch.rsqrt(bn.running_var + bn.eps) if bn is not None else None
        if "symmetric" not in qconfig:
            push_to_ties(module.weight, scales, zero_points, 0, factor)
    case = {"name": name, "style": style, "kind": "linear" if kind == "linear" else "convolution",
            "transposed": transposed, "groups": options.get("groups", 1), "relu": has_relu,
            "weight": f32(module.weight), "bias": None if module.bias is None else f32(module.bias), "bn": bn_of(module)}
    if transposed:
        case["weight_range"] = None
    else:
        fq = module.weight_fake_quant
        axis = fq.ch_axis if fq.activation_post_process.qscheme in (torch.per_channel_affine, torch.per_channel_symmetric) else -1
        case["weight_range"] = ranges(fq, axis)
    observers = [m for n, m in net.named_modules() if n.endswith("activation_post_process") or n.startswith("activation_post_process_")]
    observers = [m for m in observers if hasattr(m, "fake_quant_enabled")]
    case["input_range"], case["output_range"] = ranges(observers[0]), ranges(observers[-1])
    if transposed:  # FX and eager keep the order: stub, layer
        case["output_range"] = ranges(observers[-1])
    converted = tq.convert(copy.deepcopy(net)) if style == "eager" else quantize_fx.convert_fx(copy.deepcopy(net), backend_config=backend)
    layer = dict(converted.named_modules())["layer.0"]
    expected = codes_of(layer.weight())
    expected["quant_min"], expected["quant_max"] = -128, 127
    expected["bias"] = None if layer.bias() is None else f32(layer.bias())
    expected["output"] = [float(layer.scale), int(layer.zero_point)]
    if style == "eager":
        expected["input"] = [float(converted.quant.scale), int(converted.quant.zero_point)]
    else:
        expected["input"] = [float(converted.quant_input_scale_0) if hasattr(converted, "quant_input_scale_0") else
                             float(next(b for n, b in converted.named_buffers() if "scale" in n)),
                             int(next(b for n, b in converted.named_buffers() if "zero_point" in n))]
    case["expected"] = expected
    return case


def integer_bias_quantizer(base, derive):
    """Annotates the bias of annotated convolutions and linears: int32 at input scale times weight scale."""
    from torchao.quantization.pt2e.quantizer import DerivedQuantizationSpec

    products = {torch.ops.aten.conv2d.default, torch.ops.aten.linear.default}

    class IntegerBias(type(base)):
        def annotate(self, model):
            model = super().annotate(model)
            for node in model.graph.nodes:
                if node.target not in products or len(node.args) < 3 or node.args[2] is None:
                    continue
                annotation = node.meta.get("quantization_annotation")
                if annotation is None or node.args[0] not in annotation.input_qspec_map:
                    continue
                annotation.input_qspec_map[node.args[2]] = DerivedQuantizationSpec(
                    derived_from=[(node.args[0], node), (node.args[1], node)], derive_qparams_fn=derive,
                    dtype=torch.int32, quant_min=-2**31, quant_max=2**31 - 1, qscheme=torch.per_channel_symmetric, ch_axis=0)
            return model

    base.__class__ = IntegerBias
    return base


def product_scale(observers):
    (input_scale, _), (weight_scale, _) = [o.calculate_qparams() for o in observers]
    scale = input_scale * weight_scale
    return scale, torch.zeros_like(scale, dtype=torch.int64)


def pt2e_case(name, quantizer_name, kind, channels_in, channels_out, extreme=False, integer_bias=False, **options):
    from torchao.quantization.pt2e import disable_observer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e
    if quantizer_name == "x86":
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
        quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    else:
        from torchao.testing.pt2e import _xnnpack_quantizer as xnn
        quantizer = xnn.XNNPACKQuantizer().set_global(
            xnn.get_symmetric_quantization_config(is_per_channel=quantizer_name == "xnnpack_channel", is_qat=True))
    if integer_bias:
        quantizer = integer_bias_quantizer(quantizer, product_scale)
    net = Net(kind, channels_in, channels_out, stubs=False, **options)
    has_bn = options.get("bn", False)
    if extreme:
        make_extreme(net, has_bn)
    if has_bn:
        settle(net.layer[1])
    prepared = prepare_qat_pt2e(torch.export.export(net.train(), (example(kind, channels_in),)).module(), quantizer)
    with torch.no_grad():
        for _ in range(3):
            prepared(example(kind, channels_in) * 2 + 0.3)
    prepared.apply(disable_observer)
    converted = convert_pt2e(copy.deepcopy(prepared))

    state = dict(prepared.state_dict())
    fqs = dict(prepared.named_modules())
    product = {"linear": torch.ops.aten.linear.default, "conv1d": torch.ops.aten.conv1d.default,
               "transposed": torch.ops.aten.conv_transpose2d.input}.get(kind, torch.ops.aten.conv2d.default)
    node = next(n for n in prepared.graph.nodes if n.target == product)
    weight_fq = fqs[node.args[1].target]
    input_fq = fqs[node.args[0].target]
    bn = None
    if has_bn:
        bn = {"gamma": f32(state["layer.1.weight"]), "beta": f32(state["layer.1.bias"]),
              "mean": f32(state["layer.1.running_mean"]), "variance": f32(state["layer.1.running_var"]), "epsilon": 1e-5}
    per_channel = weight_fq.activation_post_process.qscheme in (torch.per_channel_affine, torch.per_channel_symmetric)
    case = {"name": name, "style": "pt2e", "kind": "linear" if kind == "linear" else "convolution",
            "transposed": kind == "transposed", "groups": options.get("groups", 1), "relu": options.get("relu", False),
            "weight": f32(state["layer.0.weight"]), "bias": f32(state["layer.0.bias"]) if "layer.0.bias" in state else None,
            "bn": bn, "weight_range": ranges(weight_fq, int(weight_fq.ch_axis) if per_channel else -1),
            "input_range": ranges(input_fq), "integer_bias": integer_bias}
    nodes = list(converted.graph.nodes)
    product_node = next(n for n in nodes if n.target == product)

    def value(argument):
        if isinstance(argument, torch.fx.Node):
            held = converted
            for part in argument.target.split("."):
                held = getattr(held, part)
            return held
        return argument

    dequantize = product_node.args[1]
    codes = value(dequantize.args[0])
    if per_channel:
        scales, zeros = value(dequantize.args[1]).double().tolist(), value(dequantize.args[2]).tolist()
        axis, low, high = dequantize.args[3:6]
    else:
        scales, zeros, axis = [dequantize.args[1]], [dequantize.args[2]], -1
        low, high = dequantize.args[3:5]
    expected = {"codes": hexed(codes, torch.int8), "scales": scales, "zero_points": zeros, "axis": axis, "quant_min": low,
                "quant_max": high, "bias": None}
    bias = product_node.args[2] if len(product_node.args) > 2 else None
    if bias is not None and bias.op == "call_function":
        expected["integer_bias"] = {"codes": hexed(value(bias.args[0]), torch.int32),
                                    "scales": value(bias.args[1]).double().reshape(-1).tolist() if isinstance(bias.args[1], torch.fx.Node) else [bias.args[1]]}
    elif bias is not None:
        expected["bias"] = f32(value(bias))
    expected["input"] = [product_node.args[0].args[1], product_node.args[0].args[2]]
    case["expected"] = expected
    return case


def cases():
    torch.manual_seed(20240607)
    made = []
    for qconfig in qconfigs():
        for extreme in (False, True):
            tag = qconfig + ("_extreme" if extreme else "")
            made.append(torch_case(f"eager_conv_bn_relu_{tag}", "eager", qconfig, "conv2d", 4, 6, bias=False, bn=True, relu=True, extreme=extreme))
            made.append(torch_case(f"eager_linear_{tag}", "eager", qconfig, "linear", 24, 8, extreme=extreme))
        made.append(torch_case(f"fx_conv_bn_{qconfig}", "fx", qconfig, "conv2d", 4, 6, bias=True, bn=True, extreme=True))
        made.append(torch_case(f"eager_linear_bn_{qconfig}", "eager", qconfig, "linear", 24, 8, bn=True, extreme=True))
        made.append(torch_case(f"eager_observer_on_{qconfig}", "eager", qconfig, "conv2d", 4, 6, bias=False, bn=True, observe=True))
        made.append(torch_case(f"fx_observer_on_{qconfig}", "fx", qconfig, "linear", 24, 8, observe=True))
    for bias in (False, True):
        tag = "bias" if bias else "no_bias"
        made.append(torch_case(f"eager_conv_{tag}", "eager", "x86", "conv2d", 4, 6, bias=bias))
        made.append(torch_case(f"eager_conv_bn_{tag}", "eager", "x86", "conv2d", 4, 6, bias=bias, bn=True, extreme=True))
        made.append(torch_case(f"eager_depthwise_{tag}", "eager", "x86", "conv2d", 8, 8, groups=8, bias=bias, bn=True, extreme=True))
        made.append(torch_case(f"eager_transposed_{tag}", "eager", "qnnpack", "transposed", 4, 6, bias=bias))
        made.append(torch_case(f"fx_linear_bn_{tag}", "fx", "x86", "linear", 24, 8, bias=bias, bn=True, extreme=True))
    made.append(torch_case("eager_conv1d_bn", "eager", "x86", "conv1d", 4, 6, bn=True, extreme=True))
    made.append(torch_case("eager_conv3d_bn", "eager", "x86", "conv3d", 3, 4, bn=True, relu=True, extreme=True))
    made.append(torch_case("eager_conv_relu", "eager", "x86", "conv2d", 4, 6, relu=True))
    made.append(torch_case("eager_grouped", "eager", "x86", "conv2d", 6, 6, groups=3, extreme=True))
    made.append(torch_case("fx_conv_relu", "fx", "qnnpack", "conv2d", 4, 6, relu=True, extreme=True))
    for quantizer in ("x86", "xnnpack_channel", "xnnpack_tensor"):
        made.append(pt2e_case(f"pt2e_conv_bn_relu_{quantizer}", quantizer, "conv2d", 4, 6, bias=False, bn=True, relu=True, extreme=True))
        made.append(pt2e_case(f"pt2e_conv_bn_bias_{quantizer}", quantizer, "conv2d", 4, 6, bias=True, bn=True, extreme=False))
        made.append(pt2e_case(f"pt2e_linear_{quantizer}", quantizer, "linear", 24, 8, extreme=True))
        made.append(pt2e_case(f"pt2e_depthwise_{quantizer}", quantizer, "conv2d", 8, 8, groups=8, bn=True, extreme=True))
    for integer in ((False, True)):
        tag = "_integer_bias" if integer else "_float_bias"
        made.append(pt2e_case(f"pt2e_conv{tag}", "xnnpack_channel", "conv2d", 4, 6, integer_bias=integer, extreme=True))
        made.append(pt2e_case(f"pt2e_conv_bn{tag}", "xnnpack_channel", "conv2d", 4, 6, bn=True, integer_bias=integer))
    return made


if __name__ == "__main__":
    # onednn's and fbgemm's weights are x86's; one case of each is enough.
    made = [case for case in cases() if not any(part in case["name"] for part in ("_onednn", "_fbgemm_extreme", "observer_on_fbgemm"))]
    path = pathlib.Path(__file__).with_name("lowering_cases.json")
    lines = ",\n".join(json.dumps(case) for case in made)
    path.write_text('{"torch": "%s", "cases": [\n%s\n]}\n' % (torch.__version__, lines))
    print(len(made), "cases,", path.stat().st_size, "bytes")
