"""The constants of a converted model as PyTorch reads them, for the comparison with qatgap's own lowering.

One .npz: <layer>/weight (int8), /weight_scale (float64, one or one a channel), /weight_zero_point (int64), /bias
(float32, absent where there is none), /output_scale (float64) and /output_zero_point (int64), absent where the output is float.
"""

import numpy as np
import torch
from torch import fx


def put(found, name, weight, scales, zero_points, bias, output=None):
    found[f"{name}/weight"] = weight
    found[f"{name}/weight_scale"] = np.asarray(scales, np.float64).reshape(-1)
    found[f"{name}/weight_zero_point"] = np.asarray(zero_points, np.int64).reshape(-1)
    if bias is not None:
        found[f"{name}/bias"] = bias.detach().numpy().astype(np.float32)
    if output is not None:
        found[f"{name}/output_scale"] = np.float64(output[0]).reshape(1)
        found[f"{name}/output_zero_point"] = np.int64(output[1]).reshape(1)


def of_modules(converted):
    """Of a model of convert() or convert_fx: quantized modules with packed weights."""
    found = {}
    for name, module in converted.named_modules():
        if not hasattr(module, "weight") or not callable(module.weight):
            continue
        weight = module.weight()
        if weight.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
            scales, zero_points = weight.q_per_channel_scales().numpy(), weight.q_per_channel_zero_points().numpy()
        else:
            scales, zero_points = weight.q_scale(), weight.q_zero_point()
        output = (module.scale, module.zero_point) if hasattr(module, "scale") else None
        put(found, name, weight.int_repr().numpy(), scales, zero_points, module.bias(), output)
    return found


MACS = {"aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default", "aten.conv_transpose2d.input",
        "aten.linear.default", "aten.addmm.default"}
PASSED = {"aten.relu.default", "aten.relu_.default", "aten.hardtanh.default", "aten.hardtanh_.default",
          "aten.clamp.default", "aten.view.default", "aten.squeeze.default"}


def attribute(module, node):
    value = module
    for atom in node.target.split("."):
        value = getattr(value, atom)
    return value


def module_path(node):
    stack = node.meta.get("nn_module_stack", {})
    path = list(stack.values())[-1][0] if stack else node.name
    return path[len("L['self'].") :] if path.startswith("L['self'].") else path


def of_exported(converted: fx.GraphModule):
    """Of a model of convert_pt2e: weights behind dequantize_per_channel or dequantize_per_tensor."""
    found = {}
    for node in converted.graph.nodes:
        if node.op != "call_function" or str(node.target) not in MACS:
            continue
        source = node.args[1]
        if not isinstance(source, fx.Node) or "dequantize_per" not in str(source.target):
            continue
        if source.args[0].op != "get_attr":
            continue
        weight = attribute(converted, source.args[0])
        read = lambda v: attribute(converted, v).detach().numpy() if isinstance(v, fx.Node) else v  # noqa: E731
        bias = node.args[2] if len(node.args) > 2 else None
        user, output = node, None
        while len(user.users) == 1:
            user = next(iter(user.users))
            if "quantized_decomposed.quantize_per_tensor" in str(user.target):
                output = (read(user.args[1]), read(user.args[2]))
                break
            if str(user.target) not in PASSED:
                break
        put(found, module_path(node), weight.numpy(), read(source.args[1]), read(source.args[2]),
            attribute(converted, bias) if isinstance(bias, fx.Node) else None, output)
    return found
