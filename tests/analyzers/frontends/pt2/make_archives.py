#!/usr/bin/env python3
"""Makes the archives of archives/ and the TorchScript twins beside them, which a test runs in its own process.

Run it from anywhere with the checkout's Python; it needs torch and torchao. A twin is a trace of the exported program
(quantized_decomposed operators written out in aten): float sums of convolutions differ from host to host, so the tests
compare with LibTorch on the host that runs them, bit for bit, and not with stored outputs.
"""

import argparse
import copy
import logging
import os
import pathlib
import warnings
import zipfile

import torch
from torch import nn
from torch.ao import quantization as eager
from torch.export import Dim

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

from torchao.quantization.pt2e import disable_observer, move_exported_model_to_eval  # noqa: E402
from torchao.quantization.pt2e import FusedMovingAvgObsFakeQuantize, MovingAverageMinMaxObserver  # noqa: E402
from torchao.quantization.pt2e import MovingAveragePerChannelMinMaxObserver  # noqa: E402
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e  # noqa: E402
from torchao.quantization.pt2e.quantizer import (  # noqa: E402
    DerivedQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86  # noqa: E402
from torchao.testing.pt2e import _xnnpack_quantizer as xnnpack  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent / "archives"


def export(model, inputs, **options):
    torch._dynamo.reset()  # or sizes become symbols because an earlier model had others
    return torch.export.export(model, inputs, **options)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), nn.Hardtanh(0.0, 6.0)
        )
        self.point = nn.Conv2d(4, 4, 1)
        self.biased = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.act = nn.Hardswish()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.depthwise(x)
        y = self.point(y) + x
        z = self.act(self.biased(y))
        y = torch.cat([y, z], 1)
        return self.fc(torch.flatten(self.pool(y), 1))


class TinyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.fc = nn.Linear(12, 2)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(x.view(x.shape[0], -1))


class BiasQuantizer(Quantizer):
    """int8 activations and weights, and an int32 bias at scale input times weight, as most hardware stores it."""

    def __init__(self):
        fake = FusedMovingAvgObsFakeQuantize
        self.activation = QuantizationSpec(
            torch.int8,
            fake.with_args(observer=MovingAverageMinMaxObserver, eps=2**-12),
            -128,
            127,
            torch.per_tensor_affine,
        )
        self.weight = QuantizationSpec(
            torch.int8,
            fake.with_args(observer=MovingAveragePerChannelMinMaxObserver, eps=2**-12),
            -127,
            127,
            torch.per_channel_symmetric,
            ch_axis=0,
        )

    def annotate(self, model):
        for node in model.graph.nodes:
            if node.target not in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default):
                continue
            x, w, b = node.args[:3]

            def derive(observers):
                activation, weight = observers
                scale = activation.calculate_qparams()[0] * weight.calculate_qparams()[0]
                return scale, torch.zeros_like(scale, dtype=torch.int64)

            bias = DerivedQuantizationSpec(
                derived_from=[(x, node), (w, node)],
                derive_qparams_fn=derive,
                dtype=torch.int32,
                quant_min=-(2**31),
                quant_max=2**31 - 1,
                qscheme=torch.per_channel_symmetric,
                ch_axis=0,
            )
            node.meta["quantization_annotation"] = QuantizationAnnotation(
                input_qspec_map={x: self.activation, w: self.weight, b: bias},
                output_qspec=self.activation,
                _annotated=True,
            )
        return model

    def validate(self, model):
        pass


def x86_quantizer():
    quantizer = x86.X86InductorQuantizer()
    return quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))


def xnnpack_quantizer():
    quantizer = xnnpack.XNNPACKQuantizer()
    return quantizer.set_global(xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_qat=True))


# quantized_decomposed operators are Python's: LibTorch alone does not know them.
def _quantize(x, scale, zero_point, low, high, dtype):
    return torch.clamp(torch.round(x * (1.0 / scale)) + zero_point, low, high).to(dtype)


def _dequantize(codes, scale, zero_point, low, high, dtype, **_):
    return (codes.to(torch.float32) - zero_point) * scale


def _per_channel(function):
    def run(x, scales, zero_points, axis, low, high, dtype, **_):
        shape = [1] * x.dim()
        shape[axis] = -1
        zero_points = torch.zeros_like(scales) if zero_points is None else zero_points
        return function(x, scales.view(shape), zero_points.to(torch.int32).view(shape), low, high, dtype)

    return run


