"""Small networks and the ways people prepare them; everything seeded."""

import copy
import functools
import warnings

import torch
from torch import nn
from torch.ao import quantization as tq
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

warnings.filterwarnings("ignore", message="torch.ao.quantization is deprecated")

SHAPE = (1, 8, 8)
EXAMPLE = torch.zeros(2, *SHAPE)


def images(count, seed=0):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def block(inputs, outputs, kernel, relu=True):
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Residual(nn.Module):
    """Three convolutions, an addition, a linear layer."""

    def __init__(self, stubs):
        super().__init__()
        self.quant = tq.QuantStub() if stubs else nn.Identity()
        self.dequant = tq.DeQuantStub() if stubs else nn.Identity()
        self.stem = block(1, 8, 3)
        self.body = block(8, 8, 3)
        self.add = FloatFunctional()
        self.head = nn.Conv2d(8, 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        y = self.stem(self.quant(x))
        y = self.head(self.add.add(y, self.body(y)))
        return self.dequant(self.fc(torch.flatten(self.pool(y), 1)))


class Branching(nn.Module):
    """Two branches, then one convolution that reads two scales."""

    def __init__(self):
        super().__init__()
        self.quant = tq.QuantStub()
        self.dequant = tq.DeQuantStub()
        self.conv1 = block(1, 4, 3)
        self.conv2 = block(1, 4, 3)
        self.conv3 = block(4, 4, 3)

    def forward(self, x):
        bright = bool(x.mean() > 0.35)
        x = self.quant(x)
        if bright:
            y = self.conv1(x)
        else:
            y = self.conv2(x)
        return self.dequant(self.conv3(y))


class TwoInputs(nn.Module):
    """One convolution for each input, added."""

    def __init__(self):
        super().__init__()
        self.quant_left = tq.QuantStub()
        self.quant_right = tq.QuantStub()
        self.dequant = tq.DeQuantStub()
        self.left_conv = block(1, 4, 3)
        self.right_conv = block(1, 4, 1)
        self.add = FloatFunctional()
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, left, right):
        left = self.left_conv(self.quant_left(left))
        right = self.right_conv(self.quant_right(right))
        return self.dequant(self.head(self.add.add(left, right)))


def fuse(model):
    for module in list(model.modules()):
        if type(module) is nn.Sequential:
            tq.fuse_modules_qat(module, [str(index) for index in range(len(module))], inplace=True)
    return model


def finish(model):
    """As training ends: statistics frozen, observers off, eval mode."""
    model.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
    model.apply(tq.disable_observer)
    return model.eval()


def eager(net=None, backend="x86", steps=4, observers=False):
    torch.manual_seed(1)
    torch.backends.quantized.engine = "qnnpack" if backend == "qnnpack" else "fbgemm"
    model = fuse((net or Residual)(*([True] if net is None else []))).train()
    model.qconfig = tq.get_default_qat_qconfig(backend)
    tq.prepare_qat(model, inplace=True)
    for step in range(steps):
        # Dark and bright ones, so that both branches are trained.
        batch = images(8, step) * (1.0 if step % 2 else 0.4)
        model(*([batch, images(8, 50 + step)] if net is TwoInputs else [batch]))
    if observers:
        return model.eval()
    return finish(model)


def eager_converted(model):
    return tq.convert(copy.deepcopy(model).eval())


def fx(backend="x86"):
    torch.manual_seed(1)
    torch.backends.quantized.engine = "fbgemm"
    model = prepare_qat_fx(Residual(False).train(), tq.get_default_qat_qconfig_mapping(backend), (EXAMPLE,))
    for step in range(4):
        model(images(8, step))
    return finish(model)


def fx_converted(model):
    return convert_fx(copy.deepcopy(model).eval())


@functools.cache  # Seconds each: tests must leave them as they are.
def pt2e(quantizer, free_batch=True):
    """Prepared, trained, as users have it: still in training form and with observers on."""
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

    torch.manual_seed(1)
    if quantizer == "x86":
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as module

        config = module.get_default_x86_inductor_quantization_config(is_qat=True)
        chosen = module.X86InductorQuantizer().set_global(config)
    else:
        from torchao.testing.pt2e import _xnnpack_quantizer as module

        chosen = module.XNNPACKQuantizer().set_global(
            module.get_symmetric_quantization_config(is_qat=True, is_per_channel=True)
        )
    shapes = ({0: torch.export.Dim.DYNAMIC},) if free_batch else None
    exported = torch.export.export(Residual(False).train(), (images(8),), dynamic_shapes=shapes).module()
    model = prepare_qat_pt2e(exported, chosen)
    for step in range(4):
        model(images(8, step))
    return model


@functools.cache
def pt2e_converted(quantizer):
    from torchao.quantization.pt2e import disable_observer, move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    copied = copy.deepcopy(pt2e(quantizer))
    copied.apply(disable_observer)
    move_exported_model_to_eval(copied)
    return convert_pt2e(copied)
