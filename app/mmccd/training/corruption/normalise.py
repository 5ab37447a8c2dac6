"""The ``paper`` normalisation of single slices, by their healthy part."""

from __future__ import annotations

import torch
from torch import Tensor

_EVERY = 2
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
        healthy: the part whose statistics are taken (of every second pixel); None: the brain.
        percentiles: lower and upper one.
    """
    counted = brain if healthy is None else brain & healthy
    values = torch.where(counted, image, torch.nan)[..., ::_EVERY, ::_EVERY].flatten(1)
    ordered = values.sort(dim=1).values
    number = (~values.isnan()).sum(1, keepdim=True).clamp_min(1)
    low, high = (
        ordered.gather(1, ((number - 1) * percent / 100).round().long()) for percent in percentiles
    )
    kept = (values >= low) & (values <= high)
    count = kept.sum(1).clamp_min(1)
    mean = torch.where(kept, values, 0).sum(1) / count
    spread = torch.where(kept, values - mean[:, None], 0).square().sum(1) / count
    mean, deviation = (part[:, None, None, None] for part in (mean, spread.sqrt().clamp_min(1e-3)))
    return torch.where(brain, (image - mean) / deviation, 0)
