"""ONNX: QAT models exported with frozen fake-quants, and onnxruntime's static quantization of the float model."""

import copy
import logging

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.ao import quantization as tq

import onnx_by_operators
import training
from torchscript_flows import flat, qat_eager

logging.getLogger("torch.onnx").setLevel(logging.ERROR)


class FrozenFakeQuant(nn.Module):
    """What a fused fake-quant computes with its observer off, in an operator that exports to ONNX."""

    def __init__(self, fake_quant):
        super().__init__()
        # With the observer off the fused operator derives its qparams from the running range.
        scale, zero_point = fake_quant.scale, fake_quant.zero_point
        self.axis = fake_quant.ch_axis if fake_quant.is_per_channel else None
        self.low, self.high = fake_quant.quant_min, fake_quant.quant_max
        if self.axis is None:
            self.qparams = (float(scale), int(zero_point))  # of buffers they would be data-dependent to the exporter
        else:
            self.register_buffer("scale", scale.detach().clone())
            self.register_buffer("zero_point", zero_point.detach().clone().to(torch.int32))

    def forward(self, x):
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(x, *self.qparams, self.low, self.high)
        return torch.fake_quantize_per_channel_affine(x, self.scale, self.zero_point, self.axis, self.low, self.high)


def freeze_fake_quants(model, samples):
    model = copy.deepcopy(model)
    with torch.no_grad():
        model(samples)  # writes the qparams in use into the buffers
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, tq.FakeQuantizeBase):
                setattr(module, name, FrozenFakeQuant(child))
    return model


def export_onnx(model, samples, path):
    torch.onnx.export(model, (samples,), path, dynamo=True, external_data=False, input_names=["input"], verbose=False)
    onnx.checker.check_model(str(path))


def run(path, samples):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: samples.numpy()})


def write_qat(folder, architecture, engine, samples):
    try:
        model = freeze_fake_quants(qat_eager(architecture, engine), samples)
    except Exception as error:
        folder.failed({"qat.onnx": {"kind": "qat"}}, error)
        return

    def save(path):
        with torch.no_grad():
            export_onnx(model, samples, path)
            for i, output in enumerate(run(path, samples)):
                folder.array(f"qat.onnx.onnxruntime{i}", output)
            return flat(model(samples))

    folder.part("qat.onnx", save, kind="qat", export="torch.onnx dynamo", recorded_by="PyTorch")
    record_by_operators(folder, "qat.onnx", samples, len(samples))


def record_by_operators(folder, file, samples, batch):
    """Where every operator is written in onnx_by_operators: its outputs beside those of the runtime."""
    facts = folder.about["parts"].get(file, {"error": ""})
    if "error" in facts:
        return
    try:
        runs = [onnx_by_operators.run(folder.path / file, samples[first:first + batch])
                for first in range(0, len(samples), batch)]
    except KeyError:  # operators on integers (QLinearConv): their arithmetic is the runtime's own
        return
    for i, outputs in enumerate(zip(*runs)):
        folder.array(f"{file}.operators{i}", np.concatenate(outputs))
    facts["by_operators"] = len(runs[0])
    folder.save_about()


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, name, batches):
        self.batches = iter([{name: batch.numpy()} for batch in batches])

    def get_next(self):
        return next(self.batches, None)


def write_static(folder, architecture, style, samples):
    """onnxruntime.quantization.quantize_static: post-training, so there is a converted side only."""

    batch = 1 if architecture.branches else len(samples)  # one sample decides its own branch

    def save(path):
        model = training.seeded_model(architecture, stubs=False).eval()
        plain, prepared = path.with_suffix(".float.onnx"), path.with_suffix(".prepared.onnx")
        with torch.no_grad():
            export_onnx(model, samples[:batch], plain)
        quant_pre_process(str(plain), str(prepared))
        batches = [training.seeded_samples(architecture.input_shape, batch, training.SEED + 10 + step)
                   for step in range(training.STEPS)]
        signed = style == "qdq"
        quantization.quantize_static(
            str(prepared), str(path), Calibration("input", batches),
            quant_format=quantization.QuantFormat.QDQ if signed else quantization.QuantFormat.QOperator,
            activation_type=quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8, per_channel=True,
        )
        plain.unlink()
        prepared.unlink()
        runs = [run(path, samples[first:first + batch]) for first in range(0, len(samples), batch)]
        return [np.concatenate(outputs) for outputs in zip(*runs)]

    folder.part("converted.onnx", save, kind="converted", export=f"quantize_static {style}", recorded_by="onnxruntime")
    record_by_operators(folder, "converted.onnx", samples, batch)
    for left in folder.path.glob("converted.*.onnx"):
        left.unlink()
