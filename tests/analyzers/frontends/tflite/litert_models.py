"""The models of make_models.py that Google's own converters make: one net through litert-torch, and ai-edge-quantizer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

MACS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pw = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.pw(nn.functional.relu6(self.dw(x))) + x
        return self.fc(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


class Encoder(nn.Module):
    """One encoder layer of a transformer: two heads, 6 tokens of 16 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.norm = nn.LayerNorm(16)
        self.up, self.down, self.head = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape

        def heads(tokens: torch.Tensor) -> torch.Tensor:
            return tokens.reshape(batch, length, 2, 8).transpose(1, 2)

        scores = heads(self.q(x)) @ heads(self.k(x)).transpose(-1, -2) / 8**0.5
        mixed = torch.softmax(scores, -1) @ heads(self.v(x))
        x = self.norm(x + self.o(mixed.transpose(1, 2).reshape(batch, length, width)))
        return self.head((x + self.down(nn.functional.gelu(self.up(x)))).mean(1))


def mac_outputs(model: bytes) -> list[int]:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    numbers = {getattr(schema.BuiltinOperator, name) for name in MACS}
    code_of = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in tree.operatorCodes]
    graph = tree.subgraphs[0]
    return [
        int(op.outputs[0])
        for op in graph.operators
        if code_of[op.opcodeIndex] in numbers and graph.tensors[op.outputs[0]].type != schema.TensorType.FLOAT32
    ]


def exported(model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(str(path))
        return path.read_bytes()


def models() -> Iterator[tuple[str, bytes, list[int]]]:
    torch.manual_seed(0)
    net, example = Tiny().eval(), (torch.randn(1, 3, 16, 16),)
    images = [torch.randn(1, 3, 16, 16) for _ in range(4)]
    real = exported(litert_torch.convert(net, example))
    yield "litert_float", real, []

    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False))
    prepared = prepare_pt2e(torch.export.export(net, example).module(), quantizer)
    for image in images:
        prepared(image)
    converted = convert_pt2e(prepared, fold_quantize=False)
    model = exported(litert_torch.convert(converted, example, quant_config=QuantConfig(pt2e_quantizer=quantizer)))
    yield "litert_pt2e", model, mac_outputs(model)

    from ai_edge_quantizer import quantizer as aeq
    from ai_edge_quantizer import recipe

    def quantized(model: bytes, made: object, samples: list[torch.Tensor]) -> bytes:
        q = aeq.Quantizer(bytearray(model), made)
        calibration = q.calibrate({"serving_default": [{"args_0": np.asarray(sample)} for sample in samples]})
        return bytes(q.quantize(calibration).quantized_model)

    for name, made in (("litert_int8", recipe.static_wi8_ai8()), ("litert_int16x8", recipe.static_wi8_ai16())):
        model = quantized(real, made, images)
        yield name, model, mac_outputs(model)

    torch.manual_seed(1)
    encoder, tokens = Encoder().eval(), [torch.randn(1, 6, 16) for _ in range(4)]
    model = quantized(exported(litert_torch.convert(encoder, (tokens[0],))), recipe.static_wi8_ai8(), tokens)
    yield "litert_encoder", model, mac_outputs(model)
