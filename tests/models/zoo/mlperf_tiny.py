"""The four networks of MLPerf Tiny 1.x, own definitions. Image nets take [N, 3, H, W], DS-CNN MFCCs [N, 1, 49, 10]."""

import torch
from torch import nn
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization import DeQuantStub, QuantStub


def conv_bn(inputs, outputs, kernel, stride=1, padding=None, groups=1, relu=True):
    if padding is None:
        padding = kernel // 2
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Stubbed(nn.Module):
    """Quantizes its input and dequantizes its output where eager mode needs it (stubs); FX and PT2E put their own."""

    def __init__(self, stubs):
        super().__init__()
        self.quant = QuantStub() if stubs else nn.Identity()
        self.dequant = DeQuantStub() if stubs else nn.Identity()

    def forward(self, x):
        return self.dequant(self.body(self.quant(x)))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv_bn(inputs, outputs, 3, stride)
        self.conv2 = conv_bn(outputs, outputs, 3, relu=False)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)
        self.add = FloatFunctional()

    def forward(self, x):
        return self.add.add_relu(self.conv2(self.conv1(x)), self.shortcut(x))


class ResNet8(Stubbed):
    """Image classification (CIFAR-10): three stacks of one residual block."""

    def __init__(self, stubs):
        super().__init__(stubs)
        self.stem = conv_bn(3, 16, 3)
        self.stack1 = ResidualBlock(16, 16, 1)
        self.stack2 = ResidualBlock(16, 32, 2)
        self.stack3 = ResidualBlock(32, 64, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def body(self, x):
        x = self.stack3(self.stack2(self.stack1(self.stem(x))))
        return self.fc(torch.flatten(self.pool(x), 1))


class DsCnn(Stubbed):
    """Keyword spotting: a 10x4 convolution, four depthwise separable blocks, an average pool of the whole map."""

    def __init__(self, stubs):
        super().__init__(stubs)
        self.stem = nn.Sequential(nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.dropout1 = nn.Dropout(0.2)
        self.blocks = nn.ModuleList()
        for _ in range(4):
            self.blocks.append(nn.Sequential(conv_bn(64, 64, 3, groups=64), conv_bn(64, 64, 1)))
        self.dropout2 = nn.Dropout(0.4)
        self.pool = nn.AvgPool2d((25, 5))
        self.fc = nn.Linear(64, 12)

    def body(self, x):
        x = self.dropout1(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.fc(torch.flatten(self.pool(self.dropout2(x)), 1))


class MobileNetV1(Stubbed):
    """Visual wake words: MobileNetV1 at a quarter of its width, 96x96."""

    def __init__(self, stubs, width=0.25):
        super().__init__(stubs)
        channels = [int(width * c) for c in (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)]
        strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
        self.stem = conv_bn(3, channels[0], 3, 2)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(conv_bn(a, a, 3, stride, groups=a), conv_bn(a, b, 1))
                for a, b, stride in zip(channels, channels[1:], strides)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels[-1], 2)

    def body(self, x):
        return self.fc(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class Autoencoder(Stubbed):
    """Anomaly detection (ToyADMOS): ten linear layers, 640 -> 8 -> 640, batch norm between them."""

    def __init__(self, stubs):
        super().__init__(stubs)
        sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()) for a, b in zip(sizes, sizes[1:]))
        )
        self.output = nn.Linear(128, 640)

    def body(self, x):
        return self.output(self.layers(x))
