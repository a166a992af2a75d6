"""Makes the golden vectors of LibTorch's quantized engines: FBGEMM, QNNPACK, oneDNN, x86.

Needs an x86 CPU with AVX512-VNNI. What a CPU without it would return is made in a second process whose environment
tells FBGEMM, oneDNN and ATen to use AVX2 only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch

import pytorch_ops as ops
from pytorch_data import Layer, first_scale, generator, operands
from pytorch_ops import Case, QParams
from vectors import write_case

AVX2_ONLY = {"FBGEMM_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

LINEAR = Layer(op="linear", inputs=64, outputs=32, extent=100, kernel=())
DEPTHWISE = Layer(op="depthwise_conv2d", inputs=24, outputs=24, groups=24, extent=12)
TRANSPOSED = Layer(op="conv_transpose2d", inputs=16, outputs=16, stride=2, per_channel=False)
TIES = Layer(inputs=8, regime="ties")

# What every engine runs.
SHAPES = {
    "conv2d_per_channel": Layer(),
    "conv2d_per_tensor": Layer(per_channel=False),
    "conv2d_no_bias": Layer(bias=False),
    "conv2d_relu": Layer(relu=True, target_zero=31),
    "conv2d_stride_2_dilation_2": Layer(stride=2, dilation=2, extent=19),
    "conv2d_5x3_odd_channels": Layer(inputs=5, outputs=7, kernel=(5, 3), extent=20),
    "conv2d_groups": Layer(inputs=32, groups=8),
    "conv2d_groups_widening": Layer(inputs=16, groups=4),
    "conv2d_pointwise": Layer(inputs=32, kernel=(1, 1), extent=12),
    "depthwise_3x3": DEPTHWISE,
    "depthwise_5x5_stride_2": replace(DEPTHWISE, kernel=(5, 5), stride=2, extent=19),
    "depthwise_multiplier_2": replace(DEPTHWISE, outputs=48),
    "conv1d": Layer(op="conv1d", kernel=(3,), extent=120),
    "conv3d": Layer(op="conv3d", inputs=8, outputs=12, kernel=(3, 3, 3), extent=7),
    "linear_per_channel": LINEAR,
    "linear_relu_no_bias": replace(LINEAR, inputs=37, outputs=21, relu=True, bias=False),
    "zero_points_0": Layer(source_zero=0, target_zero=0),
    "zero_points_255": Layer(source_zero=127, target_zero=255),
    "relu_zero_point_0": Layer(relu=True, target_zero=0),
    "conv_transpose2d": TRANSPOSED,
}

EDGES = {
    "ties_per_channel": TIES,
    "ties_per_tensor": replace(TIES, per_channel=False, batch=2),
    "ties_no_bias_odd_zero_point": replace(TIES, bias=False, target_zero=101),
    "ties_relu": replace(TIES, relu=True, target_zero=7),
    "ties_depthwise": replace(DEPTHWISE, regime="ties"),
    "ties_depthwise_per_tensor": replace(DEPTHWISE, regime="ties", per_channel=False),
    "ties_linear_per_channel": replace(LINEAR, regime="ties"),
    "ties_linear_per_tensor": replace(LINEAR, regime="ties", per_channel=False),
    "bias_ties": replace(TIES, regime="bias_ties"),
    "tiny_weight_scales": Layer(regime="tiny_scale"),
    "conversion_overflow": Layer(regime="overflow"),
    "multiplier_above_one": Layer(regime="above_one"),
    "multiplier_tiny": Layer(regime="tiny_output"),
    "accumulator_above_2_24": Layer(op="linear", kernel=(), inputs=768, outputs=8, extent=40, codes=255,
                                    regime="large_sum"),
}

ASYMMETRIC_WEIGHTS = {
    "weight_zero_point": Layer(weight_zero=3),
    "weight_zero_point_per_tensor": replace(TIES, weight_zero=-5, per_channel=False),
    "weight_zero_point_depthwise": replace(DEPTHWISE, weight_zero=3),
}

SATURATING = Layer(codes=255, regime="saturating", source_zero=0)
# All 256 activation codes. Exact where products are added in int32, else pairs of products saturate to int16.
FULL_RANGE = {
    "conv2d": replace(SATURATING, source_zero=90),
    "conv2d_odd_channels": replace(SATURATING, inputs=5, outputs=12, source_zero=60, extent=14),
    "conv2d_padded_with_zero_point_200": replace(SATURATING, source_zero=200, target_zero=200),
    "conv2d_groups": replace(SATURATING, inputs=32, groups=8),
    "conv2d_groups_widening": replace(SATURATING, inputs=16, groups=4),
    "conv2d_pointwise": replace(SATURATING, kernel=(1, 1), extent=12, inputs=30),
    "depthwise_3x3": replace(DEPTHWISE, codes=255, regime="saturating", source_zero=100),
    "depthwise_5x5": replace(DEPTHWISE, codes=255, regime="saturating", kernel=(5, 5), per_channel=False),
    "depthwise_multiplier_2": replace(DEPTHWISE, codes=255, regime="saturating", outputs=48),
    "depthwise_12_channels": replace(DEPTHWISE, codes=255, regime="saturating", inputs=12, outputs=12, groups=12),
    "conv3d_depthwise": Layer(op="conv3d", inputs=8, outputs=8, groups=8, kernel=(3, 3, 3), extent=7, codes=255,
                              regime="saturating"),
    "conv1d_odd_channels": Layer(op="conv1d", inputs=5, kernel=(3,), extent=80, codes=255, regime="saturating"),
    "conv_transpose2d": replace(TRANSPOSED, codes=255, regime="saturating", source_zero=60),
    "linear": replace(LINEAR, codes=255, regime="saturating"),
    "linear_odd": replace(LINEAR, codes=255, regime="saturating", inputs=37, outputs=21, per_channel=False),
}
FBGEMM_PAIRS_ALWAYS = ("depthwise_3x3", "depthwise_5x5", "depthwise_multiplier_2", "conv3d_depthwise")
# FBGEMM's own kernels for groups of 2, 4, 8, 16 channels and the x86 engine ask the CPU itself: recorded on a real one.
NOT_SIMULATED = {"fbgemm": ("int16_pairs_conv2d_groups",),
                 "x86": ("conv2d_per_channel", "depthwise_3x3", "int16_pairs_conv2d", "int16_pairs_conv2d_groups")}
ONEDNN_NEVER_PAIRS = ("depthwise_3x3", "depthwise_5x5", "depthwise_multiplier_2", "depthwise_12_channels",
                      "conv3d_depthwise")


def full_range(engine: str, avx2: bool) -> dict[str, Layer]:
    """Saturating cases start with int16_pairs_, the others with full_range_."""
    def saturates(name: str) -> bool:
        if engine == "fbgemm":
            return avx2 or name in FBGEMM_PAIRS_ALWAYS
        return engine == "onednn" and avx2 and name not in ONEDNN_NEVER_PAIRS
    return {f"{'int16_pairs' if saturates(name) else 'full_range'}_{name}": layer for name, layer in FULL_RANGE.items()}


def mac(name: str, layer: Layer) -> Case:
    drawn = operands(layer, name)
    if layer.op == "linear":
        return ops.linear(drawn.x, drawn.weight, drawn.bias, drawn.source, drawn.target, layer.relu)
    return ops.convolution(layer.op, drawn.x, drawn.weight, drawn.bias, layer.geometry(), drawn.source, drawn.target,
                           layer.relu)


def uint8(rng: np.random.Generator, *shape: int) -> ops.Array:
    return rng.integers(0, 256, shape).astype(np.uint8)


def scale(rng: np.random.Generator) -> np.float32:
    return np.float32(rng.uniform(0.01, 0.03))


def inexact_multiplier(product: ops.Array) -> ops.Array:
    return product * (np.float32(1) / (product * np.float32(64))) != np.float32(1 / 64)


def pool_scale(rng: np.random.Generator, terms: int) -> np.float32:
    """A scale s with fl(s / fl(s * n)) != fl(1 / n), unless n is a power of two."""
    if terms & (terms - 1) == 0:
        return scale(rng)
    return first_scale(rng, lambda s: s / (s * np.float32(terms)) != np.float32(1) / np.float32(terms))


def elementwise(engine: str) -> Iterator[tuple[str, str, Case]]:
    """Yields name, kernel and case. All engines but QNNPACK share ATen's own ("native") kernels of these."""
    own = "qnnpack" if engine == "qnnpack" else "native"
    for name, shape, ties, relu in (("add", (2, 16, 8, 8), False, False), ("add_ties", (2, 16, 8, 8), True, False),
                                    ("add_ties_with_tail", (1, 3, 35, 35), True, False),
                                    ("add_relu", (1, 20, 11, 11), False, True)):
        rng = generator(name)
        a, b = uint8(rng, *shape), uint8(rng, *shape)
        first = QParams(scale(rng), 120)
        second = QParams(first.scale if ties else scale(rng), 131)
        target = QParams(np.float32(2) * first.scale if ties else scale(rng), 127)
        yield name, own, ops.binary("add", a, b, [first, second], target, relu)
    for name, relu in (("mul", False), ("mul_relu", True)):
        rng = generator(name)
        second = QParams(scale(rng), 140)
        # s_a * s_b / s_y = 1/64: ties. Formed as (s_a * s_b) * (1 / s_y) it is an ulp off: no ties.
        first = QParams(first_scale(rng, lambda s: inexact_multiplier(s * second.scale)), 100)
        target = QParams(np.float32(first.scale * second.scale * np.float32(64)), 121)
        yield name, "native", ops.binary("mul", uint8(rng, 1, 16, 17, 17), uint8(rng, 1, 16, 17, 17), [first, second],
                                         target, relu)
    for name, channels, relu, last in (("concat", (16, 32), False, False), ("concat_relu", (5, 8), True, False),
                                       ("concat_channels_last", (16, 32), False, True),
                                       ("concat_few_channels_last", (3, 3), False, True)):
        rng = generator(name)
        sources = [QParams(scale(rng), 7), QParams(scale(rng), 130)]
        target = QParams(np.float32(2) * sources[0].scale, 101)  # ties in the first part
        parts = [uint8(rng, 1, c, 9, 9) for c in channels]
        kernel = "native, channels last" if last else "native"
        yield name, kernel, ops.concat(parts, sources, target, relu, last)
    for name, channels, window, stride, padding, last, adaptive in (
            ("avg_pool2d_2x2", 16, 2, 2, 0, False, False), ("avg_pool2d_3x3_padded", 12, 3, 2, 1, False, False),
            ("avg_pool2d_4x4_channels_last", 40, 4, 4, 0, True, False),
            ("avg_pool2d_3x3_padded_channels_last", 16, 3, 1, 1, True, False),
            ("adaptive_avg_pool2d_2x2", 16, 2, 2, 0, False, True),
            ("adaptive_avg_pool2d_global", 64, 12, 12, 0, False, True),
            ("adaptive_avg_pool2d_6x6_channels_last", 40, 6, 6, 0, True, True)):
        rng = generator(name)
        qparams = QParams(pool_scale(rng, window * window), int(rng.integers(1, 250)))
        kernel = f"{own}{', adaptive' if adaptive else ''}{', channels last' if last else ''}"
        yield name, kernel, ops.pool("avg_pool2d", uint8(rng, 1, channels, 12, 12), qparams, window, stride, padding,
                                     last, adaptive=adaptive)
    rng = generator("avg_pool2d_exclude_pad")
    padded = QParams(scale(rng), 33)
    yield "avg_pool2d_exclude_pad", own, ops.pool("avg_pool2d", uint8(rng, 1, 12, 12, 12), padded, 3, 2, 1, False,
                                                  count_include_pad=False)
    rng = generator("max_pool2d")
    yield "max_pool2d", own, ops.pool("max_pool2d", uint8(rng, 1, 12, 12, 12), QParams(scale(rng), 33), 3, 2, 1, False)
    rng = generator("mean")
    yield "mean", own, ops.mean(uint8(rng, 4, 250, 2, 6), QParams(pool_scale(rng, 12), 77))


