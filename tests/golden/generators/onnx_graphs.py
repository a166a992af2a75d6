"""Builds ONNX graphs around one quantized operator and runs them on ONNX Runtime's CPU provider."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"


def build(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, np.ndarray],
    outputs: dict[str, type],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    """A model whose graph inputs have the shapes and types of `inputs`; everything in `constants` is an initializer."""

    def value(name: str, dtype: type, shape: tuple[int, ...] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        nodes,
        "golden",
        [value(n, a.dtype, a.shape) for n, a in inputs.items()],
        [value(n, t, None) for n, t in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)])
    model.ir_version = 8
    return model


@dataclass
class Run:
    outputs: list[np.ndarray]
    executed: list[str]  # operator types of the optimized graph
    constants: dict[str, np.ndarray] = field(repr=False)  # initializers of the optimized graph


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Run:
    """Runs the model with every optimization. On x86-64, graphs of int8 activations fuse only when allowed."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, feeds)
        graph = onnx.load(options.optimized_model_filepath).graph
    return Run(outputs, [n.op_type for n in graph.node], {i.name: numpy_helper.to_array(i) for i in graph.initializer})


def conv_attributes(stride: list[int], padding: list[int], dilation: list[int], groups: int) -> dict[str, object]:
    pads = padding if len(padding) == 2 * len(stride) else padding * 2
    return {"strides": stride, "pads": pads, "dilations": dilation, "group": groups}


@dataclass
class Mac:
    """One layer: x [N, C, ...] or [N, K], w [O, I, ...] or [O, K]; sw and zw are scalars or one value a channel."""

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray | None
    sx: np.float32
    zx: int
    sw: np.ndarray
    zw: int
    sy: np.float32
    zy: int
    attributes: dict[str, object]

    def constants(self, w: np.ndarray) -> dict[str, np.ndarray]:
        values = {
            "sx": self.sx,
            "zx": self.x.dtype.type(self.zx),
            "w": w,
            "sw": self.sw,
            "zw": np.full_like(self.sw, self.zw).astype(w.dtype),
            "sy": self.sy,
            "zy": self.x.dtype.type(self.zy),
        }
        return values | ({} if self.b is None else {"b": self.b})


def qlinear_conv(mac: Mac) -> np.ndarray:
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"] + ([] if mac.b is None else ["b"])
    node = helper.make_node("QLinearConv", names, ["y"], **mac.attributes)
    return run(build([node], {"x": mac.x}, {"y": mac.x.dtype}, mac.constants(mac.w)), {"x": mac.x}).outputs[0]


def qlinear_matmul(mac: Mac) -> np.ndarray:
    node = helper.make_node("QLinearMatMul", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"])
    constants = mac.constants(np.ascontiguousarray(mac.w.T))
    return run(build([node], {"x": mac.x}, {"y": mac.x.dtype}, constants), {"x": mac.x}).outputs[0]


def qgemm(mac: Mac) -> np.ndarray:
    names = ["x", "sx", "zx", "w", "sw", "zw", "" if mac.b is None else "b", "sy", "zy"]
    node = helper.make_node("QGemm", names, ["y"], domain=MICROSOFT, transB=1)
    return run(build([node], {"x": mac.x}, {"y": mac.x.dtype}, mac.constants(mac.w)), {"x": mac.x}).outputs[0]


def qdq_conv(mac: Mac, activation: str) -> Run:
    """DequantizeLinear -> Conv -> [Relu | Clip] -> QuantizeLinear, which must fuse. An int32 bias has its own
    DequantizeLinear; a float bias has none, and the optimizer quantizes it."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wf"], axis=0),
    ]
    constants = mac.constants(mac.w)
    bias = []
    if mac.b is not None and mac.b.dtype == np.int32:
        nodes.append(helper.make_node("DequantizeLinear", ["b", "sb", "zb"], ["bf"], axis=0))
        constants |= {"sb": mac.sx * mac.sw, "zb": np.zeros(np.shape(mac.sw), np.int32)}
        bias = ["bf"]
    elif mac.b is not None:
        bias = ["b"]
    nodes.append(helper.make_node("Conv", ["xf", "wf", *bias], ["conv"], **mac.attributes))
    last = "conv"
    if activation != "none":
        last = "activation"
        limits = {"relu": [], "relu6": ["low", "high"]}[activation]
        constants |= {"low": np.float32(0), "high": np.float32(6)} if limits else {}
        nodes.append(helper.make_node("Clip" if limits else "Relu", ["conv", *limits], [last]))
    nodes.append(helper.make_node("QuantizeLinear", [last, "sy", "zy"], ["y"]))
    result = run(build(nodes, {"x": mac.x}, {"y": mac.x.dtype}, constants), {"x": mac.x})
    if set(result.executed) != {"Transpose", "QLinearConv"}:
        raise RuntimeError(f"not fused: {result.executed}")
    return result
