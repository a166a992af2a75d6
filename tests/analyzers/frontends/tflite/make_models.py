"""Makes the models of tests/analyzers/frontends/tflite and records what LiteRT's reference kernels answer.

    python make_models.py [--out DIR] [--litert]     # --litert: also those that litert-torch converts

Needs tests/golden/generators/requirements-litert.txt; --litert also litert-torch and ai-edge-quantizer 0.10.
A folder a model: model.tflite, input.npy (float32, on the input's grid, a batch of samples), and what the runtime gave
for them, one sample at a time: <output>.npy (codes, or float32) and mac_<i>.npy, the codes of the i-th layer with
weights, [channels, elements]. convolutions_int8 also has some of its constants as the file stores them.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffer_net import LIMITS, Net, activation_of, options, schema

SAMPLES = 4
OUT = Path(__file__).resolve().parent / "models"


def npy(path: Path, array: np.ndarray) -> None:
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def channel_major(codes: np.ndarray) -> np.ndarray:
    return np.moveaxis(codes, -1, 0).reshape(codes.shape[-1], -1)


def record(folder: Path, model: bytes, macs: list[int], names: list[str] | None = None, samples: int = SAMPLES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(model)
    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        num_threads=1,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    rng = np.random.default_rng(11)
    shape = (samples, *details["shape"][1:])
    scale, zero = details["quantization"]
    dtype = np.dtype(details["dtype"])
    if dtype == np.float32:
        reals = rng.normal(0, 1, shape).astype(np.float32)
        fed = reals
    else:
        low, high = LIMITS[dtype.name]
        fed = rng.integers(low, high + 1, shape).astype(dtype)
        reals = ((fed.astype(np.float64) - zero) * np.float64(np.float32(scale))).astype(np.float32)
    npy(folder / "input.npy", reals)
    outputs = interpreter.get_output_details()
    names = names or [f"output_{i}" for i in range(len(outputs))]
    seen: dict[str, list[np.ndarray]] = {}
    for sample in fed:
        interpreter.set_tensor(details["index"], sample[None])
        interpreter.invoke()
        for name, output in zip(names, outputs, strict=True):
            seen.setdefault(name, []).append(interpreter.get_tensor(output["index"]))
        for i, tensor in enumerate(macs):
            seen.setdefault(f"mac_{i}", []).append(interpreter.get_tensor(tensor))
    for name, parts in seen.items():
        values = np.concatenate(parts)
        kinds = len(np.unique(values))
        if name.startswith("mac_"):
            values = channel_major(values)
        npy(folder / f"{name}.npy", values)
        print(f"{folder.name}/{name}: {values.shape}, {kinds} different values")


def save(net: Net, name: str, **settings) -> None:
    record(OUT / name, net.bytes(), net.macs, net.output_names, **settings)


def convolutions(dtype: str) -> Net:
    """Layers with weights and operators that move codes: every code must be equal."""
    net = Net(f"convolutions_{dtype}", dtype)
    per_channel = dtype != "uint8"
    zero = 130 if dtype == "uint8" else -7
    x = net.input((1, 16, 14, 3), scale=0.02 if dtype != "int16" else 0.0001, zero=127 if dtype == "uint8" else 3)
    # 16 and 14 rows, stride 2, kernel 3: SAME puts no zero in front and one behind.
    x = net.conv(x, "stem", 8, 3, stride=2, activation="relu", per_channel=per_channel, zero=zero)
    x = net.depthwise(
        x, "dw", 2, kernel=3, bias=dtype != "int8", stride=2, activation="relu6", per_channel=per_channel, zero=zero
    )
    # A PAD that a convolution takes in, one row more behind than in front.
    n, h, w, c = net.shapes[x]
    x = net.moving("PAD", x, "pad", (n, h + 3, w + 3, c), options("PadOptions"), [[[0, 0], [1, 2], [1, 2], [0, 0]]], 2)
    groups = 2 if dtype == "int8" else 1
    x = net.conv(x, "grouped", 8, 2, same=False, dilation=2, groups=groups, per_channel=per_channel, zero=zero)
    x = net.pool("MAX_POOL_2D", x, "pool", 2, 2, same=True)
    x = net.conv(x, "point", 6, 1, activation="relu", per_channel=per_channel, zero=zero)
    n, h, w, c = net.shapes[x]
    x = net.moving("RESHAPE", x, "flatten", (n, h * w * c), extra=[[-1, h * w * c]])
    x = net.dense(x, "head", 10, zero=zero)
    net.output(x, "logits")
    return net


def transposed() -> Net:
    net = Net("transposed")
    x = net.input((1, 5, 4, 4))
    x = net.transpose_conv(x, "odd", 6, 3, 2)  # 11 rows of which SAME keeps the first 10
    x = net.transpose_conv(x, "even", 5, 4, 2)
    x = net.transpose_conv(x, "valid", 3, 2, 2, same=False, extra=1)
    net.output(x, "image")
    return net


def residual() -> Net:
    """From reals to reals, through add, concat, averages and softmax."""
    net = Net("residual")
    real = net.float_input((1, 8, 8, 3))
    x = net.activation("quantized", (1, 8, 8, 3), 0.03, -4)
    net.op("QUANTIZE", [real], [x], options("QuantizeOptions"))
    a = net.conv(x, "a", 8, 3, activation="relu", zero=-128)
    b = net.conv(a, "b", 8, 3)
    scale = net.qparams(b)[0]
    c = net.new(
        "ADD",
        [b, a],
        "sum/add",
        (1, 8, 8, 8),
        scale,
        -7,
        options("AddOptions", potScaleInt16=False, fusedActivationFunction=activation_of("relu")),
        2,
    )
    d = net.new("CONCATENATION", [c, b], "cat", (1, 8, 8, 16), scale, -7, options("ConcatenationOptions", axis=3), 2)
    e = net.pool("AVERAGE_POOL_2D", d, "average", 3, 2, same=True)
    f = net.conv(e, "c", 8, 1)
    axes = net.constant("axes", np.array([1, 2], np.int32))
    g = net.new(
        "MEAN", [f, axes], "mean", (1, 8), net.qparams(f)[0] / 2, 9, options("ReducerOptions", keepDims=False), 2
    )
    h = net.dense(g, "head", 10)
    probabilities = net.new("SOFTMAX", [h], "softmax", (1, 10), 1 / 256, -128, options("SoftmaxOptions", beta=0.02), 2)
    y = net.tensor("StatefulPartitionedCall:0", "float32", (1, 10))
    net.op("DEQUANTIZE", [probabilities], [y], options("DequantizeOptions"), 2)
    net.output(y, "probabilities")
    return net


def operators() -> Net:
    """Every operator without weights, each on the input (or two), each an output."""
    net = Net("operators")
    x = net.input((1, 6, 6, 8), scale=0.04, zero=-9)
    shape = net.shapes[x]
    y = net.conv(x, "second", 8, 1)
    scale = net.qparams(y)[0]

    def out(tensor, name):
        net.output(tensor, name)

    def activation(name):
        return {"fusedActivationFunction": activation_of(name)}

    out(
        net.new(
            "ADD",
            [x, y],
            "add",
            shape,
            scale * 1.3,
            11,
            options("AddOptions", potScaleInt16=False, **activation("relu_n1")),
            2,
        ),
        "add",
    )
    out(net.new("SUB", [x, y], "sub", shape, scale * 1.3, 11, options("SubOptions", potScaleInt16=False), 2), "sub")
    out(net.new("MUL", [x, y], "mul", shape, scale * 0.4, -3, options("MulOptions", **activation("relu6")), 2), "mul")
    row = net.constant("row", net.rng.integers(-127, 128, 8).astype(np.int8), scales=[0.03], zeros=[4])
    out(net.new("ADD", [x, row], "add_row", shape, 0.07, 2, options("AddOptions", potScaleInt16=False), 2), "add_row")
    out(
        net.new(
            "CONCATENATION", [x, x], "cat", (1, 6, 12, 8), *net.qparams(x), options("ConcatenationOptions", axis=2), 2
        ),
        "cat",
    )
    out(net.pool("AVERAGE_POOL_2D", x, "average", 3, 2), "average_valid")
    out(net.pool("AVERAGE_POOL_2D", x, "average_same", 2, 4, same=True), "average_same")  # 6 rows: no zeros needed
    out(net.pool("MAX_POOL_2D", x, "max", 3, 2, same=True), "max_same")
    out(net.pool("MAX_POOL_2D", x, "max1", 2, 1, same=True), "max_even_window")  # one row behind, none in front
    axes = net.constant("axes", np.array([1, 2], np.int32))
    out(net.new("MEAN", [x, axes], "mean", (1, 8), 0.02, 3, options("ReducerOptions", keepDims=False), 2), "mean")
    height = net.constant("height", np.array([1], np.int32))
    out(
        net.new("MEAN", [x, height], "mean_h", (1, 1, 6, 8), 0.02, 3, options("ReducerOptions", keepDims=True), 2),
        "mean_height",
    )
    out(net.new("LOGISTIC", [x], "logistic", shape, 1 / 256, -128, None, 2), "logistic")
    out(net.new("TANH", [x], "tanh", shape, 1 / 128, 0, None, 2), "tanh")
    out(net.new("HARD_SWISH", [x], "hard_swish", shape, 0.025, -100, options("HardSwishOptions")), "hard_swish")
    out(net.new("LEAKY_RELU", [x], "leaky", shape, 0.03, -60, options("LeakyReluOptions", alpha=0.1), 2), "leaky_relu")
    slopes = net.constant("slopes", net.rng.integers(-127, 128, (1, 1, 8)).astype(np.int8), scales=[0.004], zeros=[0])
    out(net.new("PRELU", [x, slopes], "prelu", shape, 0.03, -60), "prelu")
    out(net.new("RELU", [x], "relu", shape, 0.03, -128, None, 2), "relu")
    out(net.new("GELU", [x], "gelu", shape, 0.03, -100, options("GeluOptions", approximate=False), 2), "gelu")
    out(net.new("SOFTMAX", [x], "softmax", shape, 1 / 256, -128, options("SoftmaxOptions", beta=1.5), 2), "softmax")
    pads = [[0, 0], [1, 0], [0, 2], [0, 0]]
    out(net.moving("PAD", x, "pad", (1, 7, 8, 8), options("PadOptions"), [pads], 2), "pad")
    filled = net.activation("padv2", (1, 7, 8, 8), *net.qparams(x))
    fill = net.constant("fill", np.array(17, np.int8), scales=[net.qparams(x)[0]], zeros=[net.qparams(x)[1]])
    net.op("PADV2", [x, net.constant("pads", np.array(pads, np.int32)), fill], [filled], options("PadV2Options"), 2)
    out(filled, "padv2")
    out(
        net.moving(
            "MIRROR_PAD",
            x,
            "mirror",
            (1, 8, 9, 8),
            options("MirrorPadOptions", mode=0),
            [[[0, 0], [1, 1], [2, 1], [0, 0]]],
            2,
        ),
        "mirror_pad",
    )
    out(
        net.moving(
            "RESIZE_NEAREST_NEIGHBOR",
            x,
            "nearest",
            (1, 12, 9, 8),
            options("ResizeNearestNeighborOptions"),
            [[12, 9]],
            2,
        ),
        "resize_nearest",
    )
    out(
        net.moving(
            "RESIZE_BILINEAR",
            x,
            "bilinear",
            (1, 12, 12, 8),
            options("ResizeBilinearOptions", halfPixelCenters=True),
            [[12, 12]],
            3,
        ),
        "resize_bilinear",
    )
    parts = [net.activation(f"part{i}", (1, 6, 6, 4), *net.qparams(x)) for i in (0, 1)]
    net.op(
        "SPLIT", [net.constant("split_axis", np.array(3, np.int32)), x], parts, options("SplitOptions", numSplits=2), 2
    )
    out(parts[1], "split")
    out(
        net.moving("SLICE", x, "slice", (1, 4, 6, 3), options("SliceOptions"), [[0, 1, 0, 5], [1, 4, -1, 3]], 2),
        "slice",
    )
    out(
        net.moving(
            "STRIDED_SLICE",
            x,
            "strided",
            (1, 3, 8),
            options("StridedSliceOptions", beginMask=1, endMask=1, shrinkAxisMask=4),
            [[0, 1, -2, 0], [0, 7, 0, 8], [1, 2, 1, 1]],
            2,
        ),
        "strided_slice",
    )
    out(
        net.moving("TRANSPOSE", x, "transpose", (1, 8, 6, 6), options("TransposeOptions"), [[0, 3, 1, 2]], 2),
        "transpose",
    )
    rows = [net.activation(f"row{i}", (1, 6, 8), *net.qparams(x)) for i in range(6)]
    net.op("UNPACK", [x], rows, options("UnpackOptions", num=6, axis=1), 2)
    out(
        net.new(
            "PACK",
            [rows[2], rows[0]],
            "pack",
            (1, 6, 2, 8),
            *net.qparams(x),
            options("PackOptions", valuesCount=2, axis=2),
            2,
        ),
        "pack",
    )
    return net


def tokens() -> Net:
    """A small transformer's shapes: rows of a sequence, reshaped, transposed, multiplied with each other."""
    net = Net("tokens")
    x = net.input((1, 6, 8), name="serving_default_sequence:0")
    q = net.dense(x, "query", 8, keep=True)
    k = net.dense(x, "key", 8, keep=True)
    heads = [
        net.moving("RESHAPE", t, f"{n}_heads", (1, 6, 2, 4), extra=[[1, 6, 2, 4]]) for t, n in ((q, "q"), (k, "k"))
    ]
    swapped = [
        net.moving("TRANSPOSE", t, f"swap{i}", (1, 2, 6, 4), options("TransposeOptions"), [[0, 2, 1, 3]], 2)
        for i, t in enumerate(heads)
    ]
    scale = net.qparams(q)[0] * net.qparams(k)[0] * 40
    scores = net.new(
        "BATCH_MATMUL", swapped, "scores", (1, 2, 6, 6), scale, 3, options("BatchMatMulOptions", adjY=True), 3
    )
    net.output(scores, "scores")
    flat = net.moving("RESHAPE", q, "rows", (6, 8), extra=[[6, 8]])
    y = net.dense(flat, "rows_head", 5, zero=-3)
    net.output(y, "rows")
    return net


