"""From a module, however it was prepared, to a file that qatgap reads."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qatgap.errors import ExportError
from qatgap.modules import (
    ExportWarning,
    add_typed_observer_hooks,
    copy_for_export,
    freeze_fake_quants,
    has_packed_weights,
    is_exported_graph,
    switch_observers_off,
)

if TYPE_CHECKING:
    import torch

MODEL_SUFFIXES = (".pt", ".pt2", ".onnx", ".tflite")


def export_model(module: object, example_inputs: object, path: str | os.PathLike[str]) -> Path:
    """Writes a module to a file that `qatgap` reads, and checks that the file computes the same.

    The module may be prepared by prepare_qat, prepare_qat_fx or prepare_qat_pt2e, converted by convert, convert_fx or
    convert_pt2e, a torch.jit.ScriptModule or a torch.export.ExportedProgram. It is not touched: a copy is exported, in
    eval mode and with its observers off.

    Args:
        module: the module.
        example_inputs: a tensor, a tuple of tensors, or a dict of them by argument name; the first axis is the batch.
            Not needed (None) for a ScriptModule or an ExportedProgram.
        path: where to. The ending chooses the format: `.pt2`, `.pt` (TorchScript) or `.onnx`. Without one of them the
            first that works is taken, in this order: `.pt2`, traced `.pt`, scripted `.pt`; its ending is appended.

    Returns:
        The file.

    Raises:
        ExportError: no format works; the text has the reason of each.
    """
    import torch

    path = Path(path)
    if not isinstance(module, (torch.nn.Module, torch.export.ExportedProgram)):
        raise ExportError(
            f"a {type(module).__name__} cannot be exported; give a Module, a ScriptModule or an ExportedProgram"
        )
    routes = _routes(module, path.suffix if path.suffix in MODEL_SUFFIXES else "")
    inputs = _as_tuple(module, example_inputs)
    failures = []
    for route in routes:
        target = path if path.suffix == route.suffix else path.with_name(path.name + route.suffix)
        try:
            with _quiet() as raised:
                route.write(module, inputs, target)
            for warning in raised:
                if issubclass(warning.category, ExportWarning):
                    warnings.warn(warning.message, stacklevel=2)
            return target
        except Exception as error:
            target.unlink(missing_ok=True)
            if isinstance(error, ExportError) and error.__cause__ is not None and len(routes) == 1:
                raise
            failures.append(f"  {route.name}: {_first_line(error)}")
            reason: Exception = error
    raise ExportError(f"{type(module).__name__} could not be exported:\n" + "\n".join(failures)) from reason


class _Route:
    """One way of writing: its name for messages, its suffix, and the function."""

    def __init__(self, name: str, suffix: str, write: Callable[[Any, tuple[Any, ...], Path], None]) -> None:
        self.name = name
        self.suffix = suffix
        self.write = write


def _routes(module: Any, suffix: str) -> list[_Route]:
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        routes = [_Route("torch.export.save", ".pt2", _save_program)]
    elif isinstance(module, torch.jit.ScriptModule):
        routes = [_Route("torch.jit.save", ".pt", _save_script)]
    else:
        routes = [
            _Route("torch.export", ".pt2", _write_pt2),
            _Route("torch.jit.trace", ".pt", _write_traced),
            _Route("torch.jit.script", ".pt", _write_scripted),
            _Route("torch.onnx.export", ".onnx", _write_onnx),
        ]
        if is_exported_graph(module):
            # torch.jit.script refuses their forward(), which takes variable arguments.
            del routes[2]
    if not suffix:
        return [route for route in routes if route.suffix != ".onnx"]
    chosen = [route for route in routes if route.suffix == suffix]
    if not chosen:
        known = ", ".join(sorted({route.suffix for route in routes}))
        raise ExportError(f"a {type(module).__name__} cannot be written as {suffix}; it can as {known}")
    return chosen


def _save_program(program: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import copy

    import torch

    copied = copy.deepcopy(program)
    switch_observers_off(copied.state_dict.items(), "the ExportedProgram")
    torch.export.save(copied, path)


def _save_script(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import torch

    copied = copy_for_export(module)
    torch.jit.save(copied, str(path))


def _write_pt2(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import torch

    if has_packed_weights(module):
        raise ExportError("weights packed by convert() cannot be saved by torch.export, only by TorchScript")
    _require_tensors(inputs)
    copied = copy_for_export(module)
    several, axes = _free_batch(inputs)
    try:
        program = torch.export.export(copied, several, dynamic_shapes=axes, strict=False)
    except Exception:
        # One that was itself exported for a batch of one sample; a failed attempt leaves its marks on the copy.
        copied = copy_for_export(module)
        program = torch.export.export(copied, inputs, strict=False)
    torch.export.save(program, path)
    _check(torch.export.load(path).module(), copied, inputs)
    sizes = _fixed_batch_sizes(program)
    if sizes:
        warnings.warn(
            f"{type(module).__name__} takes only batches of {sizes[0]}: where it fails for others, give that as "
            "batch_size, or export it with a free batch axis: torch.export.export(..., "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))",
            ExportWarning,
            stacklevel=2,
        )


def _free_batch(inputs: tuple[Any, ...]) -> tuple[tuple[torch.Tensor, ...], tuple[dict[int, Any] | None, ...]]:
    """Examples and dynamic_shapes with a batch axis that stays free where the model lets it."""
    import torch

    # torch.export takes an axis of size 1 for a constant.
    several = tuple(torch.cat([value, value]) if value.dim() > 0 and value.size(0) == 1 else value for value in inputs)
    return several, tuple({0: torch.export.Dim.AUTO} if value.dim() > 0 else None for value in inputs)


def _fixed_batch_sizes(program: torch.export.ExportedProgram) -> list[int]:
    """Batch sizes of the inputs that take only one."""
    names = set(program.graph_signature.user_inputs)
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    # A size that turned out to be fixed stays a symbol, which is written as its number.
    sizes = [str(value.shape[0]) for value in values if hasattr(value, "shape") and value.dim() > 0]
    return [int(size) for size in sizes if size.isdigit()]


def _write_traced(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import torch

    _require_tensors(inputs)
    copied = copy_for_export(module)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        traced = torch.jit.trace(copied, inputs, check_trace=False)  # type: ignore[no-untyped-call]
    for warning in raised:
        if _tells_data_dependence(warning):
            raise ExportError(
                f"control flow depends on data, which tracing loses ({Path(warning.filename).name}:{warning.lineno})"
            )
    torch.jit.save(traced, str(path))
    _check(torch.jit.load(str(path)), copied, inputs)  # type: ignore[no-untyped-call]


def _tells_data_dependence(warning: warnings.WarningMessage) -> bool:
    """Quantized modules of torch read their own scales as Python numbers, which is harmless; `if tensor:` is not."""
    import torch

    if warning.category.__name__ != "TracerWarning":
        return False
    inside_torch = Path(torch.__file__).parent in Path(warning.filename).parents
    return "Python boolean" in str(warning.message) or not inside_torch


def _write_scripted(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import torch

    copied = copy_for_export(module)
    # Hooks first: after one refusal torch.jit.script cannot compile the same classes again in this process.
    scripted = torch.jit.script(add_typed_observer_hooks(copied))
    torch.jit.save(scripted, str(path))
    _check(torch.jit.load(str(path)), copied, inputs)  # type: ignore[no-untyped-call]


def _write_onnx(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    import torch

    if has_packed_weights(module):
        raise ExportError("weights packed by convert() cannot be exported to ONNX, only saved by TorchScript")
    _require_tensors(inputs)
    frozen = copy_for_export(module) if is_exported_graph(module) else freeze_fake_quants(module)
    several, axes = _free_batch(inputs)
    with _shapes_of_fake_quants():
        torch.onnx.export(
            frozen, several, str(path), dynamo=True, dynamic_shapes=axes, external_data=False, verbose=False
        )


@contextlib.contextmanager
def _shapes_of_fake_quants() -> Iterator[None]:
    """Tells torch.export the shapes that fake-quants give.

    Where it does not know them it runs the operator, which it cannot for an axis that is free.
    """
    import torch

    def like_input(x: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.empty_like(x), torch.empty_like(x, dtype=torch.bool)

    with torch.library._scoped_library("aten", "IMPL") as library:
        for name in ("tensor", "channel"):
            operator = f"fake_quantize_per_{name}_affine_cachemask"
            if not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{operator}", "Meta"):
                library.impl(operator, like_input, "Meta")
        yield


def _check(written: Any, module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    """Holds the file against the copy that it was made of, on the example inputs."""
    import torch

    with torch.no_grad():
        expected, found = list(_tensors(module(*inputs))), list(_tensors(written(*inputs)))
    if len(expected) != len(found):
        raise ExportError(f"the file has {len(found)} outputs, the module {len(expected)}")
    for index, (left, right) in enumerate(zip(expected, found, strict=True)):
        if left.shape != right.shape or not bool((left == right).all()):
            difference = (left - right).abs().max().item() if left.shape == right.shape else "another shape"
            raise ExportError(f"the file computes something else on the example inputs (output {index}: {difference})")


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _tensors(part)


def _as_tuple(module: Any, example_inputs: object) -> tuple[Any, ...]:
    from qatgap.modules import input_names

    if example_inputs is None:
        return ()
    if isinstance(example_inputs, Mapping):
        names = input_names(module)
        unknown = [name for name in example_inputs if name not in names]
        if unknown:
            raise ExportError(f"the model has no input {unknown[0]!r}; it has {', '.join(names)}")
        example_inputs = tuple(example_inputs[name] for name in names if name in example_inputs)
    elif not isinstance(example_inputs, (tuple, list)):
        example_inputs = (example_inputs,)
    return tuple(_on_cpu(value) for value in example_inputs)


def _on_cpu(value: Any) -> Any:
    import numpy
    import torch

    if isinstance(value, numpy.ndarray):
        value = torch.from_numpy(numpy.ascontiguousarray(value))
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _require_tensors(inputs: tuple[Any, ...]) -> None:
    import torch

    if not inputs:
        raise ExportError("example_inputs is needed to export a module: a tensor, a tuple of tensors or a dict of them")
    for index, value in enumerate(inputs):
        if not isinstance(value, torch.Tensor):
            raise ExportError(f"example input {index} is a {type(value).__name__}, not a tensor")


def _first_line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{text} ({type(error).__name__})" if not isinstance(error, ExportError) else text


@contextlib.contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Keeps back what exporters print and warn of; gives the warnings."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(record=True) as raised,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("always")
            yield raised
    finally:
        logging.disable(level)
