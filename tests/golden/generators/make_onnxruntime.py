"""Golden vectors of ONNX Runtime's CPU provider: QLinear operators, fused QDQ graphs, elementwise operators.

  python make_onnxruntime.py [--out DIR]
  qemu-x86_64-static -cpu max python make_onnxruntime.py --simulated [--out DIR]

The second form, on a CPU without AVX512-VNNI, writes only the cases whose result depends on that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import onnx_elementwise
import onnx_graphs as graphs
import onnx_tool
from vectors import write_case

F = np.float32
TARGET = "onnxruntime"
FLOAT_BIAS_TARGET = "onnxruntime-float-bias"  # a QDQ graph whose bias is float: the session quantizes it, not the tool


def has_vnni() -> bool:
    return bool(np._core._multiarray_umath.__cpu_features__["AVX512VNNI"])


def full_range(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


class Writer:
    def __init__(self, out: Path, simulated: bool) -> None:
        self.out = out
        self.host = {"vnni": has_vnni(), "simulated": simulated}

    def base(self, op: str, kernel: str) -> dict[str, Any]:
        return {"runtime": "onnxruntime", "version": ort.__version__, "kernel": kernel, "op": op}

    def mac(
        self,
        name: str,
        op: str,
        kernel: str,
        mac: graphs.Mac,
        y: np.ndarray,
        *,
        activation: str = "none",
        attributes: dict[str, Any] | None = None,
        target: str = TARGET,
        bias: np.ndarray | None = None,
    ) -> None:
        """`bias` is the float bias where the runtime's tool or session made the integer one from it."""
        per_channel = np.ndim(mac.sw) > 0 and np.size(mac.sw) > 1
        scales = [float(s) for s in np.ravel(mac.sw)]
        case = self.base(op, kernel) | {
            "host": self.host,
            "layout": "NCHW",
            "attributes": attributes or {},
            "input": {"dtype": str(mac.x.dtype), "scale": float(mac.sx), "zero_point": int(mac.zx)},
            "weight": {
                "dtype": str(mac.w.dtype),
                "scales": scales,
                "zero_points": [int(mac.zw)] * len(scales),
                "axis": 0 if per_channel else None,
            },
            "output": {"dtype": str(y.dtype), "scale": float(mac.sy), "zero_point": int(mac.zy)},
            "activation": activation,
        }
        if op == "linear":
            del case["layout"]
        arrays = {"input": mac.x, "weight": mac.w, "output": y}
        if bias is not None:
            arrays["bias"] = bias
        if mac.b is not None:
            arrays["bias_int"] = mac.b
        write_case(self.out, target, name, case, arrays)


def layer(
    seed: int,
    types: str = "u8s8",
    x_shape: tuple[int, ...] = (1, 8, 15, 17),
    w_shape: tuple[int, ...] = (16, 8, 3, 3),
    *,
    stride: int | list[int] = 1,
    padding: int | list[int] = 1,
    dilation: int = 1,
    groups: int = 1,
    per_channel: bool = True,
    bias: bool = True,
    zx: int | None = None,
    zy: int | None = None,
    zw: int = 0,
    sx: float = 0.0231,
    step: float | None = None,
    weights: tuple[int, int] | None = None,
) -> tuple[graphs.Mac, dict[str, Any]]:
    """A layer of random codes. `step` is the multiplier M to aim at; by default outputs spread over the whole range."""
    rng = np.random.default_rng(seed)
    x_type, w_type = {"u8u8": ("uint8", "uint8"), "u8s8": ("uint8", "int8"), "s8s8": ("int8", "int8")}[types]
    spatial = len(w_shape) - 2
    strides = stride if isinstance(stride, list) else [stride] * spatial
    paddings = padding if isinstance(padding, list) else [padding] * spatial
    low = np.iinfo(x_type).min
    x = full_range(rng, x_type, x_shape)
    w = (
        full_range(rng, w_type, w_shape)
        if weights is None
        else rng.integers(*weights, w_shape, endpoint=True).astype(w_type)
    )
    terms = int(np.prod(w_shape[1:]))
    sw = rng.uniform(0.001, 0.006, w_shape[0]).astype(F) if per_channel else F(0.00371)
    aim = step if step is not None else 50 / (74 * 74 * np.sqrt(terms))
    b = rng.integers(-40 / aim, 40 / aim, w_shape[0]).astype(np.int32) if bias else None
    attributes = {"stride": strides, "padding": paddings, "dilation": [dilation] * spatial, "groups": groups}
    mac = graphs.Mac(
        x=x,
        w=w,
        b=b,
        sx=F(sx),
        zx=low + 117 if zx is None else zx,
        sw=sw,
        zw=zw,
        sy=F(F(sx) * np.mean(sw) / aim),
        zy=low + 121 if zy is None else zy,
        attributes=graphs.conv_attributes(strides, paddings, [dilation] * spatial, groups) if spatial > 0 else {},
    )
    return mac, attributes if spatial > 0 else {}


