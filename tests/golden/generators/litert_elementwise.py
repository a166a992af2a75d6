"""The operators without weights among LiteRT's cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from litert_cases import INT8, INT16, LIMITS, Case, codes, qparams, seeded
from tflite_model import ACTIVATION, PADDING, Tensor, build, options

Q = tuple[float, int]  # scale, zero point


def pairs(name: str, dtype: str, count: int) -> list[np.ndarray]:
    """Two inputs of random codes; all pairs of 8 bit codes would be 65536 outputs."""
    rng = seeded(name)
    return [codes(rng, dtype, (1, 16, count // 256, 16)) for _ in range(2)]


def binary(
    op: str, name: str, dtype: str, first: Q, second: Q, output: Q, activation: str = "none", count: int = 8192
) -> Case:
    operator, table = {"add": ("ADD", "AddOptions"), "mul": ("MUL", "MulOptions")}[op]
    inputs = pairs(name, dtype, count)
    tensors = [Tensor(f"x{i}", dtype, inputs[i].shape, [q[0]], [q[1]]) for i, q in enumerate((first, second))]
    y = Tensor("y", dtype, inputs[0].shape, [output[0]], [output[1]])
    values: dict[str, Any] = {"fusedActivationFunction": ACTIVATION[activation]}
    if op == "add":
        values["potScaleInt16"] = False
    model = build(operator, 5 if op == "add" else 7, options(table, **values), tensors, y)
    header = {
        "op": op,
        "layout": "NHWC",
        "attributes": {},
        "input": [qparams(dtype, *first), qparams(dtype, *second)],
        "output": qparams(dtype, *output),
        "activation": activation,
    }
    return Case(
        name, INT16 if dtype == "int16" else INT8, model, inputs, header, {"input_0": inputs[0], "input_1": inputs[1]}
    )


def concat(name: str, dtype: str, first: Q, second: Q, output: Q) -> Case:
    rng = seeded(name)
    inputs = [codes(rng, dtype, (1, 8, 8, channels)) for channels in (12, 20)]
    tensors = [Tensor(f"x{i}", dtype, inputs[i].shape, [q[0]], [q[1]]) for i, q in enumerate((first, second))]
    y = Tensor("y", dtype, (1, 8, 8, 32), [output[0]], [output[1]])
    model = build("CONCATENATION", 3, options("ConcatenationOptions", axis=3, fusedActivationFunction=0), tensors, y)
    header = {
        "op": "concat",
        "layout": "NHWC",
        "attributes": {"axis": 3},
        "input": [qparams(dtype, *first), qparams(dtype, *second)],
        "output": qparams(dtype, *output),
        "activation": "none",
    }
    return Case(
        name, INT16 if dtype == "int16" else INT8, model, inputs, header, {"input_0": inputs[0], "input_1": inputs[1]}
    )


def pool(
    op: str,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    q: Q,
    same: bool = False,
    activation: str = "none",
) -> Case:
    """Pools keep the qparams; padding takes no part: an average divides by the number of elements inside the image."""
    x = codes(seeded(name), dtype, shape)
    sizes, begin, end = [], [], []
    for size, window, step in zip(shape[1:3], kernel, stride, strict=True):
        out = -(-size // step) if same else (size - window) // step + 1
        total = max((out - 1) * step + window - size, 0) if same else 0
        sizes, begin, end = sizes + [out], begin + [total // 2], end + [total - total // 2]
    values = {
        "padding": PADDING["SAME" if same else "VALID"],
        "strideH": stride[0],
        "strideW": stride[1],
        "filterHeight": kernel[0],
        "filterWidth": kernel[1],
        "fusedActivationFunction": ACTIVATION[activation],
    }
    y = Tensor("y", dtype, (shape[0], *sizes, shape[3]), [q[0]], [q[1]])
    operator = "AVERAGE_POOL_2D" if op == "avg_pool2d" else "MAX_POOL_2D"
    model = build(operator, 3, options("Pool2DOptions", **values), [Tensor("x", dtype, shape, [q[0]], [q[1]])], y)
    attributes: dict[str, Any] = {
        "kernel": list(kernel),
        "stride": list(stride),
        "padding": begin + end,
        "ceil_mode": False,
    }
    if op == "avg_pool2d":
        attributes["count_include_pad"] = False
    header = {
        "op": op,
        "layout": "NHWC",
        "attributes": attributes,
        "input": qparams(dtype, *q),
        "output": qparams(dtype, *q),
        "activation": activation,
    }
    return Case(name, INT16 if dtype == "int16" else INT8, model, [x], header, {"input": x})


def mean(
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    keep: bool,
    first: Q,
    output: Q,
    limit: int | None = None,
) -> Case:
    x = codes(seeded(name), dtype, shape)
    if limit is not None:  # close to one code, so that ties occur and nothing saturates
        x = (x // (LIMITS[dtype][1] // limit)).astype(dtype)
    shape_y = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
    tensors = [
        Tensor("x", dtype, shape, [first[0]], [first[1]]),
        Tensor("axes", "int32", (len(axes),), data=np.array(axes, np.int32)),
    ]
    y = Tensor("y", dtype, shape_y, [output[0]], [output[1]])
    model = build("MEAN", 3, options("ReducerOptions", keepDims=keep), tensors, y)
    header = {
        "op": "mean",
        "layout": "NHWC",
        "attributes": {"axes": list(axes), "keep_dims": keep},
        "input": qparams(dtype, *first),
        "output": qparams(dtype, *output),
        "activation": "none",
    }
    return Case(name, INT16 if dtype == "int16" else INT8, model, [x], header, {"input": x})


def elementwise_cases() -> list[Case]:
    wide = (1, 8, 8, 16)
    return [
        binary("add", "add", "int8", (0.0472, 3), (0.0391, -7), (0.0683, -5)),
        binary("add", "add_relu", "int8", (0.0472, -128), (0.0091, 127), (0.0383, -50), "relu"),
        binary("add", "add_ties", "int8", (0.5, 1), (0.25, 2), (1.0, 1)),
        binary("add", "add_thirds", "int8", (0.75, 0), (0.25, -3), (1.5, 2)),
        binary("add", "add_output_scale_small", "int8", (0.02, 0), (0.01, 0), (0.0073, 0)),
        binary("add", "add_ratio_large", "int8", (1.0, 5), (0.0043, -6), (0.91, 1)),
        binary("mul", "mul", "int8", (0.0472, 3), (0.0391, -7), (0.0983, -5)),
        binary("mul", "mul_ties", "int8", (0.5, 1), (0.125, 2), (4.0, 1)),
        binary("mul", "mul_relu6", "int8", (0.0472, -12), (0.0391, 9), (6 / 255, -128), "relu6"),
        binary("mul", "mul_multiplier_above_one", "int8", (0.5, 0), (0.75, 0), (0.25, -1)),
        binary("mul", "mul_product", "int8", (1 + 2.0**-12, 0), (1 + 2.0**-12, 0), (64 * (1 + 2.0**-11), 0)),
        binary(
            "mul",
            "mul_binary64_product",
            "int8",
            (1 + 2.0**-12, 0),
            (1 + 3 * 2.0**-12, 0),
            (128 * (1 + 2.0**-10 + 2.0**-22), 0),
        ),
        binary("mul", "mul_reciprocal", "int8", (1.0, 0), (20.5, 0), (41.0 * 64, 0)),
        binary("add", "uint8_add", "uint8", (0.0472, 130), (0.0391, 121), (0.0683, 128)),
        binary("mul", "uint8_mul", "uint8", (0.0472, 130), (0.0391, 121), (0.0983, 128)),
        concat("concat", "int8", (0.05, -3), (0.05, -3), (0.05, -3)),
        concat("concat_unequal", "int8", (0.05, -3), (0.0713, 11), (0.0671, 4)),
        concat("uint8_concat_unequal", "uint8", (0.05, 120), (0.0713, 131), (0.0671, 125)),
        pool("avg_pool2d", "avg_pool2d_2x2", "int8", (1, 16, 16, 16), (2, 2), (2, 2), (0.05, 3)),
        pool("avg_pool2d", "avg_pool2d_same_3x3", "int8", (1, 15, 16, 16), (3, 3), (2, 2), (0.05, -7), same=True),
        pool("avg_pool2d", "avg_pool2d_relu", "int8", (1, 14, 14, 16), (3, 4), (1, 1), (0.05, -7), activation="relu"),
        pool("avg_pool2d", "uint8_avg_pool2d", "uint8", (1, 14, 14, 16), (2, 3), (1, 1), (0.05, 121)),
        pool("max_pool2d", "max_pool2d_same", "int8", (1, 15, 15, 16), (3, 3), (2, 2), (0.05, 3), same=True),
        pool(
            "max_pool2d", "max_pool2d_relu6", "int8", (1, 14, 14, 16), (2, 2), (2, 2), (0.08, -21), activation="relu6"
        ),
        pool("max_pool2d", "uint8_max_pool2d", "uint8", (1, 14, 14, 16), (2, 2), (2, 2), (0.05, 121)),
        mean("mean_spatial", "int8", (6, 7, 7, 64), (1, 2), True, (0.05, 3), (0.0193, -5)),
        mean("mean_spatial_same_qparams", "int8", (6, 4, 4, 64), (1, 2), True, (0.05, 5), (0.05, 5)),
        mean("mean_spatial_ties", "int8", (8, 2, 2, 128), (1, 2), True, (0.5, 1), (0.5, 2), limit=20),
        mean(
            "mean_spatial_zero_point_rounds", "int8", (8, 3, 5, 64), (1, 2), True, (0.0371, 9), (0.0127, -10), limit=20
        ),
        mean("mean_spatial_ties_odd_channels", "int8", (8, 2, 2, 93), (1, 2), True, (0.5, -3), (0.5, 1), limit=20),
        mean("mean_spatial_ties_no_keep", "int8", (8, 4, 4, 64), (1, 2), False, (0.75, -3), (0.5, 1), limit=40),
        mean("mean_spatial_thirds", "int8", (4, 1, 12, 512), (1, 2), True, (0.1, 3), (0.3, -4), limit=25),
        mean("mean_spatial_thirds_low", "int8", (4, 2, 2, 512), (1, 2), True, (0.1, -128), (0.3, -4)),
        mean("mean_no_keep", "int8", (6, 7, 7, 64), (1, 2), False, (0.05, 3), (0.0193, -5)),
        mean("mean_channels", "int8", (1, 16, 16, 24), (3,), True, (0.05, -30), (0.0211, 2)),
        mean("uint8_mean_spatial", "uint8", (6, 7, 7, 64), (1, 2), True, (0.05, 130), (0.0193, 121)),
        binary("add", "add", "int16", (0.000472, 0), (0.000391, 0), (0.000683, 0)),
        binary("add", "add_ties", "int16", (2.0**-12, 0), (2.0**-13, 0), (2.0**-10, 0)),
        binary("mul", "mul", "int16", (0.000472, 0), (0.000391, 0), (0.00683, 0)),
        binary("mul", "mul_relu", "int16", (2.0**-12, 0), (2.0**-12, 0), (2.0**-9, 0), "relu"),
        concat("concat", "int16", (0.05, 0), (0.05, 0), (0.05, 0)),
        pool("avg_pool2d", "avg_pool2d_3x3", "int16", wide, (3, 3), (1, 1), (0.0005, 0)),
        pool("avg_pool2d", "avg_pool2d_same_2x2", "int16", wide, (2, 2), (2, 2), (0.0005, 0), same=True),
        pool("max_pool2d", "max_pool2d", "int16", wide, (2, 2), (2, 2), (0.0005, 0)),
        mean("mean_spatial", "int16", (6, 7, 7, 32), (1, 2), True, (0.0005, 0), (0.000193, 0)),
        mean("mean_spatial_ties", "int16", (8, 2, 2, 64), (1, 2), True, (0.5, 0), (0.5, 0)),
    ]