def twin_of(program):
    module = program.module()
    ops = torch.ops.quantized_decomposed
    plain = {
        ops.quantize_per_tensor.default: _quantize,
        ops.dequantize_per_tensor.default: _dequantize,
        ops.quantize_per_tensor.tensor: _quantize,
        ops.dequantize_per_tensor.tensor: _dequantize,
        ops.quantize_per_channel.default: _per_channel(_quantize),
        ops.dequantize_per_channel.default: _per_channel(_dequantize),
    }
    for node in list(module.graph.nodes):
        if node.target in plain:
            node.target = plain[node.target]
        elif node.op == "call_module" and node.target == "_guards_fn":
            module.graph.erase_node(node)
    module.recompile()
    return module


class Flat(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return tuple(torch.utils._pytree.tree_leaves(self.model(*inputs)))


def save(name, program, inputs, check=True):
    """name.pt2 and name.pt, its trace."""
    path = FOLDER / f"{name}.pt2"
    torch.export.save(program, path)
    slim(path, stored=name == "cond")  # one stays uncompressed, as torch writes them
    loaded = torch.export.load(path)
    if not check:
        return
    want = loaded.module()(*inputs)
    with torch.no_grad():
        twin = torch.jit.trace(Flat(twin_of(loaded)), tuple(inputs), check_trace=False)
        torch.jit.save(twin, FOLDER / f"{name}.pt")
        slim(FOLDER / f"{name}.pt")
        got = torch.jit.load(FOLDER / f"{name}.pt")(*inputs)
    for a, b in zip(torch.utils._pytree.tree_leaves(want), got, strict=True):
        assert torch.equal(a, b), name


def slim(path, stored=False):
    """Deflates the archive: it is the same to every reader, and a fraction of the size to keep. Paths of this machine go."""
    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    packages = str(pathlib.Path(torch.__file__).parents[1])
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", kind) as archive:
        for entry, data in entries:
            if entry.endswith(".debug_pkl"):
                continue
            if entry.endswith(".json"):
                data = data.replace(packages.encode(), b"/usr/lib/python3/site-packages")
                data = data.replace(str(FOLDER.parent).encode(), b"/home/user/training")
            archive.writestr(zipfile.ZipInfo(entry), data, kind)


def frozen(module):
    module.apply(eager.disable_observer)
    module.apply(disable_observer)
    return module


def trained_pt2e(model, quantizer, inputs, steps=3, **export_options):
    prepared = prepare_qat_pt2e(export(model.train(), inputs, **export_options).module(), quantizer)
    for _ in range(steps):
        prepared(*(torch.randn_like(value) for value in inputs))
    move_exported_model_to_eval(prepared)
    return frozen(prepared)


def pair(name, model, quantizer, inputs, **export_options):
    prepared = trained_pt2e(model, quantizer, inputs, **export_options)
    save(f"{name}_prepared", export(prepared, inputs, **export_options), inputs)
    converted = convert_pt2e(copy.deepcopy(prepared))
    save(f"{name}_converted", export(converted, inputs, **export_options), inputs)


class EagerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant = eager.QuantStub()
        self.conv = nn.Conv2d(2, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.skip = nn.Conv2d(4, 4, 1)
        self.sum = torch.ao.nn.quantized.FloatFunctional()
        self.dequant = eager.DeQuantStub()

    def forward(self, x):
        x = self.relu(self.bn(self.conv(self.quant(x))))
        return self.dequant(self.sum.add(self.skip(x), x))


def eager_qat():
    model = EagerNet().train()
    eager.fuse_modules_qat(model, [["conv", "bn", "relu"]], inplace=True)
    model.qconfig = eager.get_default_qat_qconfig("x86")
    eager.prepare_qat(model, inplace=True)
    for _ in range(3):
        model(torch.randn(2, 2, 6, 6))
    return frozen(model.eval())


class CondNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3)
        self.second = nn.Conv2d(2, 3, 3)
        self.last = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        def one(x):
            return torch.relu(self.first(x))

        def two(x):
            def positive(x):
                return self.second(x) * 2

            def negative(x):
                return self.second(x) - x[:, :1, 1:-1, 1:-1]

            return torch.cond(x.mean() > -0.5, positive, negative, (x,))

        return self.last(torch.cond(x.sum() > 0, one, two, (x,)))


class Conditional(nn.Module):
    """The design's example: two branches, then a layer that either reaches."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3)
        self.conv2 = nn.Conv2d(2, 3, 3)
        self.conv3 = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        y = torch.cond(x.sum() > 0, lambda v: self.conv1(v), lambda v: self.conv2(v), (x,))
        return self.conv3(y)


class FakeQuantized(nn.Module):
    """Frozen fake-quants written out: what may stand inside a branch of torch.cond."""

    def __init__(self, channels_in, channels, size, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels_in, size, size))
        self.bias = nn.Parameter(torch.randn(channels))
        self.register_buffer("scales", self.weight.detach().abs().amax((1, 2, 3)) / 127)
        self.register_buffer("zero_points", torch.zeros(channels, dtype=torch.int32))
        self.scale = scale

    def forward(self, x):
        weight = torch.fake_quantize_per_channel_affine(self.weight, self.scales, self.zero_points, 0, -127, 127)
        y = torch.nn.functional.conv2d(x, weight, self.bias)
        return torch.fake_quantize_per_tensor_affine(y, self.scale, 3, -128, 127)


class FakeQuantizedNet(nn.Module):
    """Numbers and tensors as qparams, and a product with a constant matrix."""

    def __init__(self):
        super().__init__()
        self.conv = FakeQuantized(2, 3, 3, 0.0625)
        self.matrix = nn.Parameter(torch.randn(12, 5))
        self.register_buffer("scale", torch.tensor([0.03125]))
        self.register_buffer("zero_point", torch.tensor([7], dtype=torch.int32))

    def forward(self, x):
        y = torch.flatten(self.conv(torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, 0, 255)), 1)
        return y @ torch.fake_quantize_per_tensor_affine(self.matrix, 0.015625, 0, -127, 127)


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(2, 3, 3, padding="same")

    def forward(self, x):
        y = torch.nn.functional.max_pool3d(self.conv(x), 2)
        return torch.softmax(y, 1), torch.log_softmax(y, 2)


class InPlace(nn.Module):
    def forward(self, x):
        y = x + 1
        z = y.detach()
        torch.relu_(y)
        return y, z.clone() * 2, torch.nn.functional.hardtanh(z - 0.5, inplace=True)


class InPlaceView(nn.Module):
    def forward(self, x):
        y = x + 1
        y[:, 0].relu_()
        return y * 2


class FakeQuantizedConditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = FakeQuantized(2, 3, 3, 0.0625)
        self.conv2 = FakeQuantized(2, 3, 3, 0.09375)
        self.conv3 = FakeQuantized(3, 2, 1, 0.125)

    def forward(self, x):
        x = torch.fake_quantize_per_tensor_affine(x, 0.03125, 0, -128, 127)
        y = torch.cond(x.sum() > 0, lambda v: self.conv1(v), lambda v: self.conv2(v), (x,))
        return self.conv3(y)


class Operators(nn.Module):
    """Operators that have no kind of their own, with keyword arguments and several outputs."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.query = nn.Linear(8, 24)
        self.transposed = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)
        self.register_buffer("table", torch.arange(4, dtype=torch.float64))

    def forward(self, tokens, image):
        q, k, v = self.query(self.norm(tokens)).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 8**0.5, dim=-1)
        mixed = torch.nn.functional.gelu(weights @ v, approximate="tanh")
        best, where = torch.max(mixed, dim=1)
        up = torch.nn.functional.pad(self.transposed(image), (1, 0, 0, 1), value=0.25)
        up = torch.nn.functional.max_pool2d(up, 2)
        up = torch.nn.functional.avg_pool2d(up, 2, padding=1, count_include_pad=False)
        halves = torch.split(up, [1, 2], dim=1)
        return {
            "best": best * 2 + self.table.to(torch.float32).sum(),
            "up": [halves[0].clamp(min=0.0), torch.where(halves[1] > 0, halves[1], -halves[1])],
            "std": torch.std(tokens, dim=-1, correction=0, keepdim=True),
            "full": torch.full_like(best, 3.0) - torch.rsub(best, 1.0, alpha=2.0),
            "view": mixed.permute(0, 2, 1).reshape(tokens.shape[0], -1),
        }


