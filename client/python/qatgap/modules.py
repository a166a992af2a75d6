"""Copies of QAT modules that can be exported: in eval mode, observers off, hooks typed, fake-quants frozen.

Nothing here touches the module it is given.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import itertools
import warnings
from typing import TYPE_CHECKING, Any

from qatgap.errors import ExportError

if TYPE_CHECKING:
    import torch

_OBSERVER_HOOK = "_observer_forward_hook"


class ExportWarning(UserWarning):
    """The exported model differs in something from the module as it was given."""


def is_exported_graph(module: object) -> bool:
    """Whether this is a graph of torch.export, as PT2E prepares and converts them."""
    import torch

    return isinstance(module, torch.fx.GraphModule) and any(
        node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes
    )


def has_packed_weights(module: torch.nn.Module) -> bool:
    """Whether convert() or convert_fx() put its weights into objects that only TorchScript can save."""
    return any(hasattr(child, "_packed_params") for child in module.modules())


def copy_for_export(module: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU in eval mode with all observers off; an ExportWarning when some were on."""
    copied = _deep_copy(module).cpu()
    # Of weights that take gradients, fake-quants trace to operators that no exporter has.
    for parameter in copied.parameters():
        if parameter.is_leaf:  # not those of a copied ScriptModule, which is saved as it is
            parameter.requires_grad_(False)
    if is_exported_graph(copied):
        _move_exported_to_eval(copied)
    else:
        copied.eval()
    switch_observers_off(copied.named_buffers(), type(module).__name__)
    return copied


def switch_observers_off(buffers: Any, what: str) -> None:
    """Zeroes every observer_enabled among (name, tensor) pairs; an ExportWarning names the first that was on."""
    on = []
    for name, buffer in buffers:
        if name.rpartition(".")[2] == "observer_enabled" and bool(buffer.any()):
            buffer.zero_()
            on.append(name.rpartition(".")[0])
    if on:
        warnings.warn(
            f"{len(on)} observers of {what} were on (first: {on[0]}): they would move the ranges with every sample, so "
            "the exported copy has them off; call module.apply(torch.ao.quantization.disable_observer) before the last "
            "epochs of training",
            ExportWarning,
            stacklevel=2,
        )


def add_typed_observer_hooks(module: torch.nn.Module) -> torch.nn.Module:
    """A copy that torch.jit.script accepts.

    Eager prepare_qat registers forward hooks without types, which torch.jit.script refuses; the copy has hooks that do
    the same and say so. Needed only where control flow depends on data, which tracing would lose.

    >>> scriptable = qatgap.add_typed_observer_hooks(qat_model)  # doctest: +SKIP
    >>> torch.jit.script(scriptable).save("qat.pt")  # doctest: +SKIP
    """
    import torch

    from qatgap._typed_hook import typed_observer_hook

    copied = _deep_copy(module)
    for child in copied.modules():
        ours = [key for key, hook in child._forward_hooks.items() if getattr(hook, "__name__", "") == _OBSERVER_HOOK]
        for key in ours:
            del child._forward_hooks[key]
        if ours:
            child.register_forward_hook(typed_observer_hook)
    assert isinstance(copied, torch.nn.Module)
    return copied


def freeze_fake_quants(module: torch.nn.Module) -> torch.nn.Module:
    """A copy whose fake-quants are constants: what torch.onnx.export needs.

    The default QAT fake-quants compute scale and zero point from running ranges in one fused operator that has no ONNX
    form. The copy has torch.fake_quantize_per_tensor_affine and torch.fake_quantize_per_channel_affine instead, with
    exactly the scales and zero points that the fused operator uses.

    >>> frozen = qatgap.freeze_fake_quants(qat_model)  # doctest: +SKIP
    >>> torch.onnx.export(frozen, example_inputs, "qat.onnx", dynamo=True)  # doctest: +SKIP

    Raises:
        ExportError: a fake-quant has never seen data, so it has no range.
    """
    copied = copy_for_export(module)
    frozen: dict[int, torch.nn.Module] = {}
    for path, parent in list(copied.named_modules()):
        for name, child in list(parent._modules.items()):
            if child is None or not hasattr(child, "fake_quant_enabled"):
                continue
            # FX puts one fake-quant under several names, of which named_children() gives only the first.
            if id(child) not in frozen:
                frozen[id(child)] = _frozen(child, f"{path}.{name}".lstrip("."))
            setattr(parent, name, frozen[id(child)])
    return copied


def _frozen(fake_quant: Any, path: str) -> torch.nn.Module:
    import torch

    from qatgap._frozen_fake_quant import FrozenFakeQuantize

    if not bool(fake_quant.fake_quant_enabled.any()):
        return torch.nn.Identity()
    observer = getattr(fake_quant, "activation_post_process", fake_quant)
    per_channel = bool(getattr(fake_quant, "is_per_channel", False))
    axis = int(getattr(fake_quant, "ch_axis", -1))
    minimum = getattr(observer, "min_val", None)
    if minimum is not None and (minimum.numel() == 0 or not bool(torch.isfinite(minimum).all())):
        raise ExportError(
            f"the fake-quant {path} has never seen data, so it has no range; run the module on samples with observers "
            "on before it is exported"
        )
    if type(fake_quant).__name__.startswith("FusedMovingAvg"):
        # The fused operator ignores its buffers and overwrites them with what it computes from the running range.
        shape = [1] * max(2, axis + 1)
        if per_channel:
            assert minimum is not None
            shape[axis] = minimum.numel()
        with torch.no_grad():
            fake_quant(torch.zeros(shape))
    return FrozenFakeQuantize(
        scale=fake_quant.scale.detach().clone().float(),
        zero_point=fake_quant.zero_point.detach().clone().to(torch.int32),
        quant_min=int(observer.quant_min),
        quant_max=int(observer.quant_max),
        axis=axis if per_channel else None,
    )


def _deep_copy(module: torch.nn.Module) -> torch.nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise ExportError(
            f"{type(module).__name__} cannot be copied ({error}); give a copy.deepcopy-able module, or the path of a "
            "file that you exported"
        ) from error


def _move_exported_to_eval(module: torch.nn.Module) -> None:
    """model.eval() is refused by graphs of torch.export: batch norm and dropout are operators in them."""
    # Before torchao took PT2E over, torch itself had it.
    has_torchao = importlib.util.find_spec("torchao") is not None
    home: Any = importlib.import_module("torchao.quantization.pt2e" if has_torchao else "torch.ao.quantization")
    home.move_exported_model_to_eval(module)


def input_names(module: object) -> list[str]:
    """Names of a model's inputs in the order of its arguments, as the exported file has them; empty if unknown."""
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        return [str(name) for name in module.graph_signature.user_inputs]
    if isinstance(module, torch.jit.ScriptModule):
        forward: Any = module.forward
        arguments = forward.schema.arguments
        return [argument.name for argument in itertools.islice(arguments, 1, None)]
    if isinstance(module, torch.fx.GraphModule):
        return [str(node.target).lstrip("*") for node in module.graph.nodes if node.op == "placeholder"]
    if isinstance(module, torch.nn.Module):
        return list(inspect.signature(module.forward).parameters)
    return []
