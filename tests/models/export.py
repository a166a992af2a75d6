"""From a QAT module to the files of one folder: qat.pt, converted.pt, expected.npz, about.json."""

import copy
import io
import zipfile
from typing import Tuple

import torch
from torch.ao import quantization as tq
from torch.ao.quantization.quantize_fx import convert_fx

HOOK_NAME = "_observer_forward_hook"


def typed_hook(self, input: Tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    return self.activation_post_process(output)


def make_scriptable(model):
    """torch.jit.script refuses the untyped observer hook of eager QAT; the typed one does the same."""
    for module in model.modules():
        names = [getattr(h, "__name__", "") for h in module._forward_hooks.values()]
        if HOOK_NAME in names:
            assert names == [HOOK_NAME], names
            module._forward_hooks.clear()
            module.register_forward_hook(typed_hook)
    return model


def freeze(model, observers_on=False):
    """Eval mode, batch norm statistics frozen, fake quant on, observers off (or left on)."""
    model.eval()
    model.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
    model.apply(tq.enable_fake_quant)
    model.apply(tq.enable_observer if observers_on else tq.disable_observer)
    return model


def convert(qat_model, fx):
    model = copy.deepcopy(qat_model).eval()
    return convert_fx(model) if fx else tq.convert(model)


def to_script(model, scripted, example, observers_on=False):
    if scripted:
        return torch.jit.script(make_scriptable(copy.deepcopy(model)))
    return torch.jit.trace(copy.deepcopy(model), example, check_trace=not observers_on)


def save(script_module, path):
    """torch.jit.save without the *.debug_pkl records: they hold source paths of the machine."""
    buffer = io.BytesIO()
    torch.jit.save(script_module, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(name), source.read(name))


def mac_layers(qat_model):
    return [name for name, module in qat_model.named_modules() if hasattr(module, "weight_fake_quant")]


def activation_range(qat_model):
    """The integer ranges of the activation fake-quants, e.g. ["0..127"]."""
    ranges = set()
    for name, module in qat_model.named_modules():
        if isinstance(module, tq.FakeQuantizeBase) and not name.endswith("weight_fake_quant"):
            ranges.add(f"{module.activation_post_process.quant_min}..{module.activation_post_process.quant_max}")
    return sorted(ranges)
