"""Quantized layers as PT2E leaves them, lowered whole to the XNNPACK delegate and run by ExecuTorch's runtime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402
import torch.ao.quantization.fx._decomposed  # noqa: E402, F401  (registers torch.ops.quantized_decomposed)
from executorch.backends.xnnpack.operators.quant_params import QuantParams  # noqa: E402
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner  # noqa: E402
from executorch.exir import to_edge_transform_and_lower  # noqa: E402
from executorch.runtime import Runtime  # noqa: E402

F = np.float32
Q = torch.ops.quantized_decomposed
QPair = tuple[np.float32, int]  # scale, zero point; int8 activations of the range -128..127

lowered_biases: list[np.ndarray] = []


def record_biases() -> None:
    """Keeps the int32 tensors that lowering makes from float biases: nothing else shows them."""
    quantize = QuantParams.quantize_tensor

    def recording(self: QuantParams, tensor: torch.Tensor) -> torch.Tensor:
        result = quantize(self, tensor)
        if result.dtype == torch.int32:
            lowered_biases.append(result.numpy().copy())
        return result

    QuantParams.quantize_tensor = recording


record_biases()


def through_codes(x: torch.Tensor, q: QPair) -> torch.Tensor:
    scale, zero_point = float(q[0]), int(q[1])
    codes = Q.quantize_per_tensor(x, scale, zero_point, -128, 127, torch.int8)
    return Q.dequantize_per_tensor(codes, scale, zero_point, -128, 127, torch.int8)


class Layer(torch.nn.Module):
    """operation(x, w, b) with int8 weights in -127..127, per tensor (sw a scalar) or per channel of `axis`."""

    def __init__(
        self,
        operation: Callable[..., torch.Tensor],
        w: np.ndarray,
        sw: np.ndarray,
        b: np.ndarray | None,
        qx: QPair,
        qy: QPair,
        activation: str,
        axis: int = 0,
    ) -> None:
        super().__init__()
        self.operation, self.qx, self.qy, self.activation, self.axis = operation, qx, qy, activation, axis
        self.register_buffer("w", torch.from_numpy(w))
        self.per_channel = np.ndim(sw) > 0
        if self.per_channel:
            self.register_buffer("sw", torch.from_numpy(np.asarray(sw, F)))
            self.register_buffer("zw", torch.zeros(len(sw), dtype=torch.int64))
        else:
            self.sw = float(sw)
        self.b = None if b is None else torch.nn.Parameter(torch.from_numpy(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.per_channel:
            w = Q.dequantize_per_channel(self.w, self.sw, self.zw, self.axis, -127, 127, torch.int8)
        else:
            w = Q.dequantize_per_tensor(self.w, self.sw, 0, -127, 127, torch.int8)
        y = self.operation(through_codes(x, self.qx), w, self.b)
        if self.activation == "relu":
            y = torch.nn.functional.relu(y)
        elif self.activation == "relu6":
            y = torch.nn.functional.hardtanh(y, 0.0, 6.0)
        return through_codes(y, self.qy)


class Elementwise(torch.nn.Module):
    def __init__(self, operation: Callable[..., torch.Tensor], inputs: list[QPair], output: QPair) -> None:
        super().__init__()
        self.operation, self.inputs, self.output = operation, inputs, output

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return through_codes(self.operation(*(through_codes(x, q) for x, q in zip(xs, self.inputs))), self.output)


def dequantize(codes: np.ndarray, q: QPair) -> np.ndarray:
    return (codes.astype(F) - F(q[1])) * F(q[0])


def execute(
    module: torch.nn.Module, codes: list[np.ndarray], inputs: list[QPair], output: QPair
) -> tuple[np.ndarray, np.ndarray | None]:
    """The output's codes and the int32 bias. Floats cross the boundary: those of codes, which the delegate's own
    quantization returns to the same codes (RNE(x * fl(1/s)) + z), and a float output equal to one code's value."""
    values = tuple(torch.from_numpy(dequantize(c, q)) for c, q in zip(codes, inputs))
    lowered_biases.clear()
    lowered = to_edge_transform_and_lower(
        torch.export.export(module.eval(), values), partitioner=[XnnpackPartitioner()]
    )
    calls = [str(n.target) for n in lowered.exported_program().graph.nodes if n.op == "call_function"]
    if [name for name in calls if "getitem" not in name] != ["executorch_call_delegate"]:
        raise RuntimeError(f"not one delegate: {calls}")
    program = Runtime.get().load_program(lowered.to_executorch().buffer)  # must outlive its method
    y = program.load_method("forward").execute(values)[0].clone().numpy()
    result = np.rint(y.astype(np.float64) / float(output[0])) + output[1]
    if (dequantize(result, output) != y).any() or len(lowered_biases) > 1:
        raise RuntimeError("an output value belongs to no code, or there are two biases")
    for c, q in zip(codes, inputs):
        if (np.rint(dequantize(c, q) * (F(1) / q[0])) + q[1] != c).any():
            raise RuntimeError("an input code does not survive the boundary")
    return result.astype(np.int8), lowered_biases[0] if lowered_biases else None
