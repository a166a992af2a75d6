"""Small networks, one for each thing that a TorchScript file may hold; make_reference_models.py trains and exports them."""

import math
from typing import Dict, Optional, Tuple

import torch
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub


class Stubs(nn.Module):
    """A quantized body between a QuantStub and a DeQuantStub."""

    def __init__(self, body):
        super().__init__()
        self.quant = QuantStub()
        self.body = body
        self.dequant = DeQuantStub()

    def forward(self, x):
        return self.dequant(self.body(self.quant(x)))


def conv2d():
    """Every fusion of conv2d; without bias; depthwise; grouped; ReLU6; linear with and without ReLU."""
    body = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),      # 0 1 2
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4, eps=1e-3),         # 3 4
        nn.Conv2d(4, 6, 1, bias=False), nn.ReLU(),                                    # 5 6
        nn.Conv2d(6, 6, 3, stride=2, groups=2, dilation=2, padding=2), nn.ReLU6(),    # 7 8
        nn.MaxPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(),
        nn.Linear(12, 8), nn.ReLU(), nn.Dropout(0.5), nn.Identity(), nn.Linear(8, 3, bias=False))
    fuse = [["body.0", "body.1", "body.2"], ["body.3", "body.4"], ["body.5", "body.6"], ["body.12", "body.13"]]
    return Stubs(body), fuse


def conv1d():
    body = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1), nn.BatchNorm1d(4), nn.ReLU(),
        nn.Conv1d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False), nn.BatchNorm1d(4),
        nn.Conv1d(4, 4, 1), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 4, 2), nn.AvgPool1d(2, padding=1),
        nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(8, 2))
    return Stubs(body), [["body.0", "body.1", "body.2"], ["body.3", "body.4"], ["body.5", "body.6"]]


def conv3d():
    body = nn.Sequential(
        nn.Conv3d(2, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ReLU(),
        nn.Conv3d(3, 4, (1, 2, 3), stride=(1, 2, 1)), nn.BatchNorm3d(4),
        nn.Conv3d(4, 4, 1, groups=2), nn.ReLU(), nn.MaxPool3d((1, 2, 2)), nn.AvgPool3d((2, 1, 1)),
        nn.AdaptiveAvgPool3d((1, 1, 1)), nn.Flatten(), nn.Linear(4, 2))
    return Stubs(body), [["body.0", "body.1", "body.2"], ["body.3", "body.4"], ["body.5", "body.6"]]


def linear_bn():
    """LinearBn1d, which only FX fuses."""
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4, eps=1e-4)), []


def conv_transpose():
    body = nn.Sequential(
        nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 2, bias=False), nn.Conv2d(2, 2, 1))
    return Stubs(body), []


def wide_transpose():
    """Channels by the eight: FBGEMM's packing loses these weights."""
    return Stubs(nn.Sequential(nn.ConvTranspose2d(16, 8, 2, stride=2), nn.Conv2d(8, 2, 1))), []


def slopes():
    """Activations with a quantized operator of their own."""
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.PReLU(), nn.Conv2d(4, 4, 1), nn.ELU(), nn.Conv2d(4, 4, 1), nn.LeakyReLU(0.1),
                         nn.Conv2d(4, 2, 1)), []


def conv_transpose1d():
    return Stubs(nn.Sequential(nn.ConvTranspose1d(3, 4, 3, stride=2, padding=1), nn.Conv1d(4, 2, 1))), []


def conv_transpose3d():
    return Stubs(nn.Sequential(nn.ConvTranspose3d(2, 2, 2, stride=(1, 2, 1)), nn.Conv3d(2, 2, 1))), []


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.quant2, self.dequant = QuantStub(), QuantStub(), DeQuantStub()
        self.conv = nn.Conv2d(2, 2, 1)
        for name in ("add", "mul", "cat", "add_relu", "shift", "unshift", "scale", "mirror", "product"):
            setattr(self, name, torch.ao.nn.quantized.FloatFunctional())

    def forward(self, x, y):
        x, y = self.quant(x), self.quant2(y)
        a = self.add.add(x, y)
        b = self.mul.mul(a, x)
        c = self.cat.cat([a, b, y], 1)
        d = self.add_relu.add_relu(b, self.conv(y))
        e = self.shift.add_scalar(d, 0.37)
        f = self.unshift.add_scalar(e, -5.25)
        g = self.mirror.mul_scalar(self.scale.mul_scalar(f, 1.5), -0.3)
        h = self.product.matmul(g, d.transpose(2, 3))
        return self.dequant(c), self.dequant(g), self.dequant(h)


def functional():
    return Functional(), []


