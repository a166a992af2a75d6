"""Golden vectors of ONNX Runtime's quantized elementwise and pooling operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

import onnx_graphs as graphs
from vectors import write_case

if TYPE_CHECKING:
    from make_onnxruntime import Writer

F = np.float32
TARGET = "onnxruntime"
# Found by trying random values: the two orders of that fma and no fma at all give different sums.
FMA_SCALES = {
    "uint8": ((0.07644, 114), (0.09828, 239), (0.19656, 195)),
    "int8": ((0.05362, 55), (0.07277, 88), (0.14554, 75)),
}


def codes(seed: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


def all_pairs(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Every third pair of two 8-bit codes and, as 21847 is odd, a tail after the last full vector."""
    pairs = np.arange(0, 65536, 3)
    shift = np.iinfo(dtype).min
    return tuple((v + shift).astype(dtype).reshape(1, 1, 1, -1) for v in (pairs // 256, pairs % 256))


def qparams(dtype: str, scale: float, zero_point: int) -> dict[str, Any]:
    return {"dtype": dtype, "scale": float(F(scale)), "zero_point": zero_point}


def evaluate(
    operator: str, tensors: list[np.ndarray], inputs: list[dict[str, Any]], output: dict[str, Any], **attributes: Any
) -> np.ndarray:
    """Runs com.microsoft's `operator`. QLinearConcat takes its output's qparams first, the others last."""
    feeds = {f"x{i}": tensor for i, tensor in enumerate(tensors)}
    constants: dict[str, np.ndarray] = {}
    names: list[str] = []
    for i, q in enumerate(inputs):
        constants |= {f"s{i}": F(q["scale"]), f"z{i}": np.dtype(q["dtype"]).type(q["zero_point"])}
        names += [f"x{i}", f"s{i}", f"z{i}"]
    constants |= {"sy": F(output["scale"]), "zy": np.dtype(output["dtype"]).type(output["zero_point"])}
    names = ["sy", "zy", *names] if operator == "QLinearConcat" else [*names, "sy", "zy"]
    node = helper.make_node(operator, names, ["y"], domain=graphs.MICROSOFT, **attributes)
    return graphs.run(graphs.build([node], feeds, {"y": output["dtype"]}, constants), feeds).outputs[0]


def elementwise_cases(writer: Writer) -> None:
    def write(
        name: str,
        op: str,
        kernel: str,
        tensors: list[np.ndarray],
        inputs: list[dict[str, Any]],
        output: dict[str, Any],
        y: np.ndarray,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        single = len(tensors) == 1
        case = writer.base(op, kernel) | {
            "layout": "NCHW",
            "attributes": attributes or {},
            "input": inputs[0] if single else inputs,
            "output": output,
        }
        arrays = {"input" if single else f"input_{i}": tensor for i, tensor in enumerate(tensors)}
        write_case(writer.out, TARGET, name, case, arrays | {"output": y})

    for dtype in ("uint8", "int8"):
        low = int(np.iinfo(dtype).min)
        for op, operator in (("add", "QLinearAdd"), ("mul", "QLinearMul")):
            for name, (first, second, output) in {
                "general": ((0.0231, low + 117), (0.0412, low + 93), (0.0517 if op == "add" else 0.0931, low + 121)),
                "ties": ((0.0625, low + 101), (0.03125, low + 130), (0.125, low + 127)),
                # s_b / s_y is 1/2: ties, which the last bit of z_y - fma(s_a / s_y, z_a, fl(s_b / s_y * z_b)) decides
                "fma": FMA_SCALES[dtype],
            }.items():
                if op == "mul" and name == "fma":
                    continue
                inputs, result = [qparams(dtype, *first), qparams(dtype, *second)], qparams(dtype, *output)
                tensors = list(all_pairs(dtype))
                write(
                    f"{op}_{dtype}_{name}",
                    op,
                    operator,
                    tensors,
                    inputs,
                    result,
                    evaluate(operator, tensors, inputs, result),
                )

        tensors = [codes(70, dtype, (1, 3, 9, 7)), codes(71, dtype, (1, 5, 9, 7)), codes(72, dtype, (1, 2, 9, 7))]
        inputs = [qparams(dtype, 0.0231, low + 117), qparams(dtype, 0.125, low + 100), qparams(dtype, 0.0625, low + 31)]
        output = qparams(dtype, 0.125, low + 100)  # the second input is copied, the third has ties
        write(
            f"concat_{dtype}",
            "concat",
            "QLinearConcat",
            tensors,
            inputs,
            output,
            evaluate("QLinearConcat", tensors, inputs, output, axis=1),
            {"axis": 1},
        )

        for name, include, scales in (
            ("include_pad", True, (0.0625, 0.0625)),
            ("exclude_pad", False, (0.0231, 0.0209)),
        ):
            x = codes(73, dtype, (1, 8, 17, 16))
            source, output = qparams(dtype, scales[0], low + 117), qparams(dtype, scales[1], low + 121)
            attributes = {"kernel": [2, 4] if include else [3, 2], "stride": [2, 1], "padding": [1, 0, 1, 1]}
            y = evaluate(
                "QLinearAveragePool",
                [x],
                [source],
                output,
                kernel_shape=attributes["kernel"],
                strides=attributes["stride"],
                pads=attributes["padding"],
                count_include_pad=int(include),
            )
            write(
                f"avg_pool_{dtype}_{name}",
                "avg_pool2d",
                "QLinearAveragePool",
                [x],
                [source],
                output,
                y,
                attributes | {"ceil_mode": False, "count_include_pad": include},
            )

        x = codes(74, dtype, (8, 67, 4, 4))
        for name, scales in (("ties", (0.0625, 0.0625)), ("general", (0.0231, 0.0039))):
            source, output = qparams(dtype, scales[0], low + 117), qparams(dtype, scales[1], low + 121)
            write(
                f"mean_{dtype}_{name}",
                "mean",
                "QLinearGlobalAveragePool",
                [x],
                [source],
                output,
                evaluate("QLinearGlobalAveragePool", [x], [source], output, channels_last=0),
                {"axes": [2, 3], "keep_dims": True},
            )

        x = codes(75, dtype, (1, 8, 15, 14))
        attributes = {"kernel": [3, 2], "stride": [2, 1], "padding": [1, 0, 1, 1]}
        node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
        y = graphs.run(graphs.build([node], {"x": x}, {"y": dtype}, {}), {"x": x}).outputs[0]
        same = qparams(dtype, 0.0231, low + 117)
        write(f"max_pool_{dtype}", "max_pool2d", "MaxPool", [x], [same], same, y, attributes | {"ceil_mode": False})