def product_rounded_up(shape_of_sw: np.ndarray) -> tuple[np.float32, np.ndarray, np.float32]:
    """s_x, s_w, s_y where fl(s_x * s_w) / s_y is 1/8 and s_x * s_w / s_y rounded to float is less."""
    sx = F(0.0231)
    for step in range(1000):
        sw = F(0.03 + step / 4096)
        sy = F(sx * sw) * F(8)
        if F(float(sx) * float(sw) / float(sy)) < F(0.125):
            return sx, np.full_like(shape_of_sw, sw), sy
    raise RuntimeError("no such scales")


def conv_cases(writer: Writer) -> None:
    def add(name: str, op: str, *args: Any, **options: Any) -> None:
        mac, attributes = layer(*args, **options)
        writer.mac(name, op, "QLinearConv", mac, graphs.qlinear_conv(mac), attributes=attributes)

    add("conv_u8u8_per_tensor", "conv2d", 1, "u8u8", per_channel=False, zw=129)
    add("conv_u8u8_per_channel", "conv2d", 2, "u8u8", zw=134, zx=0, zy=255)
    add("conv_u8s8_per_tensor_no_bias", "conv2d", 3, "u8s8", per_channel=False, bias=False, zx=255, zy=0)
    add(
        "conv_u8s8_per_channel_stride_asymmetric",
        "conv2d",
        4,
        "u8s8",
        (2, 6, 14, 15),
        (15, 6, 3, 3),
        stride=2,
        padding=[0, 1, 2, 1],
    )
    add("conv_s8s8_per_channel", "conv2d", 5, "s8s8", zx=-128, zy=-1)
    add(
        "conv_s8s8_per_tensor_dilation_groups",
        "conv2d",
        6,
        "s8s8",
        (1, 8, 17, 16),
        (12, 2, 3, 3),
        groups=4,
        dilation=2,
        padding=2,
        per_channel=False,
        zw=0,
    )
    add("conv_u8s8_groups", "conv2d", 7, "u8s8", (1, 12, 13, 14), (18, 4, 3, 3), groups=3, padding=[1, 0, 1, 2])
    add("conv_u8s8_pointwise", "conv2d", 8, "u8s8", (1, 33, 9, 11), (31, 33, 1, 1), padding=0)
    add("conv1d_s8s8", "conv1d", 9, "s8s8", (1, 8, 151), (16, 8, 5), padding=2, stride=[1])
    add("conv3d_u8s8", "conv3d", 10, "u8s8", (1, 3, 6, 7, 8), (8, 3, 2, 3, 3))
    add(
        "depthwise_u8s8_dilation",
        "depthwise_conv2d",
        11,
        "u8s8",
        (1, 16, 15, 14),
        (16, 1, 3, 3),
        groups=16,
        dilation=2,
        padding=2,
    )
    add(
        "depthwise_s8s8_stride",
        "depthwise_conv2d",
        12,
        "s8s8",
        (1, 19, 17, 16),
        (19, 1, 5, 5),
        groups=19,
        stride=[2, 1],
        padding=[2, 2, 1, 2],
    )
    add("depthwise_u8u8", "depthwise_conv2d", 13, "u8u8", (1, 16, 15, 14), (16, 1, 3, 3), groups=16, zw=131)
    add("depthwise_u8s8_multiplier_2", "depthwise_conv2d", 14, "u8s8", (1, 8, 15, 14), (16, 1, 3, 3), groups=8)


def linear_cases(writer: Writer) -> None:
    shapes = ((61, 37), (43, 37))  # 43 columns and 61 rows: vector bodies and scalar tails
    for seed, types, options in ((20, "u8u8", {"zw": 121, "per_channel": False}), (21, "u8s8", {}), (22, "s8s8", {})):
        mac, _ = layer(seed, types, *shapes, bias=False, **options)
        writer.mac(f"linear_matmul_{types}", "linear", "QLinearMatMul", mac, graphs.qlinear_matmul(mac))
    for seed, types, options in ((23, "u8u8", {"zw": 3}), (24, "u8s8", {}), (25, "s8s8", {"per_channel": False})):
        mac, _ = layer(seed, types, *shapes, **options)
        writer.mac(f"linear_gemm_{types}", "linear", "QGemm", mac, graphs.qgemm(mac))


