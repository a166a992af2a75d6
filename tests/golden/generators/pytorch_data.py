"""Draws the operands of LibTorch's golden cases: codes, scales and biases that tell competing rules apart."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np

from pytorch_ops import Array, Geometry, QParams, Weight

F32 = np.float32


@dataclass(frozen=True)
class Layer:
    """One layer with weights and the regime its numbers are drawn from (see `operands`)."""

    op: str = "conv2d"
    inputs: int = 16
    outputs: int = 32
    extent: int = 9  # every spatial extent of the input, or the rows of a linear layer's input
    kernel: Sequence[int] = (3, 3)
    stride: int = 1
    padding: int | None = None  # None: (kernel - 1) / 2
    dilation: int = 1
    groups: int = 1
    batch: int = 1
    per_channel: bool = True
    relu: bool = False
    bias: bool = True
    codes: int = 127  # the largest activation code: 127 = reduce_range, with which no int16 pair saturates
    source_zero: int | None = None  # None: drawn
    target_zero: int | None = None
    weight_zero: int = 0
    regime: str = "random"
    output_padding: int = 0

    def geometry(self) -> Geometry:
        axes = len(self.kernel)
        padding = [self.dilation * (k - 1) // 2 if self.padding is None else self.padding for k in self.kernel]
        return Geometry([self.stride] * axes, padding, [self.dilation] * axes, self.groups,
                        [self.output_padding] * axes if self.op == "conv_transpose2d" else None)

    def weight_shape(self) -> tuple[int, ...]:
        if self.op == "linear":
            return self.outputs, self.inputs
        if self.op == "conv_transpose2d":
            return self.inputs, self.outputs // self.groups, *self.kernel
        return self.outputs, self.inputs // self.groups, *self.kernel

    def input_shape(self) -> tuple[int, ...]:
        if self.op == "linear":
            return self.extent, self.inputs
        return self.batch, self.inputs, *[self.extent] * len(self.kernel)


@dataclass
class Operands:
    x: Array
    weight: Weight
    bias: Array | None
    source: QParams
    target: QParams


def generator(name: str) -> np.random.Generator:
    """Seeded by the case's name: adding a case changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def inexact_reciprocal(scale: Array) -> Array:
    """Where fl(1 / fl(1 / s)) != s, 12 % of all scales: tells a scale from the reciprocal of its reciprocal."""
    return F32(1) / (F32(1) / scale) != scale


def first_scale(rng: np.random.Generator, wanted: Callable[[Array], Array], low: float = 0.01,
                high: float = 0.03) -> np.float32:
    drawn = rng.uniform(low, high, 1000).astype(F32)
    return F32(drawn[wanted(drawn)][0])


def inexact_scale(rng: np.random.Generator, low: float, high: float) -> np.float32:
    return first_scale(rng, inexact_reciprocal, low, high)


def tie_scales(rng: np.random.Generator, source: np.float32, target: np.float32, count: int) -> Array:
    """Weight scales with s_x * s_w / s_y within a few ulps of 1/2, 1/4, 3/4, 3/2, 1/10 or 3/10, so that many results
    lie within an ulp of a tie and every rounding on the way shows."""
    scales = []
    for multiplier in rng.choice([0.5, 0.25, 1.5, 0.75, 0.1, 0.3], count):
        centre = F32(multiplier * np.float64(target) / np.float64(source))
        near = np.unique((centre * (1 + np.arange(-8, 9) * 2.0 ** -24)).astype(F32))
        wanted = near[inexact_reciprocal(near)]
        scales.append(rng.choice(wanted) if len(wanted) else centre)
    return np.array(scales, F32)


def nudged(rng: np.random.Generator, values: Array) -> Array:
    """Each value as it is, one ulp up or one ulp down."""
    up, down = np.nextafter(values, F32(np.inf)), np.nextafter(values, F32(-np.inf))
    return np.choose(rng.integers(0, 3, len(values)), [values, up, down]).astype(F32)