def mixing() -> Net:
    """Moves the batch away from axis 0: right for one sample at a time only."""
    net = Net("mixing")
    x = net.input((1, 4, 6))
    y = net.moving("TRANSPOSE", x, "swap", (4, 1, 6), options("TransposeOptions"), [[1, 0, 2]], 2)
    y = net.dense(y, "head", 3, keep=True)
    net.output(y, "out")
    return net


def refused() -> dict[str, bytes]:
    """Files that must be refused, and by what."""
    models = {}
    net = Net("dynamic")
    x = net.float_input((1, 4))
    w = net.constant("w", net.rng.integers(-127, 128, (3, 4)).astype(np.int8), scales=[0.1], zeros=[0])
    y = net.tensor("model/dense/MatMul", "float32", (1, 3))
    net.op("FULLY_CONNECTED", [x, w, -1], [y], options("FullyConnectedOptions"), 3)
    net.output(y, "y")
    models["dynamic_range"] = net.bytes()

    net = Net("custom")
    x = net.input((1, 4))
    y = net.activation("model/thing/Custom", (1, 4), 0.1, 0)
    net.op("CUSTOM", [x], [y])
    net.model.operatorCodes[0].customCode = b"MyOperator"
    net.output(y, "y")
    models["custom"] = net.bytes()

    net = Net("lstm")
    x = net.input((1, 4))
    y = net.activation("model/state/Cumsum", (1, 4), 0.1, 0)
    net.op("CUMSUM", [x, net.constant("axis", np.array(1, np.int32))], [y], options("CumsumOptions"))
    net.output(y, "y")
    models["unknown_operator"] = net.bytes()

    net = Net("outside")
    y = net.dense(net.input((1, 4)), "dense", 3)
    net.model.buffers[1].data, net.model.buffers[1].offset, net.model.buffers[1].size = None, 4096, 12
    net.output(y, "y")
    models["data_behind_flatbuffer"] = net.bytes()

    net = Net("sparse")
    y = net.dense(net.input((1, 4)), "dense", 3)
    net.graph.tensors[1].sparsity = schema.SparsityParametersT()
    net.output(y, "y")
    models["sparse"] = net.bytes()
    return models


