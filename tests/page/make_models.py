"""ONNX models for the page's tests.

make_models.py hostile SOURCE.onnx OUT.onnx          one layer of SOURCE is called like markup
make_models.py chain OUT.onnx SAMPLES.npy LAYERS WIDEST   LAYERS convolutions, the middle one with WIDEST channels
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HOSTILE_NAME = "<img src=x onerror=globalThis.broken=1>"
CHANNELS = 8
SIDE = 2
SAMPLES = 4


def write_hostile(source: str, out: str) -> None:
    def renamed(name: str) -> str:
        return name.replace("/head/", f"/{HOSTILE_NAME}/").replace("head.", f"{HOSTILE_NAME}.")

    model = onnx.load(source)
    graph = model.graph
    for node in graph.node:
        node.name = renamed(node.name)
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = renamed(tensor.name)
    onnx.save(model, out)


def write_chain(out: str, samples: str, layers: int, widest: int) -> None:
    random = np.random.default_rng(1)
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    scale = constant("scale", np.float32(0.02))
    zero = constant("zero", np.uint8(128))
    weight_zero = constant("weight_zero", np.int8(0))
    nodes.append(helper.make_node("QuantizeLinear", ["x", scale, zero], ["x_codes"], name="x_QuantizeLinear"))
    tensor, width = "x_codes", CHANNELS
    for layer in range(layers):
        name = f"block{layer // 10}/conv{layer}"
        wide = widest if layer == layers // 2 else CHANNELS
        # Outputs keep the spread of the inputs: codes of about +-60, weights of about +-23.
        weight_scale = np.float32(1 / (23 * np.sqrt(width)))
        inputs = [
            tensor, scale, zero,
            constant(f"{name}.w", random.integers(-40, 41, (wide, width, 1, 1), dtype=np.int8)),
            constant(f"{name}.s", weight_scale), weight_zero, scale, zero,
            constant(f"{name}.b", random.integers(-2000, 2001, wide, dtype=np.int32)),
        ]
        tensor, width = f"t{layer}", wide
        nodes.append(helper.make_node("QLinearConv", inputs, [tensor], name=f"/{name}/Conv_quant", kernel_shape=[1, 1]))
    nodes.append(helper.make_node("DequantizeLinear", [tensor, scale, zero], ["y"], name="y_DequantizeLinear"))
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", CHANNELS, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width, SIDE, SIDE])], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), out)
    np.save(samples, random.normal(0, 1, (SAMPLES, CHANNELS, SIDE, SIDE)).astype(np.float32))


if sys.argv[1] == "hostile":
    write_hostile(sys.argv[2], sys.argv[3])
else:
    write_chain(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
