"""Golden vectors of layers quantized by onnxruntime.quantization: the rule that makes the int32 bias, and the rule that
enlarges a weight scale whose bias would not fit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import onnx_graphs as graphs

if TYPE_CHECKING:
    from make_onnxruntime import Writer

F = np.float32


class OneBatch(CalibrationDataReader):
    def __init__(self, x: np.ndarray) -> None:
        self.batches = iter([{"x": x}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def quantize(
    op: str,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    attributes: dict[str, Any],
    quant_format: QuantFormat,
    activation: QuantType,
    per_channel: bool,
    options: dict[str, Any],
) -> onnx.ModelProto:
    node = helper.make_node(op, ["x", "w", "b"], ["y"], **attributes)
    with tempfile.TemporaryDirectory() as folder:
        source, quantized = str(Path(folder) / "float.onnx"), str(Path(folder) / "quantized.onnx")
        onnx.save(graphs.build([node], {"x": x}, {"y": F}, {"w": w, "b": bias}), source)
        quantize_static(
            source,
            quantized,
            OneBatch(x),
            quant_format=quant_format,
            per_channel=per_channel,
            activation_type=activation,
            weight_type=QuantType.QInt8,
            extra_options=options,
        )
        return onnx.load(quantized)


def execute(model: onnx.ModelProto, x: np.ndarray, op: str) -> graphs.Mac:
    """Runs the quantized model with its 8-bit tensors as further outputs, and reads its constants. x of the result are
    the codes the model made; the output codes are put in `attributes["y"]`."""
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    integer = next((n for n in model.graph.node if n.op_type in ("QLinearConv", "QGemm")), None)
    if integer is not None:
        names = list(integer.input)
        if integer.op_type == "QGemm":
            names = [*names[:6], *names[7:], names[6]]
        source, result = names[0], integer.output[0]
    else:
        layer = next(n for n in model.graph.node if n.op_type == op)
        parts = [producers[name].input for name in layer.input]
        after = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == layer.output[0])
        names = [*parts[0], *parts[1], *after.input[1:], parts[2][0]]
        source, result = parts[0][0], after.output[0]
    sx, zx, w, sw, zw, sy, zy, b = (constants[name] for name in names[1:])
    dtype = helper.np_dtype_to_tensor_dtype(zx.dtype)
    model.graph.output.extend(helper.make_tensor_value_info(name, dtype, None) for name in (source, result))
    run = graphs.run(model, {"x": x})
    if "QLinearConv" not in run.executed and "QGemm" not in run.executed:
        raise RuntimeError(f"not fused: {run.executed}")
    if w.ndim == 2 and not any(a.name == "transB" and a.i for n in model.graph.node for a in n.attribute):
        raise RuntimeError("a Gemm weight must be [O, K]")
    if zw.any():
        raise RuntimeError("weights are symmetric")
    return graphs.Mac(
        x=run.outputs[1],
        w=w,
        b=b,
        sx=F(sx),
        zx=int(zx),
        sw=np.asarray(sw, F),
        zw=0,
        sy=F(sy),
        zy=int(zy),
        attributes={"y": run.outputs[2]},
    )


def float_layer(seed: int, channels: int, power_of_two: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input, weights, and for each channel the bias scale s_x * s_w[c] that the tool will arrive at. With
    `power_of_two`, s_x = 2^-5 and s_w[c] = 2^-9 exactly, so a bias can be exactly half way between two codes."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3.75, 4.2, (1, 6, 13, 14)).astype(F)
    w = rng.uniform(-0.2, 0.2, (channels, 6, 3, 3)).astype(F) * rng.uniform(0.3, 1, (channels, 1, 1, 1)).astype(F)
    if power_of_two:
        x = np.clip(np.rint(x * 32), -118, 135).astype(F) / 32
        x.flat[:2] = -120 / 32, 135 / 32
        w = np.clip(w, -126 / 512, 126 / 512)
        w[:, 0, 0, 0] = 127 / 512
    sx = F((float(x.max()) - float(x.min())) / 255)
    sw = (np.abs(w).max((1, 2, 3)).astype(np.float64) / 127).astype(F)
    return x, w, sx * sw


def tool_cases(writer: Writer) -> None:
    halves = np.array(
        [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 100.5, -12.5, 7.5, -3.5, 1000.5, 31.5, 40000.5, -70000.5, 5.0, 16777217.0]
    )
    huge = np.array(
        [
            1.9e9,
            2.2e9,
            -2.2e9,
            -4e9,
            2147483647.0,
            2147.5,
            -6e9,
            12.5,
            1e6,
            2147483700.0,
            -5e9,
            0.0,
            3.5e9,
            -2147483648.0,
            2.5,
            4.4e9,
        ]
    )
    convolution = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    unadjusted = {"QDQDisableWeightAdjustForInt32Bias": True}
    qdq, qoperator = QuantFormat.QDQ, QuantFormat.QOperator
    unsigned, signed = QuantType.QUInt8, QuantType.QInt8
    for name, quant_format, activation, per_channel, power_of_two, steps, options in (
        ("qdq_bias_ties", qdq, unsigned, True, True, halves, {}),
        ("qdq_bias_near_ties", qdq, unsigned, True, False, halves, {}),
        ("qdq_bias_near_ties_per_tensor", qdq, unsigned, False, False, halves, {}),
        ("qoperator_bias_near_ties", qoperator, signed, True, False, halves, {}),
        ("qoperator_bias_ties_u8", qoperator, unsigned, True, True, halves, {}),
        ("qdq_bias_overflow_adjusted", qdq, unsigned, True, False, huge, {}),
        ("qdq_bias_overflow_adjusted_per_tensor", qdq, signed, False, False, huge / 16, {}),
        ("qoperator_bias_overflow_adjusted", qoperator, signed, True, False, huge, {}),
        ("qoperator_bias_overflow_adjusted_per_tensor", qoperator, unsigned, False, False, huge, {}),
        ("qdq_bias_overflow_clipped", qdq, unsigned, True, False, huge, unadjusted),
    ):
        x, w, bias_scale = float_layer(60, 16, power_of_two)
        w[13] = 0  # a dead channel gets s_w = 1
        scale = bias_scale if per_channel else bias_scale.max()
        bias = (steps * scale).astype(F)
        attributes = graphs.conv_attributes(*convolution.values())
        mac = execute(
            quantize("Conv", x, w, bias, attributes, quant_format, activation, per_channel, options), x, "Conv"
        )
        writer.mac(
            f"tool_{name}",
            "conv2d",
            f"onnxruntime.quantization, {quant_format.name}",
            mac,
            mac.attributes["y"],
            attributes=convolution,
            bias=bias,
        )

    rng = np.random.default_rng(61)
    x, w = rng.uniform(-2, 3, (40, 37)).astype(F), rng.uniform(-0.3, 0.3, (16, 37)).astype(F)
    for name, quant_format in (("qdq_gemm", qdq), ("qoperator_gemm", qoperator)):
        bias = (halves * F((3 + 2) / 255) * F(0.3 / 127)).astype(F)
        mac = execute(quantize("Gemm", x, w, bias, {"transB": 1}, quant_format, unsigned, False, {}), x, "Gemm")
        writer.mac(
            f"tool_{name}",
            "linear",
            f"onnxruntime.quantization, {quant_format.name}",
            mac,
            mac.attributes["y"],
            bias=bias,
        )
