"""The int8 layers with weights among LiteRT's cases."""

from __future__ import annotations

import numpy as np
from litert_cases import Mac, exact, seeded, typical
from litert_other_layers import association_layers, unsigned_layers, wide_layers

INT32_MAX = 2**31 - 1


def wrapping(name: str, op: str, shape_x: tuple[int, ...], shape_w: tuple[int, ...]) -> Mac:
    """Biases that fit int32 beside sums that do not: accumulators of every second channel wrap."""
    layer = exact(
        name, op, shape_x, shape_w, scale_x=2.0**-4, scale_w=2.0**-10, scale_y=2.0**10, limit_x=127, limit_w=127
    )
    channels = np.arange(shape_w[0])
    layer.bias = np.select(
        [channels % 4 == 0, channels % 4 == 1, channels % 4 == 2],
        [INT32_MAX - 5000 * channels, -INT32_MAX + 5000 * channels, 2**30],
        0,
    ).astype(np.int32)
    layer.zero_x, layer.zero_y = 5, 3
    return layer


def huge_bias(name: str) -> Mac:
    """|A| > 2^24 within a few units of a tie of A * 2^-20: binary32 drops the bits that decide."""
    layer = exact(
        name,
        "conv2d",
        (1, 12, 12, 8),
        (16, 3, 3, 8),
        scale_x=2.0**-4,
        scale_w=2.0**-10,
        scale_y=2.0**6,
        limit_x=1,
        limit_w=1,
        zero_y=-1,
    )
    layer.bias = (seeded(name + " bias").integers(-100, 101, 16) * 2**20 + 2**19).astype(np.int32)
    return layer


def left_shift_overflows(name: str) -> Mac:
    """M = 100 is a left shift by 7 before the multiplication: sums of 2^25 and more leave int32 there."""
    layer = exact(
        name, "conv2d", (1, 8, 8, 4), (16, 2, 2, 4), scale_x=1.0, scale_w=100.0, scale_y=1.0, limit_x=127, limit_w=127
    )
    layer.bias = (np.array([2**24, 2**25, 2**26, -(2**24), -(2**25), 2**30, -(2**30), 0] * 2)).astype(np.int32)
    return layer


def overflows(name: str) -> Mac:
    """The same multiplier after a multiplication in floating point: the rounded result does not fit int32."""
    layer = exact(
        name, "linear", (32, 16), (16, 16), scale_x=1.0, scale_w=100.0, scale_y=1.0, limit_x=127, limit_w=127, zero_y=2
    )
    layer.bias = (np.array([2**24, 2**25, 2**26, -(2**24), -(2**25), 2**30, -(2**30), 0] * 2)).astype(np.int32)
    return layer


def extremes(name: str) -> Mac:
    """Ends of the codes only: products of pairs leave int16, and weights of -128 have no negative."""
    layer = typical(name, "conv2d", (1, 12, 12, 16), (16, 3, 3, 16), zero_x=-1, zero_y=1, gain=0.25)
    rng = seeded(name + " ends")
    layer.x = rng.choice(np.array([-128, -127, 127], np.int8), layer.x.shape)
    layer.weight = rng.choice(np.array([-128, 127], np.int8), layer.weight.shape)
    return layer


def dead_channels(name: str) -> Mac:
    """Channels whose weights are all zero, with the tiny scale that converters then give and a bias counted in it."""
    layer = typical(name, "conv2d", (1, 8, 8, 8), (16, 3, 3, 8), zero_x=-7, zero_y=-3)
    scales = np.array(layer.scale_w)
    for channel, scale in ((0, 1e-9), (3, 2.0**-20), (7, 1e-12), (11, 1e-5)):
        layer.weight[channel] = 0
        scales[channel] = scale
        target = 40.0 * layer.scale_y / (layer.scale_x * scale)
        layer.bias[channel] = int(min(target, INT32_MAX))
    layer.scale_w = scales
    return layer


