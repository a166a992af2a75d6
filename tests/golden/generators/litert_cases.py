"""The cases of make_litert.py: one operator each, with numbers that tell kernels and competing rules apart."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from tflite_model import ACTIVATION, PADDING, Tensor, build, options

INT8 = ("tflite-reference", "tflite-ruy", "tflite-xnnpack")
INT16 = ("tflite-int16x8",)
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclass
class Case:
    name: str
    targets: tuple[str, ...]
    model: bytes
    inputs: list[np.ndarray]
    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def f32(value: float) -> float:
    return float(np.float32(value))


def seeded(name: str) -> np.random.Generator:
    """A case's own generator, so that a new case changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def codes(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], limit: int | None = None) -> np.ndarray:
    """Codes over the whole of the type, its ends among them, or within -limit..limit."""
    low, high = LIMITS[dtype] if limit is None else (-limit, limit)
    values = rng.integers(low, high + 1, shape).astype(dtype)
    values.flat[0], values.flat[-1] = low, high
    return values


def qparams(dtype: str, scale: float, zero_point: int) -> dict[str, Any]:
    return {"dtype": dtype, "scale": f32(scale), "zero_point": zero_point}


def _extent(size: int, kernel: int, stride: int, dilation: int, same: bool) -> tuple[int, int, int]:
    """Output extent, padding at the beginning and at the end, as TFLite counts them."""
    window = (kernel - 1) * dilation + 1
    out = -(-size // stride) if same else (size - window) // stride + 1
    total = max((out - 1) * stride + window - size, 0)
    return out, total // 2, total - total // 2


@dataclass
class Mac:
    """A layer with weights. `weight` is O, H, W, I; `scale_w` one scale or one an output channel."""

    name: str
    op: str
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    scale_x: float
    scale_w: float | np.ndarray
    scale_y: float
    zero_x: int = 0
    zero_y: int = 0
    zero_w: int = 0
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    same: bool = False
    groups: int = 1
    activation: str = "none"
    extra_rows: int = 0  # of a transposed convolution's output, beyond what the stride and the kernel give
    targets: tuple[str, ...] = INT8

    def case(self) -> Case:
        dtype, weight_dtype = str(self.x.dtype), str(self.weight.dtype)
        per_channel = not np.isscalar(self.scale_w)
        scales = [f32(scale) for scale in np.atleast_1d(self.scale_w)]
        zero_points = [self.zero_w] * len(scales)
        builtin, version, stored, attributes, shape_y, lead = getattr(self, "_" + self.op)()
        axis = 3 if self.op == "depthwise_conv2d" else 0
        weight = Tensor("weight", weight_dtype, stored.shape, scales, zero_points, axis if per_channel else 0, stored)
        x = Tensor("x", dtype, self.x.shape, [f32(self.scale_x)], [self.zero_x])
        bias = None
        if self.bias is not None:
            products = [f32(np.float32(self.scale_x) * np.float32(scale)) for scale in scales]
            bias = Tensor("bias", str(self.bias.dtype), self.bias.shape, products, [0] * len(scales), 0, self.bias)
        y = Tensor("y", dtype, shape_y, [f32(self.scale_y)], [self.zero_y])
        inputs = [x, weight, bias] if lead is None else [lead, weight, x] + ([bias] if bias else [])
        if self.op == "depthwise_conv2d" and bias is None:
            inputs = [x, weight]
        operator = {
            "conv2d": "CONV_2D",
            "depthwise_conv2d": "DEPTHWISE_CONV_2D",
            "linear": "FULLY_CONNECTED",
            "conv_transpose2d": "TRANSPOSE_CONV",
        }[self.op]
        header: dict[str, Any] = {
            "op": self.op,
            "attributes": attributes,
            "input": qparams(dtype, self.scale_x, self.zero_x),
            "weight": {
                "dtype": weight_dtype,
                "scales": scales,
                "zero_points": zero_points,
                "axis": 0 if per_channel else None,
            },
            "output": qparams(dtype, self.scale_y, self.zero_y),
            "activation": self.activation,
        }
        if self.op != "linear":
            header["layout"] = "NHWC"
        arrays = {"input": self.x, "weight": self.weight}
        if self.bias is not None:
            arrays["bias_int"] = self.bias
        return Case(self.name, self.targets, build(operator, version, builtin, inputs, y), [self.x], header, arrays)

    def _window(self) -> tuple[dict[str, Any], dict[str, Any], tuple[int, ...]]:
        extents = [
            _extent(self.x.shape[1 + i], self.weight.shape[1 + i], self.stride[i], self.dilation[i], self.same)
            for i in (0, 1)
        ]
        attributes = {
            "stride": list(self.stride),
            "padding": [e[1] for e in extents] + [e[2] for e in extents],
            "dilation": list(self.dilation),
            "groups": self.groups,
        }
        values = {
            "padding": PADDING["SAME" if self.same else "VALID"],
            "strideH": self.stride[0],
            "strideW": self.stride[1],
            "dilationHFactor": self.dilation[0],
            "dilationWFactor": self.dilation[1],
            "fusedActivationFunction": ACTIVATION[self.activation],
        }
        return values, attributes, (self.x.shape[0], extents[0][0], extents[1][0], self.weight.shape[0])

    def _bias_type(self) -> dict[str, Any]:
        """An int32 bias of int16 activations has to be declared; then the sums are int32, too."""
        if self.x.dtype == np.int16 and self.bias is not None and self.bias.dtype == np.int32:
            return {"quantizedBiasType": 2}  # TensorType.INT32
        return {"quantizedBiasType": 4} if self.x.dtype == np.int16 else {}

    def _conv2d(self) -> tuple[Any, ...]:
        values, attributes, shape = self._window()
        return options("Conv2DOptions", **values, **self._bias_type()), 8, self.weight, attributes, shape, None

    def _depthwise_conv2d(self) -> tuple[Any, ...]:
        values, attributes, shape = self._window()
        values["depthMultiplier"] = self.weight.shape[0] // self.x.shape[3]
        attributes["groups"] = self.x.shape[3]
        stored = np.ascontiguousarray(self.weight.transpose(3, 1, 2, 0))  # 1, H, W, C * multiplier
        return options("DepthwiseConv2DOptions", **values), 3, stored, attributes, shape, None

    def _linear(self) -> tuple[Any, ...]:
        builtin = options(
            "FullyConnectedOptions", fusedActivationFunction=ACTIVATION[self.activation], **self._bias_type()
        )
        return builtin, 13, self.weight, {}, (self.x.shape[0], self.weight.shape[0]), None

    def _conv_transpose2d(self) -> tuple[Any, ...]:
        sizes, begin, end = [], [], []
        for i in (0, 1):
            full = (self.x.shape[1 + i] - 1) * self.stride[i] + self.weight.shape[1 + i]
            size = self.x.shape[1 + i] * self.stride[i] if self.same else full + self.extra_rows
            total = max(full - size, 0)
            sizes, begin, end = sizes + [size], begin + [total // 2], end + [total - total // 2]
        attributes = {
            "stride": list(self.stride),
            "padding": begin + end,
            "dilation": [1, 1],
            "groups": 1,
            "output_padding": [0 if self.same else self.extra_rows] * 2,
        }
        shape = (self.x.shape[0], *sizes, self.weight.shape[0])
        values = {
            "padding": PADDING["SAME" if self.same else "VALID"],
            "strideH": self.stride[0],
            "strideW": self.stride[1],
            "fusedActivationFunction": ACTIVATION[self.activation],
        }
        lead = Tensor("output_shape", "int32", (4,), data=np.array(shape, np.int32))
        return options("TransposeConvOptions", **values, **self._bias_type()), 5, self.weight, attributes, shape, lead


def fitting_scale(x: np.ndarray, weight: np.ndarray, scale_x: float, scale_w: float | np.ndarray) -> float:
    """An output scale at which random codes fill the output's range and saturate rarely."""
    spread = np.sqrt(np.prod(weight.shape[1:])) * x.std() * weight.astype(np.float64).std()
    return f32(
        spread * scale_x * float(np.mean(scale_w)) * 3.2 / (LIMITS[str(x.dtype)][1] - LIMITS[str(x.dtype)][0]) * 2
    )


def typical(
    name: str,
    op: str,
    shape_x: tuple[int, ...],
    shape_w: tuple[int, ...],
    *,
    dtype: str = "int8",
    per_channel: bool = True,
    bias: str | None = "int32",
    gain: float = 1.0,
    scale_y: float | None = None,
    **settings: Any,
) -> Mac:
    """Random codes of the whole range, scales that are no powers of two; gain makes outputs saturate."""
    rng = seeded(name)
    x = codes(rng, dtype, shape_x)
    weight = codes(rng, "uint8", shape_w) if dtype == "uint8" else codes(rng, "int8", shape_w, 127)
    scale_w = rng.uniform(0.004, 0.02, shape_w[0]).astype(np.float32) if per_channel else f32(rng.uniform(0.004, 0.02))
    scale_x = f32(rng.uniform(0.02, 0.06) / (1 if dtype != "int16" else 256))
    fit = fitting_scale(x, weight, scale_x, scale_w)
    spread = int(0.3 * fit * (LIMITS[dtype][1]) / (scale_x * float(np.mean(scale_w))))
    values = None if bias is None else rng.integers(-spread, spread + 1, shape_w[0]).astype(bias)
    return Mac(
        name, op, x, weight, values, scale_x, scale_w, f32(fit / gain) if scale_y is None else scale_y, **settings
    )


def exact(
    name: str,
    op: str,
    shape_x: tuple[int, ...],
    shape_w: tuple[int, ...],
    *,
    scale_x: float,
    scale_w: Any,
    scale_y: float,
    limit_x: int,
    limit_w: int,
    dtype: str = "int8",
    bias: np.ndarray | None = None,
    bias_limit: int = 0,
    **settings: Any,
) -> Mac:
    """Small codes and given scales: the sums are small, so that ties and near ties are many."""
    rng = seeded(name)
    x = codes(rng, dtype, shape_x, limit_x)
    weight = codes(rng, "int8", shape_w, limit_w)
    if bias is None:
        bias = rng.integers(-bias_limit, bias_limit + 1, shape_w[0]).astype(np.int32)
    return Mac(name, op, x, weight, bias, scale_x, scale_w, scale_y, **settings)


def all_cases() -> list[Case]:
    from litert_elementwise import elementwise_cases  # they need the helpers above
    from litert_layers import layers

    return [layer.case() for layer in layers()] + elementwise_cases()
