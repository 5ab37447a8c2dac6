"""Bands and caps along the ventricles, thin or confluent, as white-matter disease makes them."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption.ventricles import TISSUE_ABOVE, ventricle_distance

WIDTH_PIXELS = (1.2, 10.0)
"""Thinnest and widest band: 2 to 19 mm."""


def paint_bands(image: Tensor, brain: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """The tissue beside the ventricles changed up to a distance that waves along them: thin
    linings, caps at the horns, and confluent white matter. The thinner, the stronger: a faint
    lining is what healthy people have. (Periventricular grades 1 to 3: Fazekas et al., AJR 1987.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.

    Returns:
        The changed slices, and how much of each pixel is changed, in [0, 1]; a slice without
        ventricles stays as it is.
    """
    count, size = len(image), image.shape[-1]
    distance = ventricle_distance(image, brain)
    width = draws.log_uniform(count, *WIDTH_PIXELS)
    waves = 0.5 * draws.field(count, 5, size) + 0.3 * draws.field(count, 14, size)
    waves = waves + 0.2 * draws.field(count, 32, size)
    # Patchy in half of the slices: caps and parts of a lining, with nothing between them.
    waves = waves - draws.chance(count, 0.5) * draws.uniform(count, 0, 0.8)
    reach = width * (1 + draws.uniform(count, 0.2, 1.2) * waves)
    soft = torch.minimum(draws.uniform(count, 0.25, 2.0), 0.4 * width)
    tissue = (image > TISSUE_ABOVE) & brain
    there = tissue & (reach > 0.7) & distance.isfinite()
    inside = torch.where(there, torch.sigmoid((reach - distance) / soft), 0)
    least = 0.6 + 0.5 * (2.5 / width).clamp_max(1)
    contrast = least + 3 * draws.uniform(count) ** 1.5
    uneven = contrast * (1 + 0.25 * draws.field(count, 20, size)).clamp(0.3, 2)
    added = image + uneven * inside
    replaced = image + (uneven - image) * inside
    return draws.either(count, 0.5, added, replaced), inside
