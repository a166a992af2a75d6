"""A model of token ids: int64 inputs through an embedding, then quantized linears."""

import copy

import nets
import numpy as np
import pytest
import torch
from torch import nn
from torch.ao import quantization as tq

import qatgap

WORDS, LENGTH = 50, 6


class TextClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 16)
        self.quant = tq.QuantStub()
        self.dequant = tq.DeQuantStub()
        self.hidden = nn.Linear(16, 24)
        self.relu = nn.ReLU()
        self.answer = nn.Linear(24, 3)

    def forward(self, ids):
        # The embedding stays in float; what it gives is quantized.
        x = self.quant(self.embedding(ids).mean(1))
        return self.dequant(self.answer(self.relu(self.hidden(x))))


def ids(count, seed):
    return torch.randint(0, WORDS, (count, LENGTH), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(2)
    torch.backends.quantized.engine = "fbgemm"
    net = TextClassifier().train()
    tq.fuse_modules_qat(net, ["hidden", "relu"], inplace=True)
    for part in (net.quant, net.hidden, net.answer):
        part.qconfig = tq.get_default_qat_qconfig("x86")
    tq.prepare_qat(net, inplace=True)
    for step in range(4):
        net(ids(16, step))
    return nets.finish(net)


@pytest.mark.parametrize("given", ["both", "qat", "converted"])
def test_ids_reach_the_embedding(server, model, given):
    converted = tq.convert(copy.deepcopy(model).eval())
    report = qatgap.analyze(
        None if given == "converted" else model,
        ids(2, 0),
        ids(20, 9),
        converted=None if given == "qat" else converted,
        targets=["pytorch-x86"],
        server=server,
        progress=False,
    )
    assert report.layers.layer.to_list() == ["hidden", "answer"]
    assert report.data["statistics"]["samples"] == 20
    assert report.layers.engine_measured.all()
    report.assert_within({"metric": "injected.engine_residual.changed", "max": 0})
    if given == "converted":
        return
    # The codes that PyTorch's own run of the module has at its output.
    grid = report.data["statistics"]["outputs"][0]
    with torch.no_grad():
        codes = torch.round(model(ids(20, 9)) / grid["scales"][0]) + grid["zero_points"][0]
    reference = report.data["statistics"]["targets"][0]["comparisons"][0]
    assert reference["reference"] == "fake_quant"
    assert reference["outputs"][0]["reference_sum"] == int(codes.sum())
    assert reference["outputs"][0]["reference_sum_squares"] == int((codes**2).sum())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.full((4, LENGTH), WORDS, np.int64),
            r"does not take an input of shape \[4, 6\] .*aten::embedding in module 'embedding': index out of range",
        ),
        (np.zeros((4, LENGTH), np.float32), "scalar types: Long, Int; but got CPUFloatType"),
    ],
)
def test_ids_that_no_embedding_has(server, model, wrong, message):
    with pytest.raises(qatgap.InvalidArgumentError, match=message):
        qatgap.analyze(model, ids(2, 0), wrong, targets=["pytorch-x86"], server=server, progress=False)