def operands(layer: Layer, name: str) -> Operands:
    """The regimes:

    random      ordinary layers: scales of a trained network, results spread over the output's codes
    saturating  half of the weights 127 and many activations the largest, so that int16 pairs overflow where codes
                exceed 127; the bias brings the results back to the middle of the codes
    ties        small accumulators, results within an ulp of a tie, biases within an ulp of n or n + 1/2 steps
    bias_ties   scales are powers of two times small integers, biases exactly n + 1/2 steps: RNE, RHA, no rounding
    tiny_scale  weight scales from 1e-2 down to 1e-13: biases of more than 2^24 steps, and beyond int32
    overflow    results beyond int32 before the zero point is added: what a conversion gives that does not fit
    large_sum   accumulators beyond 2^24 that the bias brings back: the float32 conversion of the sum shows
    above_one   s_x * s_w / s_y from 1 to 20
    tiny_output the same from 1e-9 to 1e-3
    """
    rng = generator(name)
    regime = layer.regime
    count = layer.outputs if layer.per_channel else 1
    if layer.op == "conv_transpose2d" and layer.per_channel:
        count //= layer.groups
    small = regime in ("ties", "bias_ties", "above_one", "overflow")
    x = rng.integers(0, 4 if small else layer.codes + 1, layer.input_shape()).astype(np.uint8)
    limit = 3 if small else 127
    codes = rng.integers(-limit, limit + 1, layer.weight_shape()).astype(np.int8)
    if regime == "saturating":
        x[rng.random(x.shape) < 0.4] = layer.codes
        codes[rng.random(codes.shape) < 0.5] = 127
    if regime == "large_sum":
        x, codes = (254 + x % 2).astype(np.uint8), np.maximum(codes, 100).astype(np.int8)

    terms = codes.size // codes.shape[1 if layer.op == "conv_transpose2d" else 0]
    source_zero = int(rng.integers(0, 3 if small else 20)) if layer.source_zero is None else layer.source_zero
    target_zero = int(rng.integers(90, 140)) if layer.target_zero is None else layer.target_zero
    source_scale = inexact_scale(rng, 0.01, 0.02)
    if regime == "ties":
        target_scale = inexact_scale(rng, 1e-4, 4e-4)
        scales = tie_scales(rng, source_scale, target_scale, count)
    elif regime == "bias_ties":
        source_scale = F32(2.0 ** -6)
        scales = (2.0 ** -5 * rng.choice([1, 3, 5, 7], count)).astype(F32)
        target_scale = F32(2.0 ** -9)
    elif regime == "tiny_scale":
        scales = (10.0 ** rng.uniform(-13, -2, count)).astype(F32)
        target_scale = F32(0.05)
    elif regime == "above_one":
        target_scale = F32(1e-3)
        scales = (rng.uniform(1, 20, count) * 1e-3 / np.float64(source_scale)).astype(F32)
    elif regime == "overflow":
        source_scale, target_scale = F32(2.0 ** -4), F32(2.0 ** -12)
        scales = (2.0 ** -4 * rng.choice([1, 4, 16], count)).astype(F32)  # s_x * s_w / s_y = 16, 64, 256
    elif regime == "tiny_output":
        scales = rng.uniform(0.001, 0.02, count).astype(F32)
        target_scale = F32(1e3)
    elif regime == "large_sum":
        scales = rng.uniform(0.001, 0.002, count).astype(F32)
        target_scale = F32(float(source_scale) * 0.0015 / 0.05)
    else:
        scales = rng.uniform(0.001, 0.02, count).astype(F32)
        spread = 150 * 90 if regime == "saturating" else layer.codes * 0.3 * 74
        target_scale = F32(float(source_scale) * float(scales.mean()) * spread * np.sqrt(terms) / 60)

    steps = np.broadcast_to(scales, (layer.outputs // count, count)).ravel() * np.float64(source_scale)
    if regime == "ties":
        bias = nudged(rng, ((rng.integers(-20, 20, layer.outputs) + rng.choice([0, 0.5], layer.outputs)) * steps
                            ).astype(F32))
    elif regime == "bias_ties":
        bias = ((rng.integers(-12, 12, layer.outputs) + 0.5) * steps).astype(F32)
    elif regime == "overflow":
        bias = (rng.choice([-1, 1], layer.outputs) * 2.0 ** rng.uniform(18, 31, layer.outputs) * steps).astype(F32)
    elif regime in ("large_sum", "saturating"):
        by_output = np.moveaxis(codes, 1, 0) if layer.op == "conv_transpose2d" else codes  # without groups
        sums = by_output.reshape(layer.outputs, -1).sum(1, dtype=np.int64)
        centre = (x.mean() - source_zero) * sums / layer.stride ** (2 if layer.op == "conv_transpose2d" else 0)
        bias = (-centre * steps + rng.normal(0, 15, layer.outputs) * np.float64(target_scale)).astype(F32)
    elif regime == "tiny_output":
        bias = (rng.normal(0, 60, layer.outputs) * np.float64(target_scale)).astype(F32)
    else:
        bias = (rng.normal(0, 15, layer.outputs) * np.float64(target_scale)).astype(F32)
    axis = None if not layer.per_channel else 1 if layer.op == "conv_transpose2d" else 0
    return Operands(x, Weight(codes, scales, layer.weight_zero, axis), bias if layer.bias else None,
                    QParams(source_scale, source_zero, layer.codes if layer.codes < 255 else None),
                    QParams(target_scale, target_zero))
