"""What TorchScript gets in the place of a network whose code it cannot read."""

from __future__ import annotations

import warnings
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ScriptableTranslation(nn.Module):
    """A translating U-Net with its inner network recorded, which ``torch.jit.script`` can read.

    MONAI's attention blocks are no TorchScript, but no step of theirs depends on a value, so a
    recording of one pass is the whole program, for every batch size and every image size.

    Args:
        inner: MONAI's network, called with an image and timesteps.
        channels: channels of its input.
        factor: edge of the space-to-depth blocks in pixels.
        multiple: what height and width are multiples of.
    """

    def __init__(self, inner: nn.Module, channels: int, factor: int, multiple: int) -> None:
        super().__init__()
        self.factor = factor
        self.multiple = multiple
        device = next(inner.parameters()).device
        edge = 4 * multiple // factor
        image = torch.zeros(1, channels, edge, edge, device=device)
        with torch.no_grad(), warnings.catch_warnings():
            # Of shapes that Python looks at, which are checked before the recorded part, and of
            # TorchScript's age.
            warnings.simplefilter("ignore")
            timesteps = torch.zeros(1, dtype=torch.int64, device=device)
            self.inner = torch.jit.trace(inner, (image, timesteps), check_trace=False)

    # TorchScript reads this signature, and knows no "Tensor | None" of a string.
    def forward(self, x: Tensor, timesteps: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """As :meth:`mmccd.models.TranslationUNet.forward`."""
        if x.size(2) % self.multiple != 0 or x.size(3) % self.multiple != 0:
            raise ValueError("height and width must be multiples of " + str(self.multiple))
        if timesteps is None:
            timesteps = torch.zeros(x.size(0), dtype=torch.int64, device=x.device)
        output: Tensor = self.inner(F.pixel_unshuffle(x, self.factor), timesteps)
        return F.pixel_shuffle(output, self.factor)