def layers_of(engine: str, avx2: bool) -> dict[str, Layer]:
    layers = SHAPES | EDGES | full_range(engine, avx2)
    if engine == "qnnpack":  # exact on every CPU
        layers = {name: layer for name, layer in layers.items() if not name.startswith("full_range")
                  or name in ("full_range_conv2d", "full_range_depthwise_3x3", "full_range_linear")}
    if engine != "onednn":
        layers = layers | ASYMMETRIC_WEIGHTS
    if engine == "qnnpack":
        layers = layers | {"conv_transpose2d_per_channel": replace(TRANSPOSED, per_channel=True),
                           "conv_transpose2d_groups": replace(TRANSPOSED, groups=2, outputs=8, output_padding=1)}
    if engine == "fbgemm":
        layers = layers | {"conv_transpose2d_groups": replace(TRANSPOSED, groups=2, outputs=8, output_padding=1)}
    if avx2:
        # The reductions and float steps that differ from those on a CPU with VNNI, no more.
        layers = {name: layer for name, layer in layers.items()
                  if name.startswith(("int16_pairs", "ties", "conv_transpose2d"))
                  or name in ("conv2d_per_channel", "conv2d_5x3_odd_channels", "depthwise_multiplier_2", "bias_ties",
                              "full_range_depthwise_3x3")}
        layers = layers | {"ties_depthwise_multiplier_2": replace(DEPTHWISE, outputs=48, regime="ties")}
    return layers


