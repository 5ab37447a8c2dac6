"""The ``paper`` normalisation of single slices, by their healthy part."""

from __future__ import annotations

import torch
from torch import Tensor

_EVERY = 2
_FEWEST = 20
"""Counted pixels; a smaller healthy part says nothing of its slice."""
FLAIR_PERCENTILES = (2.0, 90.0)
OTHER_PERCENTILES = (2.0, 98.0)


def normalise_slices(
    image: Tensor,
    brain: Tensor,
    healthy: Tensor | None = None,
    percentiles: tuple[float, float] = FLAIR_PERCENTILES,
) -> Tensor:
    """(v - mean) / std over what lies between two percentiles of each slice's brain
    (:class:`~mmccd.imaging.Normalisation`, kind ``paper``, there over a volume); 0 outside it.

    Args:
        image: ``(batch, 1, size, size)``, any units.
        brain: bool of the same shape.
        healthy: the part whose statistics are taken (of every second pixel); None: the brain, which
            also stands in where hardly anything is healthy.
        percentiles: lower and upper one.
    """
    counted = brain if healthy is None else _counted(brain, healthy)
    values = torch.where(counted, image, torch.nan)[..., ::_EVERY, ::_EVERY].flatten(1)
    ordered = values.sort(dim=1).values
    number = (~values.isnan()).sum(1, keepdim=True)
    last = (number - 1).clamp_min(0)
    low, high = (
        ordered.gather(1, (last * percent / 100).round().long()) for percent in percentiles
    )
    kept = (values >= low) & (values <= high)
    count = kept.sum(1).clamp_min(1)
    mean = torch.where(kept, values, 0).sum(1) / count
    spread = torch.where(kept, values - mean[:, None], 0).square().sum(1) / count
    # Without two counted pixels there is no unit; the slice becomes 0.
    deviation = spread.sqrt().clamp_min(1e-3).where(number[:, 0] > 1, torch.inf)
    mean, deviation = (part[:, None, None, None] for part in (mean, deviation))
    return torch.where(brain, (image - mean) / deviation, 0)


def _counted(brain: Tensor, healthy: Tensor) -> Tensor:
    """The healthy part of each brain, or the brain where that part is too small."""
    part = brain & healthy
    number = part[..., ::_EVERY, ::_EVERY].sum((1, 2, 3), keepdim=True)
    return torch.where(number >= _FEWEST, part, brain)
