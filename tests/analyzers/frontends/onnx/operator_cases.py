"""One model with an output for every operator that the importer takes, and one of quantized operators; see make_models.py."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(5)


class Builder:
    def __init__(self):
        self.nodes, self.initializers, self.outputs = [], [], []

    def constant(self, value, dtype=None):
        array = np.asarray(value, dtype=dtype)
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, *inputs, outputs=1, domain="", **attributes):
        inputs = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    # `kind`: exact where LibTorch must give the same bits, rounded where sums or transcendental functions may differ.
    def output(self, name, kind, value, type=TensorProto.FLOAT):
        label = f"{name}:{kind}"
        self.nodes.append(helper.make_node("Identity", [value], [label]))
        self.outputs.append(helper.make_tensor_value_info(label, type, None))

    def case(self, kind, op, *inputs, label=None, type=TensorProto.FLOAT, **attributes):
        self.output(label or op, kind, self.node(op, *inputs, **attributes), type)

    def model(self, inputs, opset=20):
        graph = helper.make_graph(self.nodes, "operators", inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def random(*shape, low=-1.0, high=1.0):
    return RANDOM.uniform(low, high, shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def float_operators():
    b = Builder()
    x, e, r = "x", "exact", "rounded"
    positive = b.node("Add", b.node("Abs", x), np.float32(0.5))
    unit = b.node("Clip", x, np.float32(-0.9), np.float32(0.9))
    for op in ("Abs", "Ceil", "Floor", "Neg", "Round", "Sign", "Relu"):
        b.case(e, op, x)
    for op in (
        "Erf",
        "Exp",
        "Tanh",
        "Sigmoid",
        "Sin",
        "Cos",
        "Sinh",
        "Cosh",
        "Tan",
        "Atan",
        "Softplus",
        "Softsign",
        "HardSwish",
        "Mish",
        "Elu",
        "Selu",
        "Celu",
        "Gelu",
    ):
        b.case(r, op, x)
    for op in ("Sqrt", "Log", "Reciprocal"):
        b.case(r, op, positive)
    b.case(r, "Asin", unit)
    b.case(r, "Acos", unit)
    b.case(r, "Gelu", x, label="GeluTanh", approximate="tanh")
    b.case(e, "LeakyRelu", x, alpha=0.25)
    b.case(r, "HardSigmoid", x, label="HardSigmoidTorch", alpha=1 / 6, beta=0.5)
    b.case(r, "HardSigmoid", x, label="HardSigmoidDefault")
    b.case(e, "PRelu", x, random(4, 1, 1))
    b.case(e, "Clip", x, np.float32(-0.5), np.float32(0.5), label="ClipBoth")
    b.case(e, "Clip", x, np.float32(0), label="ClipBelow")
    b.case(e, "Clip", x, "", np.float32(0.25), label="ClipAbove")
    for op in ("Add", "Sub", "Mul", "Div"):
        b.case(e, op, x, positive)
        b.case(e, op, x, random(4, 1, 1, low=0.5, high=2), label=op + "Channel")
    b.case(r, "Pow", positive, np.float32(3))
    b.case(r, "Pow", positive, random(4, 1, 1), label="PowTensor")
    b.case(e, "Min", x, positive, unit)
    b.case(e, "Max", x, unit, np.float32(0.1))
    b.case(e, "Sum", x, unit)
    b.case(
        e,
        "Mod",
        b.node("Cast", b.node("Mul", x, np.float32(10)), to=TensorProto.INT64),
        ints(3),
        type=TensorProto.INT64,
    )
    b.case(
        e,
        "Div",
        b.node("Cast", b.node("Mul", x, np.float32(10)), to=TensorProto.INT64),
        ints(3),
        label="DivIntegers",
        type=TensorProto.INT64,
    )
    for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"):
        b.output(op, e, b.node("Cast", b.node(op, x, unit), to=TensorProto.FLOAT))
    larger, smaller = b.node("Greater", x, np.float32(0.2)), b.node("Less", x, np.float32(0.4))
    for op in ("And", "Or", "Xor"):
        b.output(op, e, b.node("Cast", b.node(op, larger, smaller), to=TensorProto.FLOAT))
    b.output("Not", e, b.node("Cast", b.node("Not", larger), to=TensorProto.FLOAT))
    b.case(e, "Where", larger, x, unit)
    b.case(r, "Softmax", x, axis=1)
    b.case(r, "LogSoftmax", x, axis=-1)
    b.case(r, "LayerNormalization", x, random(6), random(6), axis=-1)
    b.case(r, "LayerNormalization", x, random(6, 6), label="LayerNormalizationTwoAxes", axis=2)
    b.case(r, "InstanceNormalization", x, random(4), random(4))
    b.case(r, "BatchNormalization", x, random(4), random(4), random(4), random(4, low=0.5, high=2))

    # Products.
    b.case(r, "Conv", x, random(6, 4, 3, 3), random(6), pads=[1, 1, 1, 1])
    b.case(r, "Conv", x, random(6, 4, 3, 3), label="ConvAsymmetricPads", pads=[0, 1, 2, 0])
    b.case(
        r, "Conv", x, random(4, 1, 3, 3), label="ConvSameUpperStride2", group=4, auto_pad="SAME_UPPER", strides=[2, 2]
    )
    b.case(r, "Conv", x, random(4, 1, 4, 4), label="ConvSameLower", group=4, auto_pad="SAME_LOWER")
    b.case(r, "Conv", x, random(4, 2, 3, 3), label="ConvDilatedGroups", group=2, dilations=[2, 2], pads=[2, 2, 2, 2])
    rows = b.node("Reshape", x, ints(0, 4, 36))
    b.case(r, "Conv", rows, random(3, 4, 5), label="Conv1d", pads=[2, 2])
    b.case(
        r, "ConvTranspose", x, random(4, 3, 3, 3), random(3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    )
    b.case(r, "ConvTranspose", x, random(4, 2, 2, 2), label="ConvTransposeGroups", group=2, strides=[2, 2])
    flat = b.node("Flatten", x)
    b.case(r, "Gemm", flat, random(144, 5), random(5))
    b.case(r, "Gemm", flat, random(5, 144), random(1, 5), label="GemmScaled", transB=1, alpha=0.5, beta=2.0)
    b.case(r, "MatMul", x, random(6, 3), label="MatMulConstant")
    b.case(r, "MatMul", x, b.node("Transpose", x, perm=[0, 1, 3, 2]), label="MatMulBoth")
    b.case(r, "Einsum", x, x, equation="bcij,bckj->bcik")

    # Windows.
    b.case(e, "MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    b.case(e, "MaxPool", x, label="MaxPoolPadded", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    b.case(e, "MaxPool", x, label="MaxPoolAsymmetric", kernel_shape=[2, 2], pads=[1, 0, 0, 1])
    b.case(e, "MaxPool", x, label="MaxPoolCeil", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    b.case(e, "MaxPool", rows, label="MaxPool1d", kernel_shape=[3], strides=[2])
    b.case(r, "AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    b.case(
        r, "AveragePool", x, label="AveragePoolCountPads", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    )
    b.case(
        r, "AveragePool", x, label="AveragePoolAsymmetric", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1
    )
    b.case(r, "AveragePool", rows, label="AveragePool1d", kernel_shape=[4], strides=[4])
    b.case(r, "GlobalAveragePool", x)
    b.case(r, "GlobalAveragePool", rows, label="GlobalAveragePool1d")
    b.case(e, "GlobalMaxPool", x)
    b.case(e, "Pad", x, ints(0, 0, 1, 2, 0, 0, 3, 0), label="PadZeros")
    b.case(e, "Pad", x, ints(0, 1, 0, 0, 0, 2, 0, 0), np.float32(0.5), label="PadNumber")
    b.case(e, "Pad", x, ints(1, 2), "", ints(-1), label="PadAxes")
    b.case(e, "Pad", x, ints(0, 0, 2, 1, 0, 0, 1, 2), label="PadReflect", mode="reflect")
    b.case(e, "Pad", x, ints(0, 0, 2, 1, 0, 0, 1, 2), label="PadEdge", mode="edge")

    # Shapes.
    b.case(e, "Reshape", x, ints(0, -1, 9), label="ReshapeInfer")
    batch = b.node("Gather", b.node("Shape", x), ints(0), axis=0)
    b.case(e, "Reshape", x, b.node("Concat", batch, ints(12, 12), axis=0), label="ReshapeByShape")
    scalar = b.node("Gather", b.node("Shape", x), np.array(0, np.int64))
    sizes = b.node(
        "Concat",
        b.node("Unsqueeze", scalar, ints(0)),
        b.node("Unsqueeze", b.node("Mul", np.array(4, np.int64), np.array(9, np.int64)), ints(0)),
        ints(-1),
        axis=0,
    )
    b.case(e, "Reshape", x, sizes, label="ReshapeByArithmetic")
    b.case(
        e,
        "Reshape",
        x,
        b.node("Concat", b.node("Slice", b.node("Shape", x), ints(0), ints(2)), ints(-1), axis=0),
        label="ReshapeBySlice",
    )
    b.case(e, "Flatten", x, label="FlattenTwo", axis=2)
    b.case(e, "Transpose", x, perm=[0, 2, 3, 1])
    b.case(e, "Unsqueeze", x, ints(1, -1))
    b.case(e, "Squeeze", b.node("Unsqueeze", x, ints(2)), ints(2))
    b.case(e, "Expand", b.node("Slice", x, ints(0), ints(1), ints(1)), ints(1, 3, 1, 1))
    token = b.constant(random(1, 1, 6))  # one row for each sample, as vision transformers add it
    b.case(e, "Expand", token, b.node("Concat", batch, ints(1, 6), axis=0), label="ExpandToBatch")
    b.case(e, "Tile", x, ints(1, 2, 1, 1))
    b.case(e, "Concat", x, unit, axis=1)
    for i, part in enumerate(b.node("Split", x, ints(1, 3), outputs=2, axis=1)):
        b.output(f"Split{i}", e, part)
    for i, part in enumerate(b.node("Split", x, outputs=2, axis=-1, num_outputs=2)):
        b.output(f"SplitEqual{i}", e, part)
    b.case(e, "Slice", x, ints(1, 1), ints(-1, 6), ints(2, 3), ints(1, 2))
    b.case(e, "Slice", x, ints(-1), ints(-(1 << 63)), ints(3), ints(-1), label="SliceReversed")
    b.case(e, "Gather", x, ints(2, 0), label="GatherList", axis=1)
    b.case(e, "Gather", x, np.array(-1, np.int64), label="GatherOne", axis=2)
    largest = b.node("ArgMax", x, axis=3, keepdims=1)
    b.output("ArgMax", e, largest, TensorProto.INT64)
    b.case(e, "ArgMin", x, axis=1, keepdims=0, type=TensorProto.INT64)
    b.case(e, "GatherElements", x, largest, axis=3)
    b.case(e, "DepthToSpace", x, label="DepthToSpaceDcr", blocksize=2)
    b.case(e, "DepthToSpace", x, label="DepthToSpaceCrd", blocksize=2, mode="CRD")
    b.case(e, "SpaceToDepth", x, blocksize=2)
    b.case(e, "Cast", b.node("Cast", x, to=TensorProto.INT32), to=TensorProto.FLOAT)
    b.case(e, "Dropout", x)
    b.case(
        e,
        "Add",
        x,
        b.node("ConstantOfShape", ints(4, 1, 1), value=numpy_helper.from_array(np.array([0.5], np.float32))),
        label="ConstantOfShape",
    )
    b.case(
        e,
        "Gather",
        x,
        b.node("Range", np.array(0, np.int64), np.array(4, np.int64), np.array(2, np.int64)),
        label="Range",
        axis=1,
    )
    b.case(e, "Add", x, b.node("Cast", np.array(0.25, np.float16), to=TensorProto.FLOAT), label="Float16")

    # Reductions.
    b.case(r, "ReduceMean", x, ints(-1, -2))
    b.case(r, "ReduceMean", x, label="ReduceMeanAll", keepdims=0)
    b.case(r, "ReduceSum", x, ints(1), keepdims=0)
    for op in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        b.case(r, op, x, ints(2, 3), keepdims=0)
    b.case(e, "ReduceMax", x, ints(2))
    b.case(e, "ReduceMin", x, ints(1, 3), keepdims=0)
    values, indices = b.node("TopK", x, ints(3), outputs=2, axis=1)
    b.output("TopKValues", e, values)
    b.output("TopKIndices", e, indices, TensorProto.INT64)

    # Resize.
    scales = np.array([1, 1, 2, 2], np.float32)
    b.case(
        e,
        "Resize",
        x,
        "",
        scales,
        label="ResizeNearest",
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    b.case(e, "Resize", x, "", np.array([1, 1, 3, 3], np.float32), label="ResizeNearestHalfPixel", mode="nearest")
    b.case(r, "Resize", x, "", scales, label="ResizeLinear", mode="linear")
    b.case(
        r,
        "Resize",
        x,
        "",
        "",
        b.node("Identity", ints(2, 4, 9, 11)),
        label="ResizeSizes",
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )
    b.case(r, "Resize", x, "", scales, label="ResizeCubic", mode="cubic")
    b.case(r, "Resize", rows, "", np.array([1, 1, 2], np.float32), label="ResizeLinear1d", mode="linear")

    # A loop of three rounds.
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "half"], ["scaled"]),
            helper.make_node("Add", ["scaled", "x"], ["next"]),
            helper.make_node("Identity", ["go"], ["still"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    b.case(e, "Loop", np.array(3, np.int64), np.array(True), x, body=body)
    return b.model([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 6, 6])])


def quantized_operators():
    """Each operator of QOperator form on codes; outputs are codes of uint8."""
    global RANDOM
    RANDOM = np.random.default_rng(6)  # whatever was drawn before
    b = Builder()
    zero = np.uint8
    scale, point = np.float32(1 / 64), zero(120)

    def quantized(x, s, z):
        return b.node("QuantizeLinear", x, np.float32(s), zero(z))

    a = quantized("x", scale, point)
    c = quantized(b.node("Mul", "x", np.float32(0.3)), 1 / 200, 100)
    a_in, c_in = (a, scale, point), (c, np.float32(1 / 200), zero(100))
    weights = RANDOM.integers(-128, 128, (6, 4, 3, 3)).astype(np.int8)
    weight_scales = RANDOM.uniform(0.001, 0.01, 6).astype(np.float32)
    bias = RANDOM.integers(-5000, 5000, 6).astype(np.int32)
    out = (np.float32(0.0513), zero(128))  # not a round multiple of the products' steps: no ties
    u8 = TensorProto.UINT8

    def case(label, op, *inputs, domain="com.microsoft", **attributes):
        b.output(label, "codes", b.node(op, *inputs, domain=domain, **attributes), u8)

    case(
        "QLinearConv",
        "QLinearConv",
        *a_in,
        weights,
        weight_scales,
        np.zeros(6, np.int8),
        *out,
        bias,
        domain="",
        pads=[1, 1, 1, 1],
    )
    case(
        "QLinearConvUint8",
        "QLinearConv",
        *a_in,
        (weights.astype(np.int16) + 128).astype(np.uint8),
        np.float32(0.004),
        zero(128),
        *out,
        bias,
        domain="",
        strides=[2, 2],
    )
    case(
        "QLinearConvPads",
        "QLinearConv",
        *a_in,
        weights,
        weight_scales,
        np.zeros(6, np.int8),
        *out,
        domain="",
        pads=[0, 1, 1, 0],
    )
    flat = b.node("Reshape", a, ints(0, 144))
    case(
        "QGemm",
        "QGemm",
        flat,
        scale,
        point,
        RANDOM.integers(-128, 128, (5, 144)).astype(np.int8),
        np.float32(0.002),
        np.int8(0),
        RANDOM.integers(-900, 900, 5).astype(np.int32),
        np.float32(0.1),
        zero(128),
        transB=1,
    )
    case(
        "QLinearMatMul",
        "QLinearMatMul",
        flat,
        scale,
        point,
        RANDOM.integers(-128, 128, (144, 5)).astype(np.int8),
        RANDOM.uniform(0.001, 0.003, 5).astype(np.float32),
        np.zeros(5, np.int8),
        np.float32(0.1),
        zero(128),
        domain="",
    )
    case(
        "QLinearMatMulBoth",
        "QLinearMatMul",
        *a_in,
        b.node("Transpose", c, perm=[0, 1, 3, 2]),
        np.float32(1 / 200),
        zero(100),
        np.float32(0.0213),
        zero(128),
        domain="",
    )
    case("QLinearAdd", "QLinearAdd", *a_in, *c_in, np.float32(0.0207), zero(110))
    case("QLinearMul", "QLinearMul", *a_in, *c_in, np.float32(0.0113), zero(128))
    case("QLinearConcat", "QLinearConcat", np.float32(0.0207), zero(110), *a_in, *c_in, axis=1)
    case("QLinearGlobalAveragePool", "QLinearGlobalAveragePool", *a_in, np.float32(0.0031), zero(128))
    case(
        "QLinearAveragePool",
        "QLinearAveragePool",
        *a_in,
        np.float32(0.0171),
        zero(128),
        kernel_shape=[3, 3],
        strides=[1, 1],
    )
    case("QLinearLeakyRelu", "QLinearLeakyRelu", *a_in, np.float32(0.0127), zero(90), alpha=0.1)
    case("QLinearSigmoid", "QLinearSigmoid", *a_in, np.float32(1 / 256), zero(0))
    case("MaxPoolOfCodes", "MaxPool", a, domain="", kernel_shape=[2, 2], strides=[2, 2])
    case("TransposeOfCodes", "Transpose", a, domain="", perm=[0, 3, 1, 2])
    case("PadOfCodes", "Pad", a, ints(0, 0, 1, 1, 0, 0, 0, 2), zero(120), domain="")
    return b.model([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 6, 6])], opset=17)


def branch():
    """x > 0 on average: a product in either branch, on different grids, and one behind both."""
    b = Builder()

    def fake(x, s, z):
        parts = (np.float32(s), np.uint8(z))
        return b.node("DequantizeLinear", b.node("QuantizeLinear", x, *parts), *parts)

    def weight(*shape):
        return RANDOM.integers(-127, 128, shape).astype(np.int8)

    x = fake("x", 1 / 64, 120)
    condition = b.node("Greater", b.node("ReduceMean", "x", keepdims=0), np.float32(0))

    def arm(name, scale):
        nodes = [
            helper.make_node("DequantizeLinear", [f"{name}_w", f"{name}_s", f"{name}_z"], [f"{name}_wr"], axis=0),
            helper.make_node("Conv", [x, f"{name}_wr"], [f"{name}_y"], name=f"/{name}/Conv"),
            helper.make_node("QuantizeLinear", [f"{name}_y", f"{name}_ys", f"{name}_yz"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_ys", f"{name}_yz"], [f"{name}_out"]),
        ]
        data = {
            "w": weight(4, 4, 1, 1),
            "s": RANDOM.uniform(0.004, 0.01, 4).astype(np.float32),
            "z": np.zeros(4, np.int8),
            "ys": np.float32(scale),
            "yz": np.uint8(128),
        }
        return helper.make_graph(
            nodes,
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(v), f"{name}_{k}") for k, v in data.items()],
        )

    y = b.node("If", condition, then_branch=arm("conv1", 0.02), else_branch=arm("conv2", 0.05))
    w = b.node("DequantizeLinear", weight(3, 4, 1, 1), np.float32(0.0097), np.int8(0))
    b.nodes.append(helper.make_node("Conv", [y, w], ["conv3_y"], name="/conv3/Conv"))
    b.output("branch", "exact", fake("conv3_y", 0.1, 128))
    return b.model([helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 6])])


def write(cases, session):
    x = np.random.default_rng(4).normal(0, 1, (2, 4, 6, 6)).astype(np.float32)
    for name, model, data in (
        ("operators", float_operators(), x),
        ("quantized_operators", quantized_operators(), x),
        ("branch_then", branch(), np.abs(x[:1])),
        ("branch_else", None, -np.abs(x[1:])),
    ):
        model = model or onnx.load(cases / "branch_then.onnx")
        if name != "branch_else":
            onnx.save(model, cases / f"{name}.onnx")
        np.save(cases / f"{name}.input.npy", data)
        outputs = session(model).run(None, {"x": data})
        np.save(cases / f"{name}.output.npy", np.concatenate([o.astype(np.float32).reshape(-1) for o in outputs]))
        print(name, len(outputs), "outputs")
