"""torchao's PT2E quantization-aware training, saved as torch.export archives."""

import numpy as np
import torch
from torch import nn
from torchao.quantization.pt2e import disable_observer, move_exported_model_to_eval
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
from torchao.testing.pt2e import _xnnpack_quantizer as xnnpack

import constants
import training
from torchscript_flows import flat


def quantizer_of(name, architecture):
    if name == "x86":
        quantizer = x86.X86InductorQuantizer()
        config = x86.get_default_x86_inductor_quantization_config(is_qat=True)
        if architecture.linear_only:
            return quantizer.set_module_type_qconfig(nn.Linear, config)
        return quantizer.set_global(config)
    quantizer = xnnpack.XNNPACKQuantizer()
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    if architecture.linear_only:
        return quantizer.set_module_type(nn.Linear, config)
    return quantizer.set_global(config)


def qat_pt2e(architecture, name):
    model = training.seeded_model(architecture, stubs=architecture.pt2e_stubs).train()
    batch = 1 if architecture.branches else training.BATCH
    example = (training.seeded_samples(architecture.input_shape, batch),)
    model = torch.export.export(model, example).module()
    model = prepare_qat_pt2e(model, quantizer_of(name, architecture))
    if architecture.real_weights:
        move_exported_model_to_eval(model)
    forward = model
    if architecture.branches:
        forward = lambda batch: torch.cat([model(sample) for sample in batch.split(1)])  # noqa: E731
    training.train(model, forward, architecture)
    move_exported_model_to_eval(model)
    model.apply(disable_observer)
    return model


def save(model, path, samples, one_by_one):
    example = (samples[:1] if one_by_one else samples,)
    torch.export.save(torch.export.export(model, example), path)
    module = torch.export.load(path).module()
    with torch.no_grad():
        if not one_by_one:
            return flat(module(samples))
        return [np.concatenate(parts) for parts in zip(*(flat(module(sample)) for sample in samples.split(1)))]


def write(folder, architecture, name, samples):
    try:
        qat = qat_pt2e(architecture, name)
    except Exception as error:
        folder.failed({"qat.pt2": {"kind": "qat"}, "converted.pt2": {"kind": "converted"}}, error)
        return
    folder.part("qat.pt2", lambda path: save(qat, path, samples, architecture.branches), kind="qat", export="export",
                recorded_by="PyTorch")
    try:
        converted = convert_pt2e(qat)
        move_exported_model_to_eval(converted)
        np.savez(folder.path / "constants.npz", **constants.of_exported(converted))
        folder.about["constants"] = "constants.npz"
    except Exception as error:
        folder.failed({"converted.pt2": {"kind": "converted"}}, error)
        return
    folder.part("converted.pt2", lambda path: save(converted, path, samples, architecture.branches), kind="converted",
                export="export", recorded_by="PyTorch")
