"""Writes .tflite flatbuffers of whole nets, operator by operator, with the schema that ai-edge-litert ships."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "golden" / "generators"))
from tflite_model import ACTIVATION, PADDING, TENSOR_TYPE, options

LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
TENSOR_TYPE = TENSOR_TYPE | {"float32": schema.TensorType.FLOAT32, "float16": schema.TensorType.FLOAT16}
ACTIVATION = ACTIVATION | {"relu_n1": schema.ActivationFunctionType.RELU_N1_TO_1}


class Net:
    """A graph under construction. Tensors are handles: their indices."""

    def __init__(self, name: str, dtype: str = "int8", scope: str = "model/") -> None:
        self.rng = np.random.default_rng(sum(map(ord, name)))
        self.dtype, self.scope = dtype, scope
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.inputs, self.graph.outputs, self.graph.operators = [], [], [], []
        self.shapes: list[tuple[int, ...]] = []
        self.spread: dict[int, float] = {}  # about the standard deviation of a tensor's reals
        self.output_names: list[str] = []
        self.data: dict[str, np.ndarray] = {}  # of constants
        self.macs: list[int] = []  # output tensors of the layers with weights

    # --- tensors ---

    def tensor(self, name, dtype, shape, scales=(), zeros=(), axis=0, data=None, dynamic=False) -> int:
        table = schema.TensorT()
        table.name, table.type, table.shape, table.buffer = name.encode(), TENSOR_TYPE[dtype], list(shape), 0
        if dynamic:
            table.shapeSignature = [-1, *shape[1:]]
        if data is not None:
            table.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        if len(scales):
            table.quantization = schema.QuantizationParametersT()
            table.quantization.scale = [float(scale) for scale in scales]
            table.quantization.zeroPoint = [int(zero) for zero in zeros]
            table.quantization.quantizedDimension = axis
        self.graph.tensors.append(table)
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def constant(self, name, data, **quantization) -> int:
        data = self.data[name] = np.asarray(data)
        return self.tensor(name, str(data.dtype), data.shape, data=data, **quantization)

    def activation(self, name, shape, scale, zero) -> int:
        index = self.tensor(name, self.dtype, shape, [np.float32(scale)], [0 if self.dtype == "int16" else zero])
        self.spread[index] = float(scale) * (LIMITS[self.dtype][1] - LIMITS[self.dtype][0]) / 4
        return index

    def qparams(self, tensor):
        q = self.graph.tensors[tensor].quantization
        return np.float32(q.scale[0]), int(q.zeroPoint[0])

    def input(self, shape, scale=0.02, zero=3, name="serving_default_image:0", dynamic=False) -> int:
        index = self.activation(name, shape, scale, zero)
        if dynamic:
            self.graph.tensors[index].shapeSignature = [-1, *shape[1:]]
        self.graph.inputs.append(index)
        return index

    def float_input(self, shape, name="serving_default_image:0") -> int:
        index = self.tensor(name, "float32", shape)
        self.graph.inputs.append(index)
        self.spread[index] = 1.0
        return index

    def output(self, tensor, name) -> None:
        self.graph.outputs.append(tensor)
        self.output_names.append(name)

    # --- operators ---

    def op(self, operator, inputs, outputs, builtin=None, version=1) -> int:
        number = getattr(schema.BuiltinOperator, operator)
        for at, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.version) == (number, version):
                break
        else:
            at = len(self.model.operatorCodes)
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
            self.model.operatorCodes.append(code)
        step = schema.OperatorT()
        step.opcodeIndex, step.inputs, step.outputs = at, list(inputs), list(outputs)
        if builtin is not None:
            step.builtinOptionsType, step.builtinOptions = builtin
        self.graph.operators.append(step)
        return outputs[0]

    def _layer_name(self, name, activation, product):
        parts = [f"{self.scope}{name}/BiasAdd", f"{self.scope}{name}/{product}"]
        if activation != "none":
            parts.insert(0, f"{self.scope}{name}/{activation.capitalize()}")
        return ";".join(parts)

    def _weights(self, name, x, shape, outputs, axis, taps, per_channel, bias):
        """Weight and bias tensors, and the scale of an output that random codes fill."""
        limits = (0, 255) if self.dtype == "uint8" else (-127, 127)
        weight_dtype = "uint8" if self.dtype == "uint8" else "int8"
        codes = self.rng.integers(limits[0], limits[1] + 1, shape).astype(weight_dtype)
        scales = self.rng.uniform(0.004, 0.02, outputs if per_channel else 1).astype(np.float32)
        zero = 121 if self.dtype == "uint8" else 0
        w = self.constant(f"{self.scope}{name}/weights", codes, scales=scales, zeros=[zero] * len(scales), axis=axis)
        scale_x = self.qparams(x)[0]
        spread = np.sqrt(taps) * self.spread[x] * 73 * float(scales.mean())
        tensors = [w]
        if bias:
            wide = "int64" if self.dtype == "int16" else "int32"
            products = scale_x * scales
            limit = 0.3 * spread / products.mean()
            values = self.rng.integers(-limit, limit, outputs).astype(wide)
            tensors.append(self.constant(f"{self.scope}{name}/bias", values, scales=products, zeros=[0] * len(scales)))
        return tensors, spread * 5 / (LIMITS[self.dtype][1] - LIMITS[self.dtype][0])

    def _finish(self, name, operator, version, inputs, shape, scale, zero, activation, builtin, product) -> int:
        if activation == "relu6":
            scale = min(scale, 0.03)  # so that codes below and above the clamp are met
        y = self.activation(self._layer_name(name, activation, product), shape, scale, zero)
        self.macs.append(y)
        return self.op(operator, inputs, [y], builtin, version)

    def conv(
        self,
        x,
        name,
        channels,
        kernel,
        stride=1,
        same=True,
        activation="none",
        groups=1,
        dilation=1,
        per_channel=True,
        bias=True,
        zero=-7,
        kind="conv",
    ) -> int:
        n, *size, depth = self.shapes[x]
        window = (kernel - 1) * dilation + 1
        out = [-(-s // stride) if same else (s - window) // stride + 1 for s in size]
        values = {
            "padding": PADDING["SAME" if same else "VALID"],
            "strideH": stride,
            "strideW": stride,
            "dilationHFactor": dilation,
            "dilationWFactor": dilation,
            "fusedActivationFunction": ACTIVATION[activation],
        }
        if kind == "depthwise":
            shape, axis, taps = (1, kernel, kernel, channels), 3, kernel**2
            builtin = options("DepthwiseConv2DOptions", depthMultiplier=channels // depth, **values)
            operator, version, product = "DEPTHWISE_CONV_2D", 3, "depthwise"
        else:
            shape, axis, taps = (channels, kernel, kernel, depth // groups), 0, kernel**2 * depth // groups
            wide = {"quantizedBiasType": 4} if self.dtype == "int16" else {}
            builtin = options("Conv2DOptions", **values, **wide)
            operator, version, product = "CONV_2D", 8, "Conv2D"
        weights, scale = self._weights(name, x, shape, channels, axis, taps, per_channel, bias)
        return self._finish(
            name, operator, version, [x, *weights], (n, *out, channels), scale, zero, activation, builtin, product
        )

    def depthwise(self, x, name, multiplier=1, **settings) -> int:
        return self.conv(x, name, self.shapes[x][3] * multiplier, kind="depthwise", **settings)

    def transpose_conv(self, x, name, channels, kernel, stride, same=True, extra=0, zero=4) -> int:
        n, *size, depth = self.shapes[x]
        out = [s * stride if same else (s - 1) * stride + kernel + extra for s in size]
        taps = kernel**2 * depth / stride**2
        weights, scale = self._weights(name, x, (channels, kernel, kernel, depth), channels, 0, taps, True, True)
        lead = self.constant(f"{name}/shape", np.array([n, *out, channels], np.int32))
        builtin = options(
            "TransposeConvOptions", padding=PADDING["SAME" if same else "VALID"], strideH=stride, strideW=stride
        )
        return self._finish(
            name,
            "TRANSPOSE_CONV",
            3,
            [lead, weights[0], x, weights[1]],
            (n, *out, channels),
            scale,
            zero,
            "none",
            builtin,
            "conv2d_transpose",
        )

    def dense(self, x, name, channels, activation="none", keep=False, zero=5) -> int:
        shape = self.shapes[x]
        depth = shape[-1] if keep else int(np.prod(shape[1:]))
        weights, scale = self._weights(name, x, (channels, depth), channels, 0, depth, self.dtype != "uint8", True)
        wide = {"quantizedBiasType": 4} if self.dtype == "int16" else {}
        builtin = options(
            "FullyConnectedOptions", fusedActivationFunction=ACTIVATION[activation], keepNumDims=keep, **wide
        )
        out = (*shape[:-1], channels) if keep else (shape[0], channels)
        return self._finish(name, "FULLY_CONNECTED", 13, [x, *weights], out, scale, zero, activation, builtin, "MatMul")

    def moving(self, operator, x, name, shape, builtin=None, extra=(), version=1) -> int:
        """An operator that keeps the grid of its first input; `extra` are int32 constants."""
        scale, zero = self.qparams(x)
        y = self.activation(f"{self.scope}{name}", shape, scale, zero)
        tensors = [self.constant(f"{name}/{i}", np.array(values, np.int32)) for i, values in enumerate(extra)]
        return self.op(operator, [x, *tensors], [y], builtin, version)

    def pool(self, operator, x, name, kernel, stride, same=False) -> int:
        n, *size, depth = self.shapes[x]
        out = [-(-s // stride) if same else (s - kernel) // stride + 1 for s in size]
        builtin = options(
            "Pool2DOptions",
            padding=PADDING["SAME" if same else "VALID"],
            strideH=stride,
            strideW=stride,
            filterHeight=kernel,
            filterWidth=kernel,
        )
        return self.moving(operator, x, name, (n, *out, depth), builtin, version=3)

    def new(self, operator, inputs, name, shape, scale, zero, builtin=None, version=1) -> int:
        """An operator with a grid of its own."""
        y = self.activation(f"{self.scope}{name}", shape, scale, zero)
        return self.op(operator, inputs, [y], builtin, version)

    def bytes(self) -> bytes:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0

        def maps(tensors, names):
            entries = []
            for tensor, name in zip(tensors, names, strict=True):
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = name.encode(), tensor
                entries.append(entry)
            return entries

        signature.inputs = maps(self.graph.inputs, [f"image{i or ''}" for i in range(len(self.graph.inputs))])
        signature.outputs = maps(self.graph.outputs, self.output_names)
        self.model.version, self.model.subgraphs, self.model.description = 3, [self.graph], b"test"
        self.model.signatureDefs = [signature]
        self.graph.name = b"main"
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def activation_of(name: str) -> Any:
    return ACTIVATION[name]
