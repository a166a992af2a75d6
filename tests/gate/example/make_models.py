"""Makes the models and samples of this folder: python make_models.py. Seeded; the files are committed.

Each changed model is the baseline's with one thing done to it, so that a test knows what a gate has to say of it.
"""

import copy
import io
import pathlib
import warnings
import zipfile

import numpy as np
import torch
from torch import nn
from torch.ao import quantization as tq

HERE = pathlib.Path(__file__).parent
SHAPE = (1, 12, 12)
CHANNELS = 8


class Net(nn.Module):
    """Four MAC layers: convolution, depthwise, pointwise, linear."""

    def __init__(self, pointwise="mix"):
        super().__init__()
        self.quant = tq.QuantStub()
        self.dequant = tq.DeQuantStub()
        layers = [
            ("stem", nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU())),
            ("dw", nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS), nn.ReLU())),
        ]
        if pointwise:
            layers.append((pointwise, nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU())))
        self.order = [name for name, _ in layers]
        for name, layer in layers:
            self.add_module(name, layer)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(CHANNELS, 4)

    def forward(self, x):
        x = self.quant(x)
        for name in self.order:
            x = getattr(self, name)(x)
        return self.dequant(self.fc(torch.flatten(self.pool(x), 1)))


def qconfig():
    activation = tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
    weight = tq.FakeQuantize.with_args(
        observer=tq.MovingAveragePerChannelMinMaxObserver,
        quant_min=-127,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
    )
    return tq.QConfig(activation=activation, weight=weight)


def samples(seed):
    return torch.rand(64, *SHAPE, generator=torch.Generator().manual_seed(seed))


def prepare(model):
    """QAT modules in place of the float ones; nothing is observed yet."""
    model.train()
    for module in list(model.modules()):
        if type(module) is nn.Sequential:
            tq.fuse_modules_qat(module, ["0", "1"], inplace=True)
    model.qconfig = qconfig()
    return tq.prepare_qat(model)


def observe(model, images):
    model.apply(tq.enable_observer)
    with torch.no_grad():
        model(images)
    model.eval()
    model.apply(tq.enable_fake_quant)
    return model.apply(tq.disable_observer)


def base(pointwise="mix"):
    torch.manual_seed(5)
    return prepare(Net(pointwise))


def harmless(model, images):
    """Another step of training: every weight of dw moves by up to 1 %."""
    weight = model.dw[0].weight
    with torch.no_grad():
        weight.mul_(1 + 0.01 * (2 * torch.rand(weight.shape, generator=torch.Generator().manual_seed(9)) - 1))
    return observe(model, images)


def bias_saturation(model, images):
    """A dead channel of mix: weights near 0, so a step of its bias is near 0, and a bias that needs 33 bits of it."""
    with torch.no_grad():
        model.mix[0].weight[3] = 1e-7
        model.mix[0].bias[3] = 6.0
    return observe(model, images)


def give_scale(fake_quant, step, largest_code):
    """Of a fake-quantize module and of the observer in it, which a conversion asks again."""
    observer = fake_quant.activation_post_process
    with torch.no_grad():
        observer.max_val.fill_(step * largest_code)
        observer.min_val.fill_(-step * largest_code if largest_code == 127 else 0)
        fake_quant.scale.fill_(step)
        fake_quant.zero_point.zero_()


def requantization(model, images):
    """Scales of mix that are powers of two: sums fall half way between two codes, and targets round such ties apart."""
    model = observe(model, images)
    mix = model.mix[0]
    with torch.no_grad():
        mix.weight.copy_(torch.round(mix.weight * 8) / 8)
    give_scale(model.dw[0].activation_post_process, 2.0**-7, 255)
    give_scale(mix.weight_fake_quant, 2.0**-3, 127)
    give_scale(mix.activation_post_process, 2.0**-7, 255)
    return model


def converted(model):
    torch.backends.quantized.engine = "qnnpack"
    return tq.convert(copy.deepcopy(model))


def save(model, name):
    """torch.jit.save without the *.debug_pkl records: they hold source paths of the machine."""
    traced = torch.jit.trace(copy.deepcopy(model), torch.zeros(2, *SHAPE))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_STORED) as target:
        for record in source.namelist():
            if not record.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(record), source.read(record))


def main():
    images = samples(0)
    np.savez_compressed(HERE / "calib.npz", images.numpy())
    np.savez_compressed(HERE / "other_calib.npz", samples(1).numpy())
    (HERE / "models").mkdir(exist_ok=True)
    baseline = observe(base(), images)
    save(baseline, "models/baseline.pt")
    save(converted(baseline), "models/baseline_int8.pt")
    save(harmless(base(), images), "models/harmless.pt")
    saturated = bias_saturation(base(), images)
    save(saturated, "models/bias_saturation.pt")
    save(converted(saturated), "models/bias_saturation_int8.pt")
    save(requantization(base(), images), "models/requantization.pt")
    save(observe(base("pointwise"), images), "models/renamed.pt")
    save(observe(base(""), images), "models/removed.pt")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
