"""A fake-quant whose scale and zero point are constants."""

from __future__ import annotations

import torch


class FrozenFakeQuantize(torch.nn.Module):
    """torch.fake_quantize_per_{tensor,channel}_affine with constants.

    Args:
        scale: one, or one per channel.
        zero_point: as many.
        quant_min: least code.
        quant_max: largest code.
        axis: the channel axis; None for per tensor.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(
        self, *, scale: torch.Tensor, zero_point: torch.Tensor, quant_min: int, quant_max: int, axis: int | None
    ) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", zero_point)
        self.quant_min = quant_min
        self.quant_max = quant_max
        self.axis = axis
        # Plain numbers: the form that every exporter has.
        self.tensor_scale = float(scale.reshape(-1)[0])
        self.tensor_zero_point = int(zero_point.reshape(-1)[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rounds x to its grid."""
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(
                x, self.tensor_scale, self.tensor_zero_point, self.quant_min, self.quant_max
            )
        return torch.fake_quantize_per_channel_affine(
            x, self.scale, self.zero_point, self.axis, self.quant_min, self.quant_max
        )
