"""Makes two_inputs_qat.pt and two_inputs_converted.pt: a net of two inputs of different shapes, forward(image, hint)."""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.ao import quantization as tq
from torch.ao.nn.quantized import FloatFunctional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))
from export import convert, freeze, save, to_script  # noqa: E402


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant_image, self.quant_hint = tq.QuantStub(), tq.QuantStub()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.hint_fc = nn.Linear(5, 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.add = FloatFunctional()
        self.fc = nn.Linear(4, 3)
        self.dequant = tq.DeQuantStub()

    def forward(self, image, hint):
        x = torch.flatten(self.pool(self.conv(self.quant_image(image))), 1)
        y = self.hint_fc(self.quant_hint(hint))
        return self.dequant(self.fc(self.add.add(x, y)))


def main():
    torch.manual_seed(5)
    torch.backends.quantized.engine = "qnnpack"
    model = TwoInputs().train()
    model.qconfig = tq.get_default_qat_qconfig("qnnpack")
    tq.prepare_qat(model, inplace=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(20):
        image, hint = torch.randn(16, 3, 6, 6), torch.randn(16, 5)
        loss = nn.functional.cross_entropy(model(image, hint), torch.randint(3, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    freeze(model)
    example = (torch.randn(1, 3, 6, 6), torch.randn(1, 5))
    here = Path(__file__).parent
    save(to_script(model, True, example), here / "two_inputs_qat.pt")
    save(to_script(convert(model, fx=False), True, example), here / "two_inputs_converted.pt")


if __name__ == "__main__":
    main()