class Fixed(nn.Module):
    """Activations with fixed qparams, as FX gives them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 1)
        self.gate = nn.Sigmoid()
        self.tanh = nn.Tanh()
        self.hard = nn.Hardsigmoid()
        self.softmax = nn.Softmax(dim=1)
        self.hs = nn.Hardswish()
        self.fc = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        y = self.hs(self.conv(x))
        return self.softmax(self.fc(y * self.gate(y) + self.tanh(y) * self.hard(y)))


def fixed():
    return Fixed(), []


class Attention(nn.Module):
    """Quantized linears in a float network: layer norm, softmax, gelu, matmul are islands."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.quant, self.quant2 = QuantStub(), QuantStub()
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.norm.qconfig = None  # stays float
        self.dequant = DeQuantStub()

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.dequant(self.qkv(self.quant(self.norm(x)))).chunk(3, dim=-1)
        q = q.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        k = k.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        v = v.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        scores = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(8 // self.heads), dim=-1)
        mixed = nn.functional.gelu(scores @ v).transpose(1, 2).contiguous().view(b, t, -1)
        return x + self.dequant(self.project(self.quant2(mixed)))


def attention():
    return Attention(), []


class Interface(nn.Module):
    """A tuple, a dict and an optional tensor come in, a dict with a tuple of tensors goes out."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.left, self.right = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, pair: Tuple[torch.Tensor, torch.Tensor], named: Dict[str, torch.Tensor],
                mask: Optional[torch.Tensor] = None) -> Dict[str, torch.Tensor]:
        a, b = pair
        x = self.quant(torch.cat([a, b, named["z"] * 2], 1)[:, :2])
        if mask is not None:
            x = x * mask
        return {"left": self.dequant(self.left(x)), "right": self.dequant(self.right(x)) + named["y"]}


def interface():
    return Interface(), []


class Shuffle(nn.Module):
    """The unit of ShuffleNetV2: chunk, two branches, cat, channel shuffle by views of the input's shape."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.conv = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.cat = torch.ao.nn.quantized.FloatFunctional()
        self.fc = nn.Linear(8, 3)

    def shuffle(self, x, groups: int):
        b, c, h, w = x.size()
        x = x.view(b, groups, c // groups, h, w)
        x = torch.transpose(x, 1, 2).contiguous()
        return x.view(b, -1, h, w)

    def forward(self, x):
        x = self.quant(x)
        a, b = x.chunk(2, dim=1)
        y = self.shuffle(self.cat.cat([a, self.conv(b)], 1), 2)
        left, right = torch.split(y, 4, 1)
        y = torch.cat([right, left], 1)
        return self.dequant(self.fc(y.mean([2, 3])))


def shuffle():
    return Shuffle(), [["conv.0", "conv.1", "conv.2"]]


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.conv2 = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.relu, self.relu6 = nn.ReLU(inplace=True), nn.ReLU6(inplace=True)
        self.drop = nn.Dropout(0.1, inplace=True)
        self.silu = nn.SiLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn(self.conv(x)))
        y = self.drop(y)
        z = self.relu6(self.conv2(y))
        z += y
        z = nn.functional.leaky_relu(z, 0.1, inplace=True)
        return self.silu(z.flatten(1).unsqueeze(1))


def in_place():
    return InPlace(), []


def norms():
    """Modules with a quantized twin of their own in eager mode."""
    body = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 1), nn.ELU(), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True),
        nn.LayerNorm([4, 5, 5]), nn.Hardswish(), nn.BatchNorm2d(4), nn.ReLU6(), nn.ConstantPad2d(1, 0.0),
        nn.ReflectionPad2d(1), nn.Upsample(scale_factor=2, mode="nearest"), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(3), nn.PixelShuffle(2))
    return Stubs(body), []


class BnRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.bn, self.relu = nn.BatchNorm2d(2), nn.ReLU()
        self.bn3, self.relu3 = nn.BatchNorm3d(2), nn.ReLU()

    def forward(self, x):
        x = self.relu(self.bn(self.quant(x)))
        return self.dequant(self.relu3(self.bn3(x.unsqueeze(2))).squeeze(2))


def bn_relu():
    return BnRelu(), [["bn", "relu"], ["bn3", "relu3"]]


def padding():
    """Paddings given as words, of odd and even kernels; padding by reflection and replication."""
    body = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding="same"), nn.Conv2d(3, 3, (2, 4), padding="same", dilation=(1, 2)), nn.Conv2d(3, 2, 2, padding="valid"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"))
    return Stubs(body), []


class Products(nn.Module):
    """Products with a fake-quantized constant that are no nn.Linear."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        fake_quant = torch.ao.quantization.get_default_qat_qconfig("fbgemm")
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(4)])
        self.bias = nn.Parameter(torch.randn(4))
        self.weight_fqs = nn.ModuleList([fake_quant.weight() for _ in range(4)])
        self.out_fqs = nn.ModuleList([fake_quant.activation() for _ in range(4)])

    def forward(self, x):
        w = [fq(weight) for fq, weight in zip(self.weight_fqs, self.weights)]
        x = self.quant(x)
        x = self.out_fqs[0](torch.matmul(x, w[0]))
        x = self.out_fqs[1](torch.addmm(self.bias, x, w[1].t()))
        x = self.out_fqs[2](torch.mm(x, w[2].transpose(0, 1)))
        return self.out_fqs[3](nn.functional.linear(x, w[3], self.bias))


def products():
    return Products(), []


class Branches(nn.Module):
    """The model of the design: two branches of the data, then a layer that both reach; a list and a loop beside it."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 1)
        self.stages = nn.ModuleList([nn.Conv2d(2, 2, 1) for _ in range(2)])

    def forward(self, x):
        positive = bool(x.mean() > 0)
        x = self.quant(x)
        if positive:
            y = self.conv1(x)
        else:
            y = self.conv2(x)
        z = self.conv3(y)
        for stage in self.stages:
            z = stage(z)
        return self.dequant(z)


def branches():
    return Branches(), []