def x86_layers(avx2: bool) -> dict[str, tuple[str, Layer]]:
    """The engine that the x86 engine chooses, and the layer. It asks the CPU itself whether it has VNNI, so its choice
    for convolutions without VNNI (FBGEMM) cannot be simulated: see NOT_SIMULATED."""
    if avx2:
        return {name: ("fbgemm", layer) for name, layer in (
            ("int16_pairs_linear", FULL_RANGE["linear"]), ("ties_linear_per_tensor", EDGES["ties_linear_per_tensor"]))}
    names = ("conv2d_per_channel", "conv2d_per_tensor", "conv2d_relu", "conv2d_groups", "depthwise_3x3", "conv1d",
             "conv3d", "linear_per_channel", "linear_relu_no_bias", "ties_per_channel", "ties_per_tensor",
             "ties_relu", "ties_depthwise", "ties_linear_per_channel", "ties_linear_per_tensor", "bias_ties",
             "tiny_weight_scales", "conversion_overflow", "conv_transpose2d")
    layers = SHAPES | EDGES
    chosen = {name: ("fbgemm" if layers[name].op == "linear" else "onednn", layers[name]) for name in names}
    chosen |= {f"full_range_{name}": ("onednn", FULL_RANGE[name]) for name in ("conv2d", "depthwise_3x3")}
    chosen |= {name: ("fbgemm", layer) for name, layer in ASYMMETRIC_WEIGHTS.items()}
    many = replace(DEPTHWISE, inputs=104, outputs=104, groups=104, extent=8)  # over 100 groups: FBGEMM
    chosen |= {"depthwise_104_channels": ("fbgemm", many),
               "int16_pairs_depthwise_104_channels": ("fbgemm", replace(many, codes=255, regime="saturating"))}
    chosen |= {"conv_transpose2d_output_padding": ("fbgemm", replace(TRANSPOSED, output_padding=1))}
    return chosen


