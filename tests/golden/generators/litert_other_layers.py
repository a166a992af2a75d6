"""Layers with weights of LiteRT's cases: what a multiplier is formed from; uint8; int16."""

from __future__ import annotations

import numpy as np
from litert_cases import INT16, Mac, exact, f32, seeded, typical


def association_layers() -> list[Mac]:
    """Half of a sum, exact ties: M is 1/2 as fl(fl(s_x * s_w) / s_y). With the product in binary64 it is the float
    below (1.5 ulp are rounded up); with fl(1 / 41) instead of the division, too."""
    product = (1 + 2.0**-12, 1 + 3 * 2.0**-12, 2 * (1 + 2.0**-10 + 2.0**-22))
    shapes = {
        "conv2d": ((1, 10, 10, 2), (8, 2, 2, 2)),
        "depthwise_conv2d": ((1, 10, 10, 8), (8, 2, 2, 1)),
        "conv_transpose2d": ((1, 8, 8, 2), (8, 2, 2, 2)),
        "linear": ((64, 8), (16, 8)),
    }
    layers = []
    for label, (scale_x, scale_w, scale_y) in (("binary64_product", product), ("reciprocal", (1.0, 20.5, 41.0))):
        for op, (shape_x, shape_w) in shapes.items():
            for kind in ("tensor", "channel"):
                layers.append(
                    exact(
                        f"{op}_{label}_per_{kind}",
                        op,
                        shape_x,
                        shape_w,
                        scale_x=scale_x,
                        scale_w=scale_w if kind == "tensor" else np.full(shape_w[0], scale_w, np.float32),
                        scale_y=scale_y,
                        limit_x=3,
                        limit_w=3,
                        bias_limit=9,
                        zero_y=1,
                    )
                )
    return layers


def unsigned_layers() -> list[Mac]:
    """Legacy uint8: weights have a zero point of their own, one scale only."""
    shape = {"dtype": "uint8", "per_channel": False}
    layers = [
        typical(
            "uint8_conv2d",
            "conv2d",
            (1, 12, 12, 8),
            (16, 3, 3, 8),
            same=True,
            zero_x=121,
            zero_y=130,
            zero_w=117,
            **shape,
        ),
        typical(
            "uint8_conv2d_relu6",
            "conv2d",
            (1, 12, 12, 8),
            (16, 3, 3, 8),
            zero_x=0,
            zero_y=0,
            zero_w=128,
            activation="relu6",
            scale_y=6 / 255,
            **shape,
        ),
        typical(
            "uint8_depthwise",
            "depthwise_conv2d",
            (1, 12, 12, 8),
            (16, 3, 3, 1),
            same=True,
            zero_x=255,
            zero_y=127,
            zero_w=140,
            **shape,
        ),
        typical(
            "uint8_transposed",
            "conv_transpose2d",
            (1, 7, 7, 8),
            (8, 3, 3, 8),
            stride=(2, 2),
            zero_x=120,
            zero_y=131,
            zero_w=128,
            **shape,
        ),
        typical("uint8_linear", "linear", (48, 48), (48, 48), zero_x=99, zero_y=128, zero_w=125, **shape),
    ]
    near = f32(1 + 2.0**-12)
    for name, op, shape_x, shape_w in (
        ("uint8_conv2d_product", "conv2d", (1, 12, 12, 2), (8, 2, 2, 2)),
        ("uint8_depthwise_product", "depthwise_conv2d", (1, 12, 12, 8), (8, 2, 2, 1)),
        ("uint8_transposed_product", "conv_transpose2d", (1, 8, 8, 2), (8, 2, 2, 2)),
        ("uint8_linear_product", "linear", (64, 8), (32, 8)),
    ):
        rng = seeded(name)
        x, weight = (rng.integers(125, 132, size).astype(np.uint8) for size in (shape_x, shape_w))
        layers.append(
            Mac(
                name,
                op,
                x,
                weight,
                rng.integers(-9, 10, shape_w[0]).astype(np.int32),
                near,
                near,
                f32(2 * (1 + 2.0**-11)),
                zero_x=128,
                zero_y=128,
                zero_w=128,
            )
        )
    return layers


