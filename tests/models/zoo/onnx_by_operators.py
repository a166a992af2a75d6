"""Runs an ONNX file operator by operator with PyTorch's kernels.

onnxruntime sums the products of a convolution in an order of its own, and one rounding is enough to move a code. With
the same float kernels as qatgap nothing is left to differ but the reading of the file, which is then compared bit for bit.
Quantization is as the ONNX specification has it: x / scale rounded half to even, plus zero point, saturated.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

LIMITS = {torch.int8: (-128, 127), torch.uint8: (0, 255), torch.int32: (-(2**31), 2**31 - 1)}


def of_numpy(array):
    return torch.from_numpy(np.array(array))


def along(values, x, axis):
    """One value, or one an index of the axis, shaped to broadcast over x."""
    if values.numel() == 1:
        return values.reshape(())
    return values.reshape([-1 if i == axis % x.dim() else 1 for i in range(x.dim())])


def quantize(x, scale, zero_point=None, axis=1, **_):
    dtype = torch.uint8 if zero_point is None else zero_point.dtype
    zero = 0 if zero_point is None else along(zero_point, x, axis).to(torch.int64)
    low, high = LIMITS[dtype]
    return (torch.round(x / along(scale, x, axis)).to(torch.int64) + zero).clamp(low, high).to(dtype)


def dequantize(x, scale, zero_point=None, axis=1, **_):
    zero = 0 if zero_point is None else along(zero_point, x, axis).to(torch.int32)
    return (x.to(torch.int32) - zero).to(torch.float32) * along(scale, x, axis)


def padded(x, pads, value=0.0):
    """Symmetric pads stay with the operator; others are put on in front."""
    half = len(pads) // 2
    if list(pads[:half]) == list(pads[half:]):
        return x, list(pads[:half])
    order = [pad for axis in reversed(range(half)) for pad in (pads[axis], pads[half + axis])]
    return functional.pad(x, order, value=value), [0] * half


def conv(x, weight, bias=None, strides=None, pads=None, dilations=None, group=1, **_):
    rank = weight.dim() - 2
    x, pads = padded(x, pads or [0] * 2 * rank)
    return torch.convolution(x, weight, bias, strides or [1] * rank, pads, dilations or [1] * rank, False, [0] * rank, group)


def gemm(a, b, c=None, alpha=1.0, beta=1.0, transA=0, transB=0, **_):  # noqa: N803
    assert alpha == 1.0 and beta == 1.0 and not transA, "only y = a b + c is written here"
    return functional.linear(a, b if transB else b.t(), c)


def max_pool(x, kernel_shape, strides=None, pads=None, ceil_mode=0, **_):
    x, pads = padded(x, pads or [0] * 2 * len(kernel_shape), value=-torch.inf)
    return functional.max_pool2d(x, kernel_shape, strides or 1, pads, 1, bool(ceil_mode))


def average_pool(x, kernel_shape, strides=None, pads=None, ceil_mode=0, count_include_pad=0, **_):
    x, pads = padded(x, pads or [0] * 2 * len(kernel_shape))
    return functional.avg_pool2d(x, kernel_shape, strides or 1, pads, bool(ceil_mode), bool(count_include_pad))


def reshape(x, shape, allowzero=0, **_):
    return x.reshape([x.shape[i] if size == 0 and not allowzero else size for i, size in enumerate(shape.tolist())])


def split(x, sizes=None, axis=0, num_outputs=None, **_):
    return list(torch.split(x, sizes.tolist() if sizes is not None else x.shape[axis] // num_outputs, axis))


def mean(x, axes=None, keepdims=1, **_):
    return x.mean(axes.tolist() if axes is not None else list(range(x.dim())), keepdim=bool(keepdims))


OPERATORS = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": lambda a, b: torch.matmul(a, b),
    "BatchNormalization": lambda x, gamma, beta, center, variance, epsilon=1e-5, **_: functional.batch_norm(
        x, center, variance, gamma, beta, False, 0.0, epsilon),
    "LayerNormalization": lambda x, gamma, beta=None, axis=-1, epsilon=1e-5, **_: functional.layer_norm(
        x, x.shape[axis:], gamma, beta, epsilon),
    "Add": torch.add, "Mul": torch.mul, "Div": torch.div, "Sub": torch.sub, "Greater": torch.gt,
    "Clip": lambda x, low, high: torch.clamp(x, low, high),
    "Relu": torch.relu, "HardSwish": functional.hardswish,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: functional.hardsigmoid(x),
    "Gelu": lambda x, approximate=b"none": functional.gelu(x, approximate=approximate.decode()),
    "Softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "MaxPool": max_pool, "AveragePool": average_pool, "ReduceMean": mean,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Reshape": reshape, "Split": split,
    "Transpose": lambda x, perm: x.permute(perm),
    "Squeeze": lambda x, axes=None: x.squeeze() if axes is None else x.squeeze(axes.tolist()),
    "Flatten": lambda x, axis=1: x.flatten(axis),
    "Identity": lambda x: x,
}


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def run_graph(graph, values):
    values = dict(values)
    for initializer in graph.initializer:
        values[initializer.name] = of_numpy(numpy_helper.to_array(initializer))
    for node in graph.node:
        known = attributes(node)
        if node.op_type == "If":
            branch = known["then_branch"] if bool(values[node.input[0]]) else known["else_branch"]
            results = run_graph(branch, values)
        elif node.op_type == "Constant":
            results = [of_numpy(numpy_helper.to_array(known["value"]))]
        else:
            inputs = [values[name] if name else None for name in node.input]
            results = OPERATORS[node.op_type](*inputs, **known)
        if not isinstance(results, list):
            results = [results]
        values.update(zip(node.output, results))
    return [values[output.name] for output in graph.output]


def run(path, samples):
    """The outputs, as arrays; KeyError names an operator that is not written here."""
    graph = onnx.load(str(path)).graph
    with torch.no_grad():
        return [output.numpy() for output in run_graph(graph, {graph.input[0].name: samples})]
