"""Eager and FX quantization-aware training, saved as TorchScript: traced, and scripted where it scripts."""

import copy
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.ao import quantization as tq
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

import constants
import training

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import export  # noqa: E402


def qat_eager(architecture, engine):
    torch.backends.quantized.engine = engine
    model = architecture.fuse(training.seeded_model(architecture, stubs=True).train())
    qconfig = tq.get_default_qat_qconfig(engine)
    model.qconfig = qconfig
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, nn.GELU)):
            module.qconfig = None
    tq.prepare_qat(model.train(), inplace=True)
    return trained(model, getattr(model, "routed", model), architecture)


def qat_fx(architecture, engine):
    torch.backends.quantized.engine = engine
    model = training.seeded_model(architecture, stubs=False).train()
    mapping = tq.get_default_qat_qconfig_mapping(engine)
    if architecture.linear_only:
        mapping = tq.QConfigMapping().set_object_type(nn.Linear, tq.get_default_qat_qconfig(engine))
    example = (training.seeded_samples(architecture.input_shape, training.BATCH),)
    model = prepare_qat_fx(model, mapping, example)
    return trained(model, model, architecture)


def trained(model, forward, architecture):
    if architecture.real_weights:
        model.eval()
    training.train(model, forward, architecture)
    return export.freeze(model)


def run(module, samples):
    """Outputs of a saved file, loaded again, flattened: what a user's own program would get."""
    with torch.no_grad():
        return flat(module(samples))


def flat(output):
    if isinstance(output, torch.Tensor):
        return [output.detach().numpy()]
    values = output.values() if isinstance(output, dict) else output
    return [array for value in values if value is not None for array in flat(value)]


def outputs(path, samples, one_by_one):
    module = torch.jit.load(str(path))
    if not one_by_one:
        return run(module, samples)
    return [np.concatenate(parts) for parts in zip(*(run(module, sample) for sample in samples.split(1)))]


def write(folder, architecture, engine, fx, samples):
    try:
        qat = qat_fx(architecture, engine) if fx else qat_eager(architecture, engine)
    except Exception as error:
        folder.failed({"qat.pt": {"kind": "qat"}, "converted.pt": {"kind": "converted"}}, error)
        return
    jobs = [("qat.pt", qat, False), ("qat_scripted.pt", qat, True)]
    try:
        converted = export.convert(qat, fx)
        np.savez(folder.path / "constants.npz", **constants.of_modules(converted))
        folder.about["constants"] = "constants.npz"
        jobs += [("converted.pt", converted, False), ("converted_scripted.pt", converted, True)]
    except Exception as error:
        folder.failed({"converted.pt": {"kind": "converted"}}, error)
    for file, model, scripted in jobs:
        if architecture.branches and not scripted:
            continue  # a trace holds one branch only: a wrong model

        def save(path, model=model, scripted=scripted):
            if scripted:
                module = torch.jit.script(export.make_scriptable(copy.deepcopy(model)))
            else:
                module = torch.jit.trace(copy.deepcopy(model), samples, check_trace=False)
            export.save(module, path)
            return outputs(path, samples, architecture.branches)

        folder.part(file, save, kind=file.split(".")[0].split("_")[0], export="script" if scripted else "trace",
                    recorded_by="PyTorch")
