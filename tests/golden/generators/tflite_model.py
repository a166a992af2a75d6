"""Builds .tflite flatbuffers of one operator, with the schema that ai-edge-litert ships; no converter is involved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TENSOR_TYPE = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}
ACTIVATION = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
PADDING = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}


@dataclass
class Tensor:
    """A tensor of the model; one with `data` is a constant. `axis` is that of per channel scales."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: list[float] = field(default_factory=list)
    zero_points: list[int] = field(default_factory=list)
    axis: int = 0
    data: np.ndarray | None = None


def options(name: str, **values: Any) -> tuple[int, Any]:
    """The builtin options `name` of the schema and its number in the union; `values` are its fields."""
    table = getattr(schema, name + "T")()
    for key, value in values.items():
        if not hasattr(table, key):
            raise ValueError(f"{name} has no field {key}")
        setattr(table, key, value)
    return getattr(schema.BuiltinOptions, name), table


def _tensor(tensor: Tensor, buffer: int) -> schema.TensorT:
    table = schema.TensorT()
    table.name = tensor.name.encode()
    table.type = TENSOR_TYPE[tensor.dtype]
    table.shape = list(tensor.shape)
    table.buffer = buffer
    if tensor.scales:
        table.quantization = schema.QuantizationParametersT()
        table.quantization.scale = [float(scale) for scale in tensor.scales]
        table.quantization.zeroPoint = [int(zero_point) for zero_point in tensor.zero_points]
        table.quantization.quantizedDimension = tensor.axis
    return table


def build(operator: str, version: int, builtin: tuple[int, Any], inputs: list[Tensor | None], output: Tensor) -> bytes:
    """A model of the one operator; None among `inputs` is an optional tensor left out."""
    model, graph, code, step = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.buffers = [schema.BufferT()]  # buffer 0 is the empty one, of tensors that are no constants
    graph.tensors, graph.inputs, step.inputs = [], [], []
    for tensor in [*inputs, output]:
        if tensor is None:
            step.inputs.append(-1)
            continue
        buffer = 0
        if tensor.data is not None:
            buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        elif tensor is not output:
            graph.inputs.append(len(graph.tensors))
        if tensor is not output:
            step.inputs.append(len(graph.tensors))
        graph.tensors.append(_tensor(tensor, buffer))
    step.outputs = graph.outputs = [len(graph.tensors) - 1]
    step.builtinOptionsType, step.builtinOptions = builtin
    number = getattr(schema.BuiltinOperator, operator)
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
    graph.operators, graph.name = [step], b"main"
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.description = b"golden"
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
