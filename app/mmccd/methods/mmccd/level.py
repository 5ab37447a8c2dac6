"""What is smooth in the error of a slice, to be taken out of it."""

from __future__ import annotations

import torch
from torch import Tensor

LEVEL_PIXELS = 20.0
"""Standard deviation of the Gaussian in model pixels (37.5 mm)."""
MOST = 1.0
"""Errors count up to this, in units of the normalised image, so that a lesion has little part."""


def levelled(signed: Tensor, brain: Tensor) -> Tensor:
    """The signed error without its smooth offset over the brain: what x - x' would be, were x'
    brought to the slice's own gain and bias.

    The offset is the Gaussian average (20 pixels) of the error, clipped to -1 ... 1, over the
    brain of its slice. A lesion that is small beside the Gaussian hardly moves it.

    Args:
        signed: x - x', ``(slices, 1, height, width)``; NaN has no part in the average.
        brain: bool of the same shape.

    Returns:
        float32 of the same shape; NaN where ``signed`` is, and unchanged outside the brain.
    """
    inside = brain & signed.isfinite()
    rows, columns = (_gaussian(size).to(signed.device) for size in signed.shape[-2:])

    def smooth(values: Tensor) -> Tensor:
        return rows @ values @ columns

    clipped = torch.where(inside, signed.clamp(-MOST, MOST), 0.0).double()
    # A voxel of the brain has its own weight of 1, so that the divisor is 1 or more there.
    offset = smooth(clipped) / smooth(inside.double()).clamp(min=1.0)
    return torch.where(inside, signed - offset, signed).float()


def _gaussian(size: int) -> Tensor:
    """The weight of each row (or column) for each, float64 ``(size, size)``, 1 for itself."""
    places = torch.arange(size, dtype=torch.float64)
    return torch.exp(-0.5 * ((places[:, None] - places) / LEVEL_PIXELS) ** 2)