def wide_layers() -> list[Mac]:
    """16 bit activations, symmetric; the bias is int64, or int32 where the model declares it."""
    wide = {"dtype": "int16", "targets": INT16}
    layers = [
        typical("conv2d_int64_bias", "conv2d", (1, 10, 10, 8), (16, 3, 3, 8), bias="int64", same=True, **wide),
        typical("conv2d_int32_bias", "conv2d", (1, 10, 10, 8), (16, 3, 3, 8), bias="int32", same=True, **wide),
        typical(
            "conv2d_per_tensor_int64_bias",
            "conv2d",
            (1, 10, 10, 8),
            (16, 3, 3, 8),
            bias="int64",
            per_channel=False,
            **wide,
        ),
        typical(
            "conv2d_relu6_int64_bias",
            "conv2d",
            (1, 10, 10, 8),
            (16, 3, 3, 8),
            bias="int64",
            activation="relu6",
            scale_y=12 / 4097,
            **wide,
        ),
        typical(
            "depthwise_int64_bias",
            "depthwise_conv2d",
            (1, 12, 12, 8),
            (16, 3, 3, 1),
            bias="int64",
            same=True,
            stride=(2, 2),
            **wide,
        ),
        typical("depthwise_no_bias", "depthwise_conv2d", (1, 12, 12, 8), (8, 3, 3, 1), bias=None, **wide),
        typical(
            "transposed_int64_bias", "conv_transpose2d", (1, 6, 6, 8), (8, 3, 3, 8), bias="int64", stride=(2, 2), **wide
        ),
        typical(
            "transposed_int32_bias", "conv_transpose2d", (1, 6, 6, 8), (8, 3, 3, 8), bias="int32", stride=(2, 2), **wide
        ),
        typical("linear_int64_bias", "linear", (32, 48), (40, 48), bias="int64", per_channel=False, **wide),
        typical("linear_int32_bias", "linear", (32, 48), (40, 48), bias="int32", per_channel=False, **wide),
        typical("linear_per_channel_int64_bias", "linear", (32, 48), (40, 48), bias="int64", **wide),
        typical(
            "linear_no_bias", "linear", (32, 48), (40, 48), bias=None, per_channel=False, activation="relu", **wide
        ),
    ]
    powers = np.array([2.0**-k for k in (1, 2, 3, 4, 5, 6, 7, 8)] * 2, np.float32)
    large = np.array([0.5, 1, 1.5, 3, 5, 100, 0.25, 0.75] * 2, np.float32)
    near_one = np.array(
        [1 - 2.0**-n for n in (10, 14, 15, 16, 17, 18, 20, 24)] * 2, np.float32
    )  # the reduced multiplier's end
    common = {"scale_x": 0.5, "dtype": "int16", "targets": INT16, "bias_limit": 40}
    for name, bias in (("int64", np.int64), ("int32", np.int32)):
        for label, scales, limit, scale_y in (
            ("ties", powers, 25, 4.0),
            ("multiplier_above_one", large, 200, 0.5),
            ("multiplier_near_one", near_one, 3000, 1.0),
        ):
            layer = exact(
                f"conv2d_{label}_{name}_bias",
                "conv2d",
                (1, 10, 10, 2),
                (16, 2, 2, 2),
                scale_w=scales,
                scale_y=scale_y,
                limit_x=limit,
                limit_w=9,
                **common,
            )
            layer.bias = layer.bias.astype(bias)
            layers.append(layer)
        layer = typical(f"linear_beyond_32_bits_{name}_bias", "linear", (16, 640), (24, 640), bias=name, **wide)
        layer.x = np.abs(layer.x.astype(np.int32)).clip(0, 32767).astype(np.int16)  # of one sign, so that the sums grow
        layer.weight = np.abs(layer.weight)
        layer.weight[1::2] *= -1
        layer.scale_y *= 20
        layers.append(layer)
    return layers