class Storages(nn.Module):
    """Weights that are not contiguous, do not start their storage, or share it; and other types than float32."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last)
        base = torch.arange(30, dtype=torch.float32).reshape(5, 6) / 8
        self.transposed = nn.Parameter(base[1:4, 2:4].t())
        self.tied = nn.Linear(4, 4, bias=False)
        self.again = nn.Linear(4, 4, bias=False)
        self.again.weight = self.tied.weight
        self.register_buffer("half_values", torch.tensor([0.5, -1.25], dtype=torch.float16))
        self.register_buffer("brain_values", torch.tensor([3.0, -0.0078125], dtype=torch.bfloat16))
        self.register_buffer("double_values", torch.tensor([1.0, 2.5], dtype=torch.float64))
        self.register_buffer("long_values", torch.tensor([7, -9]))
        self.register_buffer("expanded_values", torch.tensor([[2.0], [4.0]]).expand(2, 2))
        self.mask = torch.tensor([True, False])

    def forward(self, x):
        y = self.again(torch.relu(self.tied(x)))
        kept = (self.half_values.float() + self.brain_values.float() + self.double_values.float() + self.long_values.float()).sum()
        picked = torch.where(self.mask, y[:, :2], self.expanded_values[1])
        image = self.conv(x.reshape(-1, 2, 2, 2))
        return picked + kept, self.transposed @ y[:3, :1], image, torch.tensor([1.5, 2.5]) + y[0, :2]


def only_fake_quant(observer_on, fake_quant_on, observed=True):
    class Only(nn.Module):
        def __init__(self):
            super().__init__()
            self.fq = eager.FusedMovingAvgObsFakeQuantize(
                observer=eager.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8
            )

        def forward(self, x):
            return torch.relu(self.fq(x))

    model = Only()
    if observed:
        model(torch.tensor([-1.0, 1.0]))
    model.eval()
    model.fq.observer_enabled[0] = observer_on
    model.fq.fake_quant_enabled[0] = fake_quant_on
    return export(model, (torch.tensor([0.3, -0.2]),))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="make the archives whose group contains this word")
    only = parser.parse_args().only
    FOLDER.mkdir(exist_ok=True)
    os.chdir(FOLDER)
    torch.set_num_threads(1)
    image = (torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(7)),)
    small = (torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(8)),)

    def group(name):
        torch.manual_seed(1)
        return only in name

    if group("x86"):
        pair("x86", Net(), x86_quantizer(), image)
    if group("xnnpack"):
        pair("xnnpack", Net(), xnnpack_quantizer(), image)
    if group("bias"):
        pair("bias", TinyNet(), BiasQuantizer(), small)
    if group("dynamic"):
        wide = (torch.cat([small[0], -small[0], small[0] * 2]),)
        pair("dynamic", TinyNet(), xnnpack_quantizer(), wide, dynamic_shapes=({0: Dim("batch", min=1, max=64)},))
    if group("eager"):
        example = (torch.randn(2, 2, 6, 6),)
        save("eager", export(eager_qat(), example), example)
    if group("plain"):
        save("plain", export(FakeQuantizedNet().eval(), small), small)
    if group("in_place"):
        example = (torch.randn(2, 3),)
        save("in_place", export(InPlace().eval(), example), example)
        save("in_place_view", export(InPlaceView().eval(), example), example, check=False)
    if group("batch_norms"):
        program = export(Net().eval(), image)
        save("decomposed", program.run_decompositions(), image)
        volume = (torch.randn(1, 2, 4, 4, 4),)
        save("decomposed_volume", export(Volume().eval(), volume).run_decompositions(), volume)
    if group("cond"):
        conditional = FakeQuantizedConditional().eval()
        for name, model in (("cond", Conditional().eval()), ("cond_nested", CondNet().eval()), ("cond_qat", conditional)):
            save(name, export(model, small, strict=True), small, check=False)
            for sign in (1, -1):
                example = (sign * (small[0].abs() + 0.1),)
                program = export(straight(model, sign), example)
                save(f"{name}_{'then' if sign > 0 else 'else'}", program, example)
                os.remove(FOLDER / f"{name}_{'then' if sign > 0 else 'else'}.pt2")
        prepared = trained_pt2e(Conditional(), xnnpack_quantizer(), small, strict=True)
        save("cond_prepared", export(prepared, small, strict=True), small, check=False)
    if group("float"):
        save("float_operators", export(Operators().eval(), (torch.randn(2, 3, 8), torch.randn(1, 2, 3, 3))),
             (torch.randn(2, 3, 8), torch.randn(1, 2, 3, 3)))
    if group("storages"):
        save("storages", export(Storages().eval(), (torch.randn(4, 4),)), (torch.randn(4, 4),))
    if group("fake_quant"):
        x = (torch.tensor([0.3, -0.2]),)
        save("fake_quant_observer_on", only_fake_quant(1, 1), x, check=False)
        save("fake_quant_off", only_fake_quant(0, 0), x)
        save("fake_quant_never_observed", only_fake_quant(0, 1, observed=False), x, check=False)


def straight(model, sign):
    """The model with its branches decided: torch.cond cannot be traced."""
    model = copy.deepcopy(model)
    original = torch.cond

    class Straight(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            torch.cond = lambda predicate, yes, no, operands: (yes if sign > 0 else no)(*operands)
            try:
                return self.model(x)
            finally:
                torch.cond = original

    return Straight()


if __name__ == "__main__":
    main()