def product(name: str, op: str, scale_w: float | np.ndarray, shape_x: tuple[int, ...], shape_w: tuple[int, ...]) -> Mac:
    """s_x * s_w = 1 + 2^-11 + 2^-24, which binary32 rounds to 1 + 2^-11 = s_y / 2: the multiplier is 1/2 exactly where
    the product is formed in binary32 (odd sums are ties), and a little more where it is formed in binary64."""
    return exact(
        name,
        op,
        shape_x,
        shape_w,
        scale_x=1 + 2.0**-12,
        scale_w=scale_w,
        scale_y=2 * (1 + 2.0**-11),
        limit_x=3,
        limit_w=3,
        bias_limit=9,
    )


def signed_layers() -> list[Mac]:
    near = 1 + 2.0**-12
    scales3 = np.array([2.0**-3, 3 * 2.0**-5, 5 * 2.0**-6, 2.0**-5] * 4, np.float32)
    powers = np.array([2.0**-k for k in (1, 2, 3, 4, 5, 6, 7, 8)] * 2, np.float32)
    large = np.array([0.5, 1, 1.5, 3, 5, 100, 0.25, 0.75] * 2, np.float32)
    tiny = np.array([2.0**-e for e in (16, 20, 24, 26, 28, 29, 30, 31)] * 2, np.float32)
    layers = [
        typical("conv2d_per_channel", "conv2d", (1, 14, 14, 8), (24, 3, 3, 8), same=True, zero_x=3, zero_y=-5),
        typical(
            "conv2d_per_tensor", "conv2d", (1, 14, 14, 8), (24, 3, 3, 8), per_channel=False, zero_x=-128, zero_y=-128
        ),
        typical("conv2d_relu", "conv2d", (1, 12, 12, 8), (24, 3, 3, 8), zero_x=-1, zero_y=-20, activation="relu"),
        typical(
            "conv2d_relu6",
            "conv2d",
            (1, 12, 12, 8),
            (24, 3, 3, 8),
            zero_x=0,
            zero_y=-128,
            activation="relu6",
            scale_y=6 / 255,
        ),
        typical(
            "conv2d_relu6_half_even",
            "conv2d",
            (1, 10, 10, 8),
            (16, 3, 3, 8),
            zero_y=-2,
            activation="relu6",
            scale_y=12 / 9,
        ),
        typical(
            "conv2d_relu6_half_odd",
            "conv2d",
            (1, 10, 10, 8),
            (16, 3, 3, 8),
            zero_y=-7,
            activation="relu6",
            scale_y=12 / 5,
        ),
        typical(
            "conv2d_stride_same", "conv2d", (1, 15, 16, 8), (32, 3, 3, 8), same=True, stride=(2, 2), zero_x=17, zero_y=1
        ),
        typical(
            "conv2d_dilation", "conv2d", (1, 16, 16, 8), (16, 3, 3, 8), same=True, dilation=(2, 2), zero_x=-31, zero_y=0
        ),
        typical("conv2d_groups", "conv2d", (1, 12, 12, 16), (24, 3, 3, 4), groups=4, same=True, zero_x=5, zero_y=8),
        typical("conv2d_1x1", "conv2d", (1, 16, 16, 24), (24, 1, 1, 24), zero_x=127, zero_y=127),
        typical("conv2d_saturating", "conv2d", (1, 12, 12, 8), (24, 3, 3, 8), gain=4.0, zero_x=2, zero_y=-9),
        exact(
            "conv2d_ties",
            "conv2d",
            (1, 16, 16, 4),
            (16, 3, 3, 4),
            scale_x=0.5,
            scale_w=powers,
            scale_y=4.0,
            limit_x=9,
            limit_w=9,
            bias_limit=40,
            zero_x=1,
            zero_y=1,
        ),
        exact(
            "conv2d_three_quarters",
            "conv2d",
            (1, 16, 16, 4),
            (16, 3, 3, 4),
            scale_x=0.5,
            scale_w=scales3,
            scale_y=2.0,
            limit_x=15,
            limit_w=15,
            bias_limit=100,
            zero_x=-2,
            zero_y=-4,
        ),
        exact(
            "conv2d_multiplier_above_one",
            "conv2d",
            (1, 10, 10, 2),
            (16, 2, 2, 2),
            scale_x=1.0,
            scale_w=large,
            scale_y=1.0,
            limit_x=4,
            limit_w=3,
            bias_limit=12,
            zero_y=-3,
        ),
        exact(
            "conv2d_multiplier_tiny",
            "conv2d",
            (1, 10, 10, 8),
            (16, 3, 3, 8),
            scale_x=1.0,
            scale_w=tiny,
            scale_y=1.0,
            limit_x=127,
            limit_w=127,
            bias=np.array([(INT32_MAX >> k) * s for k in (0, 1, 2, 3) for s in (1, -1)] * 2, np.int32),
        ),
        wrapping("conv2d_accumulator_wraps", "conv2d", (1, 10, 10, 8), (16, 3, 3, 8)),
        huge_bias("conv2d_bias_beyond_24_bits"),
        dead_channels("conv2d_dead_channels"),
        left_shift_overflows("conv2d_left_shift_overflows"),
        extremes("conv2d_extremes"),
        product("conv2d_product_per_tensor", "conv2d", near, (1, 12, 12, 2), (8, 2, 2, 2)),
        typical("depthwise", "depthwise_conv2d", (1, 16, 16, 16), (16, 3, 3, 1), same=True, zero_x=-9, zero_y=5),
        typical(
            "depthwise_multiplier_2",
            "depthwise_conv2d",
            (1, 14, 14, 8),
            (16, 3, 3, 1),
            same=True,
            stride=(2, 2),
            zero_x=3,
            zero_y=-4,
            activation="relu",
        ),
        typical(
            "depthwise_multiplier_3_per_tensor",
            "depthwise_conv2d",
            (1, 12, 12, 5),
            (15, 5, 5, 1),
            per_channel=False,
            zero_x=11,
            zero_y=7,
        ),
        typical(
            "depthwise_no_bias_dilation",
            "depthwise_conv2d",
            (1, 16, 16, 8),
            (8, 3, 3, 1),
            bias=None,
            dilation=(2, 2),
            zero_x=-128,
            zero_y=0,
            targets=("tflite-reference",),
        ),  # the optimized kernel crashes without a bias
        typical(
            "depthwise_relu6",
            "depthwise_conv2d",
            (1, 12, 12, 16),
            (16, 3, 3, 1),
            zero_y=-128,
            activation="relu6",
            scale_y=0.05,
        ),
        exact(
            "depthwise_ties",
            "depthwise_conv2d",
            (1, 16, 16, 16),
            (16, 3, 3, 1),
            scale_x=0.5,
            scale_w=powers,
            scale_y=4.0,
            limit_x=15,
            limit_w=15,
            bias_limit=40,
            same=True,
            zero_x=-1,
            zero_y=3,
        ),
        exact(
            "depthwise_ties_odd_channels",
            "depthwise_conv2d",
            (1, 16, 16, 7),
            (21, 3, 3, 1),
            scale_x=0.5,
            scale_w=0.125,
            scale_y=4.0,
            limit_x=15,
            limit_w=15,
            bias_limit=40,
            same=True,
            zero_x=-1,
            zero_y=3,
        ),
        typical(
            "transposed_stride_2", "conv_transpose2d", (1, 8, 8, 8), (12, 3, 3, 8), stride=(2, 2), zero_x=4, zero_y=-6
        ),
        typical(
            "transposed_same",
            "conv_transpose2d",
            (1, 8, 8, 8),
            (12, 4, 4, 8),
            stride=(2, 2),
            same=True,
            zero_x=-128,
            zero_y=1,
        ),
        typical(
            "transposed_same_odd",
            "conv_transpose2d",
            (1, 8, 8, 8),
            (12, 3, 3, 8),
            stride=(2, 2),
            same=True,
            zero_x=3,
            zero_y=1,
            bias=None,
        ),
        typical(
            "transposed_per_tensor",
            "conv_transpose2d",
            (1, 7, 7, 8),
            (16, 3, 3, 8),
            per_channel=False,
            zero_x=-3,
            zero_y=2,
            activation="relu",
        ),
        typical(
            "transposed_output_padding",
            "conv_transpose2d",
            (1, 7, 7, 8),
            (8, 2, 2, 8),
            stride=(3, 3),
            extra_rows=1,
            zero_x=1,
            zero_y=-1,
        ),
        exact(
            "transposed_ties",
            "conv_transpose2d",
            (1, 9, 9, 4),
            (16, 3, 3, 4),
            scale_x=0.5,
            scale_w=powers,
            scale_y=4.0,
            limit_x=9,
            limit_w=9,
            bias_limit=40,
            stride=(2, 2),
            zero_x=2,
            zero_y=-5,
        ),
        exact(
            "transposed_ties_odd_channels",
            "conv_transpose2d",
            (1, 9, 9, 4),
            (13, 3, 3, 4),
            scale_x=0.5,
            scale_w=0.125,
            scale_y=4.0,
            limit_x=9,
            limit_w=9,
            bias_limit=40,
            stride=(2, 2),
            zero_x=2,
            zero_y=-5,
        ),
        typical("linear_per_tensor", "linear", (64, 48), (64, 48), per_channel=False, zero_x=7, zero_y=-3),
        typical("linear_per_channel", "linear", (64, 48), (64, 48), zero_x=-128, zero_y=-4),
        typical("linear_no_bias", "linear", (64, 40), (48, 40), per_channel=False, bias=None, zero_x=2, zero_y=9),
        typical(
            "linear_per_channel_no_bias_relu",
            "linear",
            (64, 40),
            (48, 40),
            bias=None,
            zero_x=2,
            zero_y=9,
            activation="relu",
        ),
        typical(
            "linear_relu6",
            "linear",
            (64, 40),
            (48, 40),
            per_channel=False,
            zero_y=-127,
            activation="relu6",
            scale_y=0.03,
        ),
        typical("linear_one_row", "linear", (1, 64), (512, 64), per_channel=False, zero_x=-5, zero_y=5),
        exact(
            "linear_ties",
            "linear",
            (96, 16),
            (32, 16),
            scale_x=0.5,
            scale_w=0.25,
            scale_y=4.0,
            limit_x=15,
            limit_w=15,
            bias_limit=40,
            zero_x=1,
            zero_y=1,
        ),
        exact(
            "linear_ties_odd_channels",
            "linear",
            (95, 15),
            (29, 15),
            scale_x=0.5,
            scale_w=0.25,
            scale_y=2.0,
            limit_x=15,
            limit_w=15,
            bias_limit=40,
            zero_x=-3,
            zero_y=4,
        ),
        wrapping("linear_accumulator_wraps", "linear", (32, 32), (32, 32)),
        product("depthwise_product_per_tensor", "depthwise_conv2d", near, (1, 12, 12, 8), (8, 2, 2, 1)),
        product("transposed_product_per_tensor", "conv_transpose2d", near, (1, 8, 8, 2), (8, 2, 2, 2)),
        overflows("linear_product_leaves_int32"),
        product("linear_product_per_tensor", "linear", near, (64, 8), (32, 8)),
        product("linear_product_per_channel", "linear", np.full(32, near, np.float32), (64, 8), (32, 8)),
    ]
    return layers


def layers() -> list[Mac]:
    return signed_layers() + association_layers() + unsigned_layers() + wide_layers()
