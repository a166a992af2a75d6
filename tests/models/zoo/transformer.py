"""A small transformer encoder (two layers, width 64, four heads) whose linears are quantized; the rest is float.

Input [N, 16, 64]; output [N, 10]. Attention is written out, because nn.MultiheadAttention hides its linears.
"""

import math

import torch
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub


class QuantizedRegion(nn.Module):
    """A linear between stubs: what eager mode needs around every quantized layer in a float network."""

    def __init__(self, inputs, outputs, stubs):
        super().__init__()
        self.quant = QuantStub() if stubs else nn.Identity()
        self.linear = nn.Linear(inputs, outputs)
        self.dequant = DeQuantStub() if stubs else nn.Identity()

    def forward(self, x):
        return self.dequant(self.linear(self.quant(x)))


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, hidden, stubs):
        super().__init__()
        self.heads = heads
        self.query = QuantizedRegion(width, width, stubs)
        self.key = QuantizedRegion(width, width, stubs)
        self.value = QuantizedRegion(width, width, stubs)
        self.project = QuantizedRegion(width, width, stubs)
        self.norm1 = nn.LayerNorm(width)
        self.expand = QuantizedRegion(width, hidden, stubs)
        self.gelu = nn.GELU()
        self.contract = QuantizedRegion(hidden, width, stubs)
        self.norm2 = nn.LayerNorm(width)

    def split(self, x):
        return x.reshape(x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads).transpose(1, 2)

    def forward(self, x):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.matmul(query, key.transpose(2, 3)) / math.sqrt(query.shape[3])
        mixed = torch.matmul(torch.softmax(scores, -1), value).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.project(mixed))
        return self.norm2(x + self.contract(self.gelu(self.expand(x))))


class TransformerEncoder(nn.Module):
    def __init__(self, stubs, width=64, heads=4, hidden=128, layers=2, classes=10):
        super().__init__()
        self.layers = nn.Sequential(*(EncoderLayer(width, heads, hidden, stubs) for _ in range(layers)))
        self.head = QuantizedRegion(width, classes, stubs)

    def forward(self, x):
        return self.head(self.layers(x).mean(1))
