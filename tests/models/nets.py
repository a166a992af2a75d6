"""The float networks. Input: float32 [N, 1, 28, 28] in 0..1, no further normalisation."""

import torch
from torch import nn
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization import DeQuantStub, QuantStub, fuse_modules_qat


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, bias=False, relu=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def fuse(model):
    """Fuses conv+bn(+relu) of every Sequential for QAT, in place."""
    for module in list(model.modules()):
        if type(module) is nn.Sequential:
            fuse_modules_qat(module, [str(i) for i in range(len(module))], inplace=True)
    return model


class Residual(nn.Module):
    """Eleven MAC layers: depthwise, pointwise, grouped, with and without bias and batch norm; three adds.

    stubs: eager quantization needs QuantStub/DeQuantStub, FX puts its own.
    """

    def __init__(self, stubs=True):
        super().__init__()
        self.stubs = stubs
        if stubs:
            self.quant = QuantStub()
            self.dequant = DeQuantStub()
        self.stem = conv_bn(1, 16, 3, stride=2)
        self.dw1 = conv_bn(16, 16, 3, groups=16)
        self.pw1 = conv_bn(16, 16, 1, relu=False)
        self.add_relu1 = FloatFunctional()
        self.down = conv_bn(16, 32, 3, stride=2)
        self.dw2 = conv_bn(32, 32, 3, groups=32)
        self.pw2 = conv_bn(32, 32, 1)
        self.add2 = FloatFunctional()
        self.mix = nn.Conv2d(32, 32, 1, bias=True)  # a bias and no batch norm
        self.grouped = conv_bn(32, 32, 3, groups=4, bias=True, relu=False)  # a bias and batch norm
        self.add3 = FloatFunctional()
        self.dw3 = conv_bn(32, 32, 3, groups=32)
        self.head = conv_bn(32, 64, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        if self.stubs:
            x = self.quant(x)
        x = self.stem(x)
        x = self.add_relu1.add_relu(x, self.pw1(self.dw1(x)))
        x = self.down(x)
        x = self.add2.add(x, self.pw2(self.dw2(x)))
        x = self.add3.add(x, self.grouped(self.mix(x)))
        x = self.head(self.dw3(x))
        x = torch.flatten(self.pool(x), 1)
        x = self.fc(x)
        if self.stubs:
            x = self.dequant(x)
        return x


class Branching(nn.Module):
    """Data-dependent control flow: conv3 reads conv1's output or conv2's, so it has two input scales.

    forward() takes one sample; routed() is its batched equal, for training.
    """

    def __init__(self, threshold: float = 0.0):
        super().__init__()
        self.threshold = threshold
        self.quant = QuantStub()
        self.conv1 = conv_bn(1, 16, 3, stride=2)
        self.conv2 = conv_bn(1, 16, 5, stride=2)
        self.conv3 = conv_bn(16, 32, 3, stride=2)
        self.conv4 = conv_bn(32, 64, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)
        self.dequant = DeQuantStub()
        # Training makes the scales of both branches alike (factor 1.4 measured); fixed gains keep them apart.
        for layer, gain in ((self.conv1, 0.5), (self.conv2, 2.0)):
            nn.init.constant_(layer[1].weight, gain).requires_grad_(False)

    def forward(self, x):
        bright = bool(x.mean() > self.threshold)
        x = self.quant(x)
        if bright:
            y = self.conv1(x)
        else:
            y = self.conv2(x)
        z = self.conv4(self.conv3(y))
        z = torch.flatten(self.pool(z), 1)
        return self.dequant(self.fc(z))


def routed(model, x):
    """Branching.forward for a batch in which each sample takes its own branch."""
    bright = x.mean(dim=(1, 2, 3)) > model.threshold
    x = model.quant(x)
    order = torch.cat([bright.nonzero()[:, 0], (~bright).nonzero()[:, 0]])
    parts = []
    if bool(bright.any()):
        parts.append(model.conv1(x[bright]))
    if not bool(bright.all()):
        parts.append(model.conv2(x[~bright]))
    z = model.conv4(model.conv3(torch.cat(parts)))
    z = torch.flatten(model.pool(z), 1)
    return model.dequant(model.fc(z))[torch.argsort(order)]
