"""Writes the tiny TorchScript files of cases/: each is one thing that the importer must take, or refuse with a reason.

    python tests/analyzers/frontends/torchscript/make_models.py      # torch 2.13.0, seconds
"""

import io
import pathlib
import warnings
import zipfile
from typing import List

import torch
from torch import nn
from torch.ao import quantization as tq

warnings.filterwarnings("ignore")
CASES = pathlib.Path(__file__).parent / "cases"


def fake_quant(x):
    return torch.fake_quantize_per_tensor_affine(x, 0.125, 3, 0, 255)


def save(name, module, trace_input=None):
    module = module.eval()
    script = torch.jit.script(module) if trace_input is None else torch.jit.trace(module, trace_input)
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    # Without debug records (they hold source paths) and compressed: LibTorch reads that too.
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(CASES / f"{name}.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            if not entry.endswith(".debug_pkl"):
                info = zipfile.ZipInfo(entry)
                info.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(info, source.read(entry))


class FloatOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class UnknownOperator(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(Bessel())

    def forward(self, x):
        return self.inner(fake_quant(x))


class Fused(nn.Module):
    """A fake-quant module whose observer has, or has not, seen data."""

    def __init__(self, observed):
        super().__init__()
        self.fq = tq.default_fused_act_fake_quant()
        if observed:
            self.fq(torch.tensor([-1.0, 1.0]))
        self.fq.disable_observer()

    def forward(self, x):
        return self.fq(x)


class PlainObserverOn(nn.Module):
    """FakeQuantize, not the fused one, with its observer on."""

    def __init__(self):
        super().__init__()
        self.fq = tq.FakeQuantize(observer=tq.MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
        self.fq(torch.tensor([-1.0, 1.0]))

    def forward(self, x):
        return self.fq(x)


class Disabled(Fused):
    def __init__(self):
        super().__init__(observed=True)
        self.fq.disable_fake_quant()

    def forward(self, x):
        return fake_quant(self.fq(x))


class Overwrite(nn.Module):
    """relu_ inside the submodule also changes x here; the clone made before keeps its values."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = fake_quant(x)
        kept = x.clone()
        y = self.act(x)
        return y + x, y + kept


class OverwriteInBranch(nn.Module):
    def forward(self, x):
        y = fake_quant(x)
        if bool(x.sum() > 0.0):
            y.relu_()
        return y


class Negated(nn.Module):
    """`not` swaps the sides; the condition is a number made by item()."""

    def forward(self, x):
        y = fake_quant(x)
        if not bool(x.sum() > 0.0):
            z = y + 1.0
        else:
            z = y
        if x.mean().item() > 0.5:
            z = torch.sigmoid(z)
        return z


class Dense(nn.Module):
    """A list of feature maps, appended to, indexed, unpacked and concatenated."""

    def forward(self, x):
        features: List[torch.Tensor] = []
        features.append(fake_quant(x))
        for _ in range(2):
            features.append(torch.relu(torch.cat(features, 1)))
        return features[-1] + features[0].sum()


class KeepsBatch(nn.Module):
    def forward(self, x):
        batch, channels, height, width = x.shape
        return fake_quant(x).reshape(batch, channels, -1)


class ShapeArithmetic(nn.Module):
    """The first size is a product: not the batch."""

    def forward(self, x):
        return fake_quant(x).reshape(x.size(0) * x.size(1), -1)


class ShapeBound(nn.Module):
    """The end of a slice is an extent of another axis."""

    def forward(self, x):
        return fake_quant(x)[:, : x.size(0)]


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return fake_quant(x)


class Endless(nn.Module):
    def __init__(self):
        super().__init__()
        self.go = True

    def forward(self, x):
        while self.go:
            pass
        return fake_quant(x)


class Recursive(nn.Module):
    def forward(self, x):
        n = 0
        for i in range(1 << 40):
            n += i
        return fake_quant(x) + n


class DoubleWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(2, 2, dtype=torch.float64))

    def forward(self, x):
        return nn.functional.linear(x, fake_quant(self.weight))


class BadAxis(nn.Module):
    """Per-channel qparams along an axis that the weight lacks."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(2, 2))
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("zero_point", torch.zeros(2, dtype=torch.int32))
        self.axis = 5

    def forward(self, x):
        weight = torch.fake_quantize_per_channel_affine(self.weight, self.scale, self.zero_point, self.axis, -128, 127)
        return nn.functional.linear(x, weight)


class FromFile(nn.Module):
    def forward(self, x):
        return fake_quant(x) + torch.from_file("any.bin", size=1, dtype=torch.uint8)


class AsymmetricWeight(nn.Module):
    """A per-tensor weight with zero point 5 and a per-channel one, values at ties and beyond the range."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.tensor([[-0.3, -0.05, 0.05, 0.15], [0.25, 0.349, 30.0, -30.0]]))
        self.register_buffer("scale", torch.tensor([0.1, 0.003]))
        self.register_buffer("zero_point", torch.tensor([0, 2], dtype=torch.int32))

    def forward(self, x):
        a = torch.fake_quantize_per_tensor_affine(self.weight, 0.1, 5, -128, 127)
        b = torch.fake_quantize_per_channel_affine(self.weight, self.scale, self.zero_point, 0, -128, 127)
        return nn.functional.linear(x, a) + nn.functional.linear(x, b)


class Quantized(nn.Module):
    """Codes of qint8, sigmoid and hardsigmoid of codes, conv1d, a cat with relu."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype
        torch.backends.quantized.engine = "fbgemm"
        self.conv = torch.ao.nn.quantized.Conv1d(2, 4, 3, stride=2, padding=1, dilation=1, groups=2)
        self.conv.set_weight_bias(
            torch.quantize_per_channel(
                torch.arange(12.0).reshape(4, 1, 3) - 5,
                torch.tensor([0.5, 0.25, 0.125, 1.0]),
                torch.zeros(4, dtype=torch.int64),
                0,
                torch.qint8,
            ),
            torch.arange(4.0),
        )
        self.conv.scale = 0.5
        self.conv.zero_point = 4

    def forward(self, x):
        x = torch.quantize_per_tensor(x, 0.1, 2, self.dtype)
        y = torch.ops.quantized.conv1d(x, self.conv._packed_params, 0.5, 4)
        y = torch.ops.quantized.cat_relu([torch.sigmoid(y), nn.functional.hardsigmoid(y)], 1, 0.02, 1)
        return torch.dequantize(y)


CASES.mkdir(exist_ok=True)
torch.manual_seed(0)
save("float_only", FloatOnly())
save("unknown_operator", UnknownOperator())
save("never_observed", Fused(observed=False))
save("fused_traced", Fused(observed=True), torch.zeros(1, 2))
save("plain_observer_on", PlainObserverOn())
save("disabled", Disabled())
save("overwrite", Overwrite())
save("overwrite_in_branch", OverwriteInBranch())
save("negated", Negated())
save("dense", Dense())
save("keeps_batch", KeepsBatch())
save("shape_arithmetic", ShapeArithmetic())
save("shape_bound", ShapeBound())
save("counter", Counter())
save("endless", Endless())
save("long_loop", Recursive())
save("double_weight", DoubleWeight())
save("bad_axis", BadAxis())
save("asymmetric_weight", AsymmetricWeight())
save("quint8", Quantized(torch.quint8))
save("qint8", Quantized(torch.qint8))
try:
    save("from_file", FromFile())
except RuntimeError as error:
    print("from_file:", str(error).splitlines()[0])