def half() -> bytes:
    """A float net with float16 weights behind DEQUANTIZE."""
    net = Net("half")
    x = net.float_input((1, 4))
    w = net.constant("w16", net.rng.normal(0, 1, (3, 4)).astype(np.float16))
    wide = net.tensor("w", "float32", (3, 4))
    net.op("DEQUANTIZE", [w], [wide], options("DequantizeOptions"), 2)
    b = net.constant("b", net.rng.normal(0, 1, 3).astype(np.float32))
    y = net.tensor("model/dense/MatMul;model/dense/BiasAdd", "float32", (1, 3))
    net.op("FULLY_CONNECTED", [x, wide, b], [y], options("FullyConnectedOptions"), 1)
    net.output(y, "y")
    return net.bytes()


def main() -> None:
    global OUT
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--litert", action="store_true")
    arguments = parser.parse_args()
    OUT = arguments.out
    for dtype in ("int8", "uint8", "int16"):
        net = convolutions(dtype)
        save(net, f"convolutions_{dtype}")
        if dtype == "int8":
            for layer, kind in (("stem", "weights"), ("stem", "bias"), ("dw", "weights")):
                npy(OUT / "convolutions_int8" / f"{kind}_{layer}.npy", net.data[f"model/{layer}/{kind}"])
    save(transposed(), "transposed")
    save(residual(), "residual")
    save(operators(), "operators")
    save(tokens(), "tokens")
    save(mixing(), "mixing", samples=1)
    record(OUT / "half", half(), [], ["y"])
    folder = OUT / "refused"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, model in refused().items():
        (folder / f"{name}.tflite").write_bytes(model)
    if arguments.litert:
        import litert_models

        for name, model, macs in litert_models.models():
            record(OUT / name, model, macs)


if __name__ == "__main__":
    main()