def write(out: Path, engine: str, avx2: bool, name: str, kernel: str, case: Case, simulated: bool | None = None) -> None:
    described, arrays = case
    header: dict[str, Any] = {"runtime": "pytorch", "version": torch.__version__, "kernel": kernel}
    if engine != "qnnpack":
        header["host"] = {"vnni": not avx2, "simulated": avx2 if simulated is None else simulated}
    write_case(out, f"pytorch-{engine}", f"{name}_avx2" if avx2 else name, header | described, arrays)


def make(out: Path, avx2: bool) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*are deprecated and will be removed.*")
    for engine in ("fbgemm", "onednn") if avx2 else ("fbgemm", "qnnpack", "onednn"):
        torch.backends.quantized.engine = engine
        for name, layer in layers_of(engine, avx2).items():
            if avx2 and name in NOT_SIMULATED.get(engine, ()):
                continue
            write(out, engine, avx2, name, engine, mac(name, layer))
    torch.backends.quantized.engine = "x86"
    for name, (kernel, layer) in x86_layers(avx2).items():
        write(out, "x86", avx2, name, kernel, mac(name, layer))
    if avx2:
        return
    # Once for all engines that share them.
    for engine in ("fbgemm", "qnnpack"):
        torch.backends.quantized.engine = engine
        for name, kernel, case in elementwise(engine):
            if engine == "fbgemm" or kernel.startswith("qnnpack"):
                write(out, engine, avx2, name, kernel, case)


def make_without_vnni(out: Path) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*are deprecated and will be removed.*")
    layers = SHAPES | full_range("fbgemm", avx2=True)
    for engine, names in NOT_SIMULATED.items():
        torch.backends.quantized.engine = engine
        for name in names:
            write(out, engine, True, name, "fbgemm", mac(name, layers[name]), simulated=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "vectors")
    parser.add_argument("--avx2-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if "avx512_vnni" not in Path("/proc/cpuinfo").read_text():
        print("make_pytorch.py: this CPU has no AVX512-VNNI: only what cannot be simulated is made")
        return make_without_vnni(arguments.out)
    make(arguments.out, arguments.avx2_only)
    if not arguments.avx2_only:
        subprocess.run([sys.executable, __file__, "--out", str(arguments.out), "--avx2-only"], check=True,
                       env=os.environ | AVX2_ONLY)


if __name__ == "__main__":
    main()