def edge_cases(writer: Writer) -> None:
    kernels = {"QLinearConv": graphs.qlinear_conv, "QGemm": graphs.qgemm}

    def add(name: str, mac: graphs.Mac, attributes: dict[str, Any], kernel: str = "QLinearConv") -> None:
        op = "linear" if kernel == "QGemm" else "conv2d"
        writer.mac(name, op, kernel, mac, kernels[kernel](mac), attributes=attributes)

    for types in ("u8u8", "u8s8", "s8s8"):
        # M = 1/8 exactly: A % 8 == 4 is a tie, of either sign; RNE(v) + z_y differs from RNE(v + z_y) for an odd z_y.
        mac, attributes = layer(
            30,
            types,
            per_channel=types == "s8s8",
            weights=(0, 1) if types == "u8u8" else (-1, 1),
            sx=0.0625,
            zy={"s8s8": -27}.get(types, 101),
        )
        mac.sw, mac.sy = np.full_like(mac.sw, 0.03125), F(0.015625)
        mac.b = np.arange(-8, 8).astype(np.int32)
        add(f"ties_odd_zero_point_{types}", mac, attributes)

        # M = 1/8 only if formed as fl(fl(s_x * s_w) / s_y). As 41 * fl(1/41) is 1 - 2^-24, a reciprocal of s_y misses.
        mac.sx, mac.sw, mac.sy = F(41 / 1024), np.full_like(mac.sw, 0.03125), F(41 / 4096)
        add(f"multiplier_by_division_{types}", mac, attributes)
        # fl(s_x * s_w) is above s_x * s_w by so much that a quotient of the binary64 product rounds to less than 1/8.
        mac.sx, mac.sw, mac.sy = product_rounded_up(mac.sw)
        add(f"multiplier_of_float_product_{types}", mac, attributes)

        # M = 2^9: products past 2^31 are clamped as floats, so they end at the upper limit, not at INT32_MIN's.
        mac, attributes = layer(31, types, (1, 4, 9, 13), (8, 4, 3, 3), per_channel=False, sx=0.5)
        mac.sw, mac.sy = F(0.5), F(2.0**-11)
        mac.b = np.array([2**30, -(2**30), 2**22, -(2**22), 2**31 - 1, -(2**31), 1, 0], np.int32)
        add(f"multiplier_512_{types}", mac, attributes)

        # |A + q_b| > 2^24 loses low bits in float; q_b near 2^31 makes the int32 sum wrap.
        mac, attributes = layer(32, types, step=2.0**-25)
        mac.b = np.array(
            [
                2**31 - 1,
                -(2**31),
                2**31 - 70000,
                -(2**31) + 70000,
                2**30 + 3,
                -(2**30) - 5,
                2**24 + 1,
                -(2**24) - 3,
                2**25 + 3,
                2**26 + 9,
                2**28 + 33,
                -(2**29) + 65,
                2**27 + 1,
                -(2**27) - 7,
                0,
                2**24,
            ],
            np.int32,
        )
        mac.w[8] = mac.zw  # a dead channel: its output is its bias alone
        add(f"bias_wraps_and_exceeds_float_{types}", mac, attributes)

    mac, attributes = layer(33, "u8s8", (1, 4, 9, 13), (8, 4, 3, 3), step=1.37)
    add("multiplier_above_one", mac, attributes)
    mac, attributes = layer(34, "u8s8", step=2.0**-33)
    mac.b = np.random.default_rng(34).integers(-(2**31), 2**31, 16).astype(np.int32)
    mac.sw[3] = F(1e-30)  # M = 2^-123 or so
    add("multiplier_tiny", mac, attributes)
    mac, attributes = layer(35, "u8s8", (37, 41), (29, 41), step=0.01)
    mac.x[:19], mac.w[::2], mac.w[1::2] = 255, 127, -128
    add("int16_pairs_linear", mac, {}, "QGemm")
    int16_pairs(writer)


