"""The control-flow net of the design: `if x > 0: y = conv1(x) else: y = conv2(x)`, then z = conv3(y).

conv3 reads the scale of conv1 or that of conv2, so one stored integer bias cannot be exact for both.
"""

import torch
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub

from mlperf_tiny import conv_bn


class TwoBranches(nn.Module):
    """Eager mode, for torch.jit.script. Takes one sample; routed() is its batched equal, for training."""

    def __init__(self):
        super().__init__()
        self.quant = QuantStub()
        self.conv1 = conv_bn(3, 8, 3)
        self.conv2 = conv_bn(3, 8, 5)
        self.conv3 = conv_bn(8, 16, 3, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)
        self.dequant = DeQuantStub()

    def tail(self, y):
        return self.dequant(self.fc(torch.flatten(self.pool(self.conv3(y)), 1)))

    def forward(self, x):
        positive = bool(x.mean() > 0)
        x = self.quant(x)
        if positive:
            y = self.conv1(x)
        else:
            y = self.conv2(x)
        return self.tail(y)

    def routed(self, x):
        positive = x.mean((1, 2, 3)) > 0
        x = self.quant(x)
        y1, y2 = self.conv1(x), self.conv2(x)
        return self.tail(torch.where(positive[:, None, None, None], y1, y2))


class TwoBranchesCond(nn.Module):
    """The same net with torch.cond, for torch.export."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 8, 5, padding=2)
        self.conv3 = nn.Conv2d(8, 16, 3, 2, 1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        y = torch.cond(x.mean() > 0, lambda v: self.conv1(v).relu(), lambda v: self.conv2(v).relu(), (x,))
        return self.fc(torch.flatten(self.pool(self.relu(self.conv3(y))), 1))
