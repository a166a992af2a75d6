"""A forward hook that torch.jit.script compiles: it reads the annotations, so they must be objects, not strings."""

from typing import Any, Tuple  # noqa: UP035

import torch


def typed_observer_hook(self: Any, input: Tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:  # noqa: A002, UP006
    """What `_observer_forward_hook` of torch.ao.quantization does."""
    return self.activation_post_process(output)  # type: ignore[no-any-return]