def int16_pairs(writer: Writer) -> None:
    """(255, 255) x (127, 127) is 64770 and in a saturating int16 32767: what vpmaddubsw does and vpdpbusd does not."""
    suffix = "" if writer.host["vnni"] else "_no_vnni"
    for name, op, shapes, options in (
        ("conv", "conv2d", ((1, 7, 11, 12), (9, 7, 3, 3)), {}),
        ("groups", "conv2d", ((1, 9, 11, 12), (12, 3, 3, 3)), {"groups": 3}),
        ("pointwise", "conv2d", ((1, 33, 7, 9), (15, 33, 1, 1)), {"padding": 0}),
        ("depthwise", "depthwise_conv2d", ((1, 16, 11, 12), (16, 1, 3, 3)), {"groups": 16}),
        ("depthwise_multiplier_2", "depthwise_conv2d", ((1, 8, 11, 12), (16, 1, 3, 3)), {"groups": 8}),
    ):
        mac, attributes = layer(36, "u8s8", *shapes, **options)
        mac.x[:, ::2] |= 0xC0
        writer.mac(
            f"int16_pairs_{name}{suffix}", op, "QLinearConv", mac, graphs.qlinear_conv(mac), attributes=attributes
        )
    if not writer.host["vnni"]:
        for types in ("u8u8", "s8s8"):
            mac, attributes = layer(37, types, (1, 7, 11, 12), (9, 7, 3, 3))
            writer.mac(
                f"int16_pairs_{types}{suffix}",
                "conv2d",
                "QLinearConv",
                mac,
                graphs.qlinear_conv(mac),
                attributes=attributes,
            )
        mac, _ = layer(38, "u8s8", (37, 41), (29, 41))
        writer.mac(f"int16_pairs_linear{suffix}", "linear", "QGemm", mac, graphs.qgemm(mac))


def qdq_cases(writer: Writer) -> None:
    """Graphs the session fuses into QLinearConv. An activation fuses only where the output's codes cannot show it:
    relu when z_y is the lowest code, relu6 when moreover s_y * (highest - z_y) <= 6."""
    for seed, types, activation in (
        (40, "u8s8", "none"),
        (41, "u8s8", "relu"),
        (42, "s8s8", "relu"),
        (43, "u8s8", "relu6"),
        (44, "s8s8", "relu6"),
    ):
        lowest = {"u8s8": 0, "s8s8": -128}[types]
        mac, attributes = layer(seed, types, zy=55 if activation == "none" else lowest)
        if activation == "relu6":
            mac.sy = F(6 / 255)
            mac.sw = (mac.sw * F(2)).astype(F)
        y = graphs.qdq_conv(mac, activation).outputs[0]
        writer.mac(
            f"qdq_{types}_{activation}",
            "conv2d",
            "QDQ fused to QLinearConv",
            mac,
            y,
            activation=activation,
            attributes=attributes,
        )


def float_bias_cases(writer: Writer) -> None:
    """QDQ graphs with a float bias: the session's optimizer makes the int32 bias with Mul, Div, Round, Cast nodes."""
    near_ties = np.array(
        [
            0.5,
            1.5,
            2.5,
            -0.5,
            -1.5,
            -2.5,
            100.5,
            16777217.0,
            1000000.5,
            -12.5,
            7.5,
            -3.5,
            2147483520.0,
            0.0,
            3.0e9,
            -3.0e9,
        ]
    )
    for seed, types, per_channel in ((50, "u8s8", True), (51, "u8s8", False), (52, "s8s8", True), (53, "s8s8", False)):
        mac, attributes = layer(seed, types, per_channel=per_channel)
        bias = (near_ties * (mac.sx * mac.sw).astype(F)).astype(F)
        mac.w[14:] = (
            0  # dead channels, or 2^31 - 1 and -2^31 could not be told apart: they are neighbours when sums wrap
        )
        mac.b = bias
        result = graphs.qdq_conv(mac, "none")
        (mac.b,) = [c for c in result.constants.values() if c.dtype == np.int32]
        writer.mac(
            f"float_bias_{types}_{'per_channel' if per_channel else 'per_tensor'}",
            "conv2d",
            "QDQ fused to QLinearConv",
            mac,
            result.outputs[0],
            attributes=attributes,
            bias=bias,
            target=FLOAT_BIAS_TARGET,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "vectors")
    parser.add_argument("--simulated", action="store_true", help="the CPU is an emulated one")
    arguments = parser.parse_args()
    writer = Writer(arguments.out, arguments.simulated)
    if not writer.host["vnni"]:
        int16_pairs(writer)
        return
    conv_cases(writer)
    linear_cases(writer)
    edge_cases(writer)
    qdq_cases(writer)
    float_bias_cases(writer)
    onnx_tool.tool_cases(writer)
    onnx_elementwise.elementwise_cases(writer)


if __name__ == "__main__":
    main()
