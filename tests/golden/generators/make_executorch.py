"""Golden vectors of ExecuTorch's XNNPACK delegate: int8 static quantization as XNNPACKQuantizer and PT2E make it.

python make_executorch.py [--out DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from executorch_layers import Elementwise, F, Layer, QPair, execute
from vectors import write_case

import torch  # noqa: E402  (after executorch_layers, which silences its imports)
import torch.nn.functional as functional  # noqa: E402
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # noqa: E402
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # noqa: E402

TARGET = "executorch-xnnpack"


def int8(seed: int, shape: tuple[int, ...], low: int = -128, high: int = 127) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(np.int8)


class Writer:
    def __init__(self, out: Path) -> None:
        from importlib.metadata import version

        self.out, self.version = out, version("executorch")

    def base(self, op: str) -> dict[str, Any]:
        return {"runtime": "executorch", "version": self.version, "kernel": "XNNPACK delegate", "op": op}

    def mac(
        self,
        name: str,
        op: str,
        layer: Layer,
        x: np.ndarray,
        y: np.ndarray,
        bias: np.ndarray | None,
        bias_int: np.ndarray | None,
        attributes: dict[str, Any],
    ) -> None:
        scales = layer.sw.tolist() if layer.per_channel else [float(F(layer.sw))]
        case = self.base(op) | {
            "attributes": attributes,
            "input": {"dtype": "int8", "scale": float(layer.qx[0]), "zero_point": int(layer.qx[1])},
            "weight": {
                "dtype": "int8",
                "scales": scales,
                "zero_points": [0] * len(scales),
                "axis": layer.axis if layer.per_channel else None,
            },
            "output": {"dtype": "int8", "scale": float(layer.qy[0]), "zero_point": int(layer.qy[1])},
            "activation": layer.activation,
        }
        if op != "linear":
            case["layout"] = "NCHW"
        arrays = {"input": x, "weight": layer.w.numpy(), "output": y}
        if bias is not None:
            arrays |= {"bias": bias, "bias_int": bias_int}
        write_case(self.out, TARGET, name, case, arrays)


def default_scales(seed: int, per_channel: bool, channels: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.001, 0.006, channels).astype(F) if per_channel else F(0.00371)


def add_layer(
    writer: Writer,
    name: str,
    op: str,
    seed: int,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    *,
    per_channel: bool = True,
    stride: list[int] | None = None,
    padding: list[int] | None = None,
    dilation: int = 1,
    groups: int = 1,
    output_padding: int = 0,
    activation: str = "none",
    x: np.ndarray | None = None,
    w: np.ndarray | None = None,
    sw: np.ndarray | None = None,
    bias: np.ndarray | str | None = "random",
    sx: float = 0.0231,
    zx: int = -11,
    sy: float | None = None,
    zy: int = 7,
    step: float | None = None,
) -> None:
    """A layer of random codes; what a case is about is given. `step` is the multiplier M to aim at."""
    spatial = len(w_shape) - 2
    transposed = op == "conv_transpose2d"
    channels = w_shape[1] * groups if transposed else w_shape[0]
    stride, padding = stride or [1] * spatial, padding if padding is not None else [1] * spatial
    attributes: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "dilation": [dilation] * spatial,
        "groups": groups,
    }
    if transposed:
        attributes["output_padding"] = [output_padding] * spatial
    x = int8(seed, x_shape) if x is None else x
    w = int8(seed + 1000, w_shape, -127) if w is None else w
    sw = default_scales(seed, per_channel, channels) if sw is None else sw
    terms = int(np.prod(w_shape[2:])) * w_shape[0] // groups if transposed else int(np.prod(w_shape[1:]))
    step = step if step is not None else 50 / (74 * 74 * np.sqrt(terms))
    sy = F(F(sx) * np.mean(sw) / step) if sy is None else F(sy)
    if isinstance(bias, str):
        bias = (np.random.default_rng(seed + 2000).uniform(-40, 40, channels) * sy).astype(F)

    def operation(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
        if op == "linear":
            return functional.linear(x, w, b)
        if transposed:
            return functional.conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation)
        return {1: functional.conv1d, 2: functional.conv2d}[spatial](x, w, b, stride, padding, dilation, groups)

    layer = Layer(operation, w, sw, bias, (F(sx), zx), (sy, zy), activation, axis=1 if transposed else 0)
    y, bias_int = execute(layer, [x], [layer.qx], layer.qy)
    writer.mac(name, op, layer, x, y, bias, bias_int, {} if op == "linear" else attributes)


def layer_cases(writer: Writer) -> None:
    def add(*args: Any, **options: Any) -> None:
        add_layer(writer, *args, **options)

    add("conv_per_channel", "conv2d", 1, (1, 8, 15, 17), (16, 8, 3, 3))
    add("conv_per_tensor", "conv2d", 2, (1, 8, 15, 17), (16, 8, 3, 3), per_channel=False, zx=-128, zy=-1)
    add(
        "conv_no_bias_stride",
        "conv2d",
        3,
        (2, 7, 14, 15),
        (15, 7, 3, 3),
        bias=None,
        stride=[2, 1],
        padding=[2, 1],
        zx=127,
    )
    add("conv_groups_dilation", "conv2d", 4, (1, 9, 15, 16), (12, 3, 3, 3), groups=3, dilation=2, padding=[2, 2])
    add("conv_pointwise", "conv2d", 5, (1, 33, 9, 11), (31, 33, 1, 1), padding=[0, 0])
    add("conv1d", "conv1d", 6, (1, 8, 151), (16, 8, 5), padding=[2])
    add("depthwise_per_channel", "depthwise_conv2d", 7, (1, 19, 15, 14), (19, 1, 3, 3), groups=19)
    add("depthwise_per_tensor", "depthwise_conv2d", 8, (1, 16, 15, 14), (16, 1, 3, 3), groups=16, per_channel=False)
    add(
        "depthwise_5x5_stride",
        "depthwise_conv2d",
        9,
        (1, 16, 19, 18),
        (16, 1, 5, 5),
        groups=16,
        stride=[2, 1],
        padding=[2, 2],
    )
    add("depthwise_multiplier_2", "depthwise_conv2d", 10, (1, 8, 15, 14), (16, 1, 3, 3), groups=8)
    add("transposed_per_channel", "conv_transpose2d", 11, (1, 6, 9, 8), (6, 10, 3, 3), stride=[2, 2], output_padding=1)
    add(
        "transposed_groups_per_tensor",
        "conv_transpose2d",
        12,
        (1, 6, 9, 8),
        (6, 4, 3, 3),
        stride=[2, 2],
        groups=2,
        per_channel=False,
    )
    add("linear_per_channel", "linear", 13, (61, 37), (43, 37))
    add("linear_per_tensor_no_bias", "linear", 14, (61, 37), (43, 37), per_channel=False, bias=None)
    add("linear_relu", "linear", 15, (61, 37), (43, 37), activation="relu", zy=-37)
    add("conv_relu_lowest", "conv2d", 16, (1, 8, 15, 17), (16, 8, 3, 3), activation="relu", zy=-128)
    add("conv_relu_odd", "conv2d", 17, (1, 8, 15, 17), (16, 8, 3, 3), activation="relu", zy=-31)
    add("conv_relu6", "conv2d", 18, (1, 8, 15, 17), (16, 8, 3, 3), activation="relu6", zy=-100, sy=0.0305)
    # The upper limit is RNE(fl(6 / s_y) + z_y). 6 / 4 + -3 is -1.5, so -2: added after rounding it would be -1. With
    # z_y = -4 a floor would give -3. The float below 2.4 makes 6 / s_y 2.5000002, and 6 * fl(1 / s_y) 2.5.
    for name, sy, zy in (("odd", 4.0, -3), ("even", 4.0, -4), ("division", 2.3999998569488525, -6)):
        add(
            f"conv_relu6_limit_tie_{name}", "conv2d", 19, (1, 8, 9, 10), (16, 8, 3, 3), activation="relu6", zy=zy, sy=sy
        )


def edge_cases(writer: Writer) -> None:
    def add(name: str, seed: int, **options: Any) -> None:
        add_layer(writer, name, "conv2d", seed, (1, 8, 13, 14), (16, 8, 3, 3), **options)

    halves = np.array(
        [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 100.5, -12.5, 7.5, -3.5, 1000.5, 31.5, 40000.5, -70000.5, 16777217.0, 5.0]
    )
    sx = F(0.0231)
    power = np.full(16, 2.0**-8, F)
    add("bias_ties", 30, sx=2.0**-5, sw=power, bias=(halves * 2.0**-13).astype(F), sy=1.0)
    # Per channel the bias scale is a float product, its reciprocal a float; per tensor both are formed in binary64.
    sw = default_scales(31, True, 16)
    add("bias_near_ties_per_channel", 31, sw=sw, bias=(halves * (sx * sw)).astype(F))
    for n in range(3):
        sw = F(0.00371) * F(1 + n / 7)
        add(f"bias_near_ties_per_tensor_{n}", 32 + n, sw=sw, bias=(halves * float(sx) * float(sw)).astype(F))
    # Without weights an overflowing bias shows whether it became 2^31 - 1 or -2^31, neighbours when sums wrap.
    steps = np.array(
        [
            2.0**31,
            -(2.0**31),
            3e9,
            -3e9,
            2147483520,
            -2147483648,
            2**31 - 200,
            2**30,
            -(2**30),
            1e10,
            -1e10,
            2**24 + 1,
            2**25 + 3,
            -(2**26) - 9,
            2**28 + 33,
            0,
        ]
    )
    w = int8(1035, (16, 8, 3, 3), -127)
    w[:7] = 0
    add("bias_overflow", 35, w=w, sx=2.0**-5, sw=power, bias=(steps * 2.0**-13).astype(F), step=2.0**-25)
    add(
        "sum_wraps",
        36,
        sx=2.0**-5,
        sw=power,
        bias=(np.where(np.abs(steps) < 2**31, steps, 2147483520) * 2.0**-13).astype(F),
        step=2.0**-25,
    )

    ones = int8(1037, (16, 8, 3, 3), -1, 1)
    small = (np.arange(-8, 8) * 2.0**-9).astype(F)
    # M = 1/8: A % 8 == 4 is a tie of either sign. The next two are 1/8 only by fl(fl(s_x * s_w) / s_y).
    add("ties_odd_zero_point", 37, w=ones, sx=2.0**-4, sw=np.full(16, 2.0**-5, F), bias=small, sy=2.0**-6, zy=-27)
    add("multiplier_by_division", 38, w=ones, sx=41 / 1024, sw=np.full(16, 2.0**-5, F), bias=None, sy=41 / 4096, zy=-27)
    sw = next(
        F(0.03 + n / 4096)
        for n in range(1000)
        if F(float(sx) * float(F(0.03 + n / 4096)) / float(F(sx * F(0.03 + n / 4096)) * F(8))) < F(0.125)
    )
    for name, scales in (("per_channel", np.full(16, sw)), ("per_tensor", sw)):
        add(
            f"multiplier_of_float_product_{name}", 39, w=ones, sx=sx, sw=scales, bias=None, sy=F(sx * sw) * F(8), zy=-27
        )
    add("multiplier_above_one", 40, step=1.37)
    # M = 128: sums past 2^24 make products past 2^31, which are clamped before they are converted.
    big = np.array([2**30, -(2**30), 2**24, -(2**24), 2**31 - 2**20, -(2**31), 1, 0] * 2)
    add("multiplier_128", 41, sx=0.5, sw=np.full(16, 0.5, F), sy=2.0**-9, bias=(big * 0.25).astype(F))
    add("multiplier_tiny", 42, sx=2.0**-5, sw=power, sy=2.0**18, bias=(big * 2.0**-13).astype(F))


def quantizer_cases(writer: Writer) -> None:
    """Layers that XNNPACKQuantizer, prepare_pt2e and convert_pt2e quantize, with the observers' own scales."""
    for name, op, module, shape, activation in (
        (
            "conv_relu",
            "conv2d",
            torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3, padding=1), torch.nn.ReLU()),
            (1, 8, 15, 17),
            "relu",
        ),
        ("linear", "linear", torch.nn.Sequential(torch.nn.Linear(37, 43)), (61, 37), "none"),
    ):
        rng = np.random.default_rng(50)
        parameters = [p for p in module.parameters()]
        with torch.no_grad():
            for p in parameters:
                p.copy_(torch.from_numpy(rng.uniform(-0.2, 0.2, tuple(p.shape)).astype(F)))
        sample = (torch.from_numpy(rng.uniform(-3, 4, shape).astype(F)),)
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        prepared = prepare_pt2e(torch.export.export(module.eval(), sample).module(), quantizer)
        prepared(*sample)
        converted = convert_pt2e(prepared)
        activations = [
            n.args
            for n in converted.graph.nodes
            if "quantize_per_tensor" in str(n.target) and "dequantize" not in str(n.target)
        ]
        (weight,) = [n for n in converted.graph.nodes if "dequantize_per_channel" in str(n.target)]
        w, sw = (getattr(converted, str(arg.target)).detach().numpy() for arg in weight.args[:2])
        qx, qy = ((F(args[1]), int(args[2])) for args in (activations[0], activations[-1]))
        x = int8(51, shape)
        y, bias_int = execute(converted_module(converted), [x], [qx], qy)
        layer = Layer(functional.linear, w, sw, None, qx, qy, activation)
        attributes = {} if op == "linear" else {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
        writer.mac(f"quantizer_{name}", op, layer, x, y, parameters[1].detach().numpy(), bias_int, attributes)


def converted_module(converted: torch.fx.GraphModule) -> torch.nn.Module:
    """convert_pt2e's modules refuse eval(); they need none, having neither dropout nor batch normalization."""
    converted.eval = lambda: converted
    return converted


def elementwise_cases(writer: Writer) -> None:
    def add(
        name: str,
        op: str,
        operation: Any,
        tensors: list[np.ndarray],
        inputs: list[QPair],
        output: QPair,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        def describe(q: QPair) -> dict[str, Any]:
            return {"dtype": "int8", "scale": float(F(q[0])), "zero_point": q[1]}

        inputs, output = [(F(s), z) for s, z in inputs], (F(output[0]), output[1])
        y, _ = execute(Elementwise(operation, inputs, output), tensors, inputs, output)
        single = len(tensors) == 1
        case = writer.base(op) | {
            "layout": "NCHW",
            "attributes": attributes or {},
            "output": describe(output),
            "input": describe(inputs[0]) if single else [describe(q) for q in inputs],
        }
        arrays = {"input" if single else f"input_{i}": t for i, t in enumerate(tensors)}
        write_case(writer.out, TARGET, name, case, arrays | {"output": y})

    # Every third pair of codes, an odd number of them less one: tails after the last full vector.
    codes = np.arange(0, 65536, 3)
    pairs = [(v - 128).astype(np.int8).reshape(1, 1, 1, -1) for v in (codes // 256, codes % 256)]
    for name, inputs, output in (
        ("general", [(0.0231, -11), (0.0412, -35)], (0.0517, -7)),
        ("ties", [(0.0625, -27), (0.03125, 2)], (0.125, -1)),
        # ratios 1/3 and 1/2: only with 21-bit multipliers is every tie where it is
        ("multipliers", [(0.015, 4), (0.0225, -22)], (0.045, 8)),
    ):
        add(f"add_{name}", "add", lambda a, b: a + b, pairs, inputs, output)
    for name, inputs, output in (
        ("general", [(0.0231, -11), (0.0412, -35)], (0.0931, -7)),
        ("ties", [(0.0625, -27), (0.03125, 2)], (0.125, -1)),
    ):
        add(f"mul_{name}", "mul", lambda a, b: a * b, pairs, inputs, output)
    for name, shape, source, output in (
        ("ties", (4, 203, 4, 4), (0.0625, -11), (0.0625, -7)),
        ("small_sums", (1, 601, 2, 5), (0.0473, 57), (0.0473, 0)),
        ("reciprocal", (1, 601, 3, 6), (0.0591, -101), (0.1773, 3)),
        ("general", (1, 203, 3, 7), (0.0231, -11), (0.0059, 3)),
    ):
        x = int8(70, shape) if name in ("ties", "general") else int8(71, shape, source[1] - 6, source[1] + 6)
        add(
            f"mean_{name}",
            "mean",
            lambda a: a.mean((2, 3), keepdim=True),
            [x],
            [source],
            output,
            {"axes": [2, 3], "keep_dims": True},
        )
    same = (0.0231, -11)
    add(
        "max_pool",
        "max_pool2d",
        lambda a: functional.max_pool2d(a, (3, 2), (2, 1), (1, 1)),
        [int8(72, (1, 8, 15, 14))],
        [same],
        same,
        {"kernel": [3, 2], "stride": [2, 1], "padding": [1, 1], "ceil_mode": False},
    )
    add(
        "concat",
        "concat",
        lambda a, b: torch.cat([a, b], 1),
        [int8(73, (1, 3, 9, 7)), int8(74, (1, 5, 9, 7))],
        [same, same],
        same,
        {"axis": 1},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "vectors")
    writer = Writer(parser.parse_args().out)
    layer_cases(writer)
    edge_cases(writer)
    quantizer_cases(writer)
    elementwise_cases(writer)


if __name__ == "__main__":
    main()
