"""Runs one quantized operator of LibTorch and describes it as a golden case. No expected output is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np
import torch
import torch.nn.functional as F

Array = np.ndarray
Case = tuple[dict[str, Any], dict[str, Array]]

OPS = torch.ops.quantized


@dataclass
class QParams:
    """Of an activation. `quant_max` is set where the codes in use are fewer than the type's (reduce_range)."""

    scale: np.float32
    zero_point: int
    quant_max: int | None = None

    def describe(self, dtype: str) -> dict[str, Any]:
        described: dict[str, Any] = {"dtype": dtype, "scale": float(self.scale), "zero_point": int(self.zero_point)}
        if self.quant_max is not None:
            described |= {"quant_min": 0, "quant_max": self.quant_max}
        return described


@dataclass
class Weight:
    codes: Array  # int8; conv: O, I / groups, spatial; conv_transpose2d: I, O / groups, spatial
    scales: Array  # float32, one (per tensor) or one an output channel
    zero_point: int = 0
    axis: int | None = 0

    def quantized(self) -> torch.Tensor:
        codes = torch.from_numpy(np.ascontiguousarray(self.codes))
        if self.axis is None:
            return torch._make_per_tensor_quantized_tensor(codes, float(self.scales[0]), self.zero_point)
        scales = torch.from_numpy(self.scales.astype(np.float64))
        zero_points = torch.full((len(self.scales),), self.zero_point, dtype=torch.int64)
        return torch._make_per_channel_quantized_tensor(codes, scales, zero_points, self.axis)

    def describe(self) -> dict[str, Any]:
        return {"dtype": "int8", "scales": [float(s) for s in self.scales],
                "zero_points": [self.zero_point] * len(self.scales), "axis": self.axis}


@dataclass
class Geometry:
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int = 1
    output_padding: Sequence[int] | None = None  # of a transposed convolution only

    def describe(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {"stride": list(self.stride), "padding": list(self.padding),
                                      "dilation": list(self.dilation), "groups": self.groups}
        if self.output_padding is not None:
            attributes["output_padding"] = list(self.output_padding)
        return attributes


def quantized_input(codes: Array, qparams: QParams, channels_last: bool = False) -> torch.Tensor:
    tensor = torch._make_per_tensor_quantized_tensor(
        torch.from_numpy(np.ascontiguousarray(codes)), float(qparams.scale), qparams.zero_point)
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor


def codes_of(tensor: torch.Tensor) -> Array:
    return tensor.int_repr().contiguous().numpy()


def _mac_arrays(x: Array, weight: Weight, bias: Array | None, y: torch.Tensor) -> dict[str, Array]:
    arrays = {"input": x, "weight": weight.codes, "output": codes_of(y)}
    return arrays if bias is None else arrays | {"bias": bias}


def convolution(op: str, x: Array, weight: Weight, bias: Array | None, geometry: Geometry, source: QParams,
                target: QParams, relu: bool) -> Case:
    spatial = x.ndim - 2
    name = f"conv_transpose{spatial}d" if geometry.output_padding is not None else f"conv{spatial}d"
    bias_tensor = None if bias is None else torch.from_numpy(bias)
    layout = [list(geometry.stride), list(geometry.padding)]
    if geometry.output_padding is not None:
        layout.append(list(geometry.output_padding))
    packed = getattr(OPS, f"{name}_prepack")(weight.quantized(), bias_tensor, *layout, list(geometry.dilation),
                                             geometry.groups)
    run = getattr(OPS, f"{name}_relu" if relu else name)
    y = run(quantized_input(x, source), packed, float(target.scale), target.zero_point)
    case = {"op": op, "layout": "NCHW", "attributes": geometry.describe(), "input": source.describe("uint8"),
            "weight": weight.describe(), "output": target.describe("uint8"), "activation": "relu" if relu else "none"}
    return case, _mac_arrays(x, weight, bias, y)


def linear(x: Array, weight: Weight, bias: Array | None, source: QParams, target: QParams, relu: bool) -> Case:
    packed = OPS.linear_prepack(weight.quantized(), None if bias is None else torch.from_numpy(bias))
    run = OPS.linear_relu if relu else OPS.linear
    y = run(quantized_input(x, source), packed, float(target.scale), target.zero_point)
    case = {"op": "linear", "attributes": {}, "input": source.describe("uint8"), "weight": weight.describe(),
            "output": target.describe("uint8"), "activation": "relu" if relu else "none"}
    return case, _mac_arrays(x, weight, bias, y)


def binary(op: str, a: Array, b: Array, sources: Sequence[QParams], target: QParams, relu: bool) -> Case:
    """add, mul."""
    run = getattr(OPS, f"{op}_relu" if relu else op)
    y = run(quantized_input(a, sources[0]), quantized_input(b, sources[1]), float(target.scale), target.zero_point)
    case = {"op": op, "attributes": {}, "input": [q.describe("uint8") for q in sources],
            "output": target.describe("uint8"), "activation": "relu" if relu else "none"}
    return case, {"input_0": a, "input_1": b, "output": codes_of(y)}


def concat(parts: Sequence[Array], sources: Sequence[QParams], target: QParams, relu: bool,
           channels_last: bool) -> Case:
    run = OPS.cat_relu if relu else OPS.cat
    y = run([quantized_input(x, q, channels_last) for x, q in zip(parts, sources)], 1, float(target.scale),
            target.zero_point)
    case = {"op": "concat", "layout": "NCHW", "attributes": {"axis": 1},
            "input": [q.describe("uint8") for q in sources], "output": target.describe("uint8"),
            "activation": "relu" if relu else "none"}
    return case, {f"input_{i}": x for i, x in enumerate(parts)} | {"output": codes_of(y)}


def pool(op: str, x: Array, qparams: QParams, window: int, stride: int, padding: int, channels_last: bool,
         count_include_pad: bool = True, adaptive: bool = False) -> Case:
    """max_pool2d, avg_pool2d. `adaptive` calls adaptive_avg_pool2d for the same windows: other roundings."""
    tensor = quantized_input(x, qparams, channels_last)
    if op == "max_pool2d":
        y = F.max_pool2d(tensor, window, stride, padding)
    elif adaptive:
        y = F.adaptive_avg_pool2d(tensor, [extent // window for extent in x.shape[2:]])
    else:
        y = F.avg_pool2d(tensor, window, stride, padding, False, count_include_pad)
    attributes = {"kernel": [window] * 2, "stride": [stride] * 2, "padding": [padding] * 2, "ceil_mode": False,
                  "count_include_pad": count_include_pad}
    case = {"op": op, "layout": "NCHW", "attributes": attributes, "input": qparams.describe("uint8"),
            "output": qparams.describe("uint8"), "activation": "none"}
    return case, {"input": x, "output": codes_of(y)}


def mean(x: Array, qparams: QParams) -> Case:
    y = torch.mean(quantized_input(x, qparams), dim=(2, 3), keepdim=True)
    case = {"op": "mean", "layout": "NCHW", "attributes": {"axes": [2, 3], "keep_dims": True},
            "input": qparams.describe("uint8"), "output": qparams.describe("uint8"), "activation": "none"}
    return case, {"input": x, "output": codes_of(y)}
