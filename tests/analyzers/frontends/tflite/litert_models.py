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

    data = {"serving_default": [{"args_0": np.asarray(image)} for image in images]}
    for name, made in (("litert_int8", recipe.static_wi8_ai8()), ("litert_int16x8", recipe.static_wi8_ai16())):
        q = aeq.Quantizer(bytearray(real), made)
        model = bytes(q.quantize(q.calibrate(data)).quantized_model)
        yield name, model, mac_outputs(model)
