"""Masses: tumour-like changes with compartments, a core, mass effect and rough borders."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption.shapes import blob_level, push_aside

PUSHING_FROM = 8.0
"""Radius in pixels from which a mass may push tissue away."""
CORE_FROM = 4.0
"""Radius in pixels from which a mass may have a core."""


def paint_masses(
    image: Tensor, brain: Tensor, draws: Draws, radius: tuple[float, float] = (7.0, 30.0)
) -> tuple[Tensor, Tensor]:
    """One mass on each slice.

    The tissue inside is shifted (its anatomy stays visible) or replaced; it is brighter, in a fifth
    of the cases darker; half have a core of its own intensity (dark, like grey matter, or bright),
    and half of the large ones push the tissue around aside. The larger a mass, the stronger and
    sharper it has to be: a large, faint, smooth change is what an uneven coil makes of healthy
    tissue. (Nested compartments x (1 - m) + t m: Zhang et al., SynthTumour; Hu et al., CVPR 2023.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.
        radius: smallest and largest radius in pixels.

    Returns:
        The changed slices, and how much of each pixel is changed, in [0, 1].
    """
    count, size = len(image), image.shape[-1]
    radii = draws.log_uniform(count, *radius)
    centre = draws.pixel_of(brain)
    outline = partial(blob_level, draws=draws, size=size)
    level = outline(centre, radii, draws.uniform(count, 0.05, 0.6))
    soft = torch.minimum(draws.uniform(count, 0.4, 2.2), 0.5 * radii + 0.3)
    inside = torch.sigmoid(level / soft) * brain
    pushing = draws.chance(count, 0.5) & (radii > PUSHING_FROM)
    moved = push_aside(image, centre, radii, draws.uniform(count, 0, 0.35) * pushing)
    moved = torch.where(brain, moved, image)
    least = 0.35 + 0.65 * (radii / 14).clamp_max(1)
    changed = moved + (_changed_tissue(moved, least, draws) - moved) * inside
    aside = centre + 0.25 * radii.flatten()[:, None] * draws.normal(count, 2)
    core_level = outline(
        aside, radii * draws.uniform(count, 0.25, 0.8), draws.uniform(count, 0, 0.6)
    )
    has_core = draws.chance(count, 0.55) & (radii > CORE_FROM)
    core = torch.sigmoid(core_level / draws.uniform(count, 0.4, 1.5)) * inside * has_core
    return changed + (_core_tissue(count, size, draws) - changed) * core, inside


def _changed_tissue(image: Tensor, least: Tensor, draws: Draws) -> Tensor:
    """Tissue with an added offset, or new tissue that shows little of the old."""
    count, size = len(image), image.shape[-1]
    contrast = least + 4.2 * draws.uniform(count) ** 2
    contrast = draws.either(count, 0.18, -contrast.clamp_max(2.2), contrast)
    uneven = 1 + draws.uniform(count, 0, 0.5) * draws.field(count, 8, size)
    uneven = (uneven + draws.uniform(count, 0, 0.3) * draws.field(count, 16, size)).clamp(0, 2.2)
    tissue_only = torch.sigmoid(3 * (image + 1))
    added = image + contrast * uneven * draws.either(
        count, 0.5, tissue_only, torch.ones_like(tissue_only)
    )
    texture = draws.uniform(count, 0, 0.4) * draws.field(count, 24, size)
    texture = texture + draws.uniform(count, 0, 0.5) * draws.field(count, 10, size)
    replaced = contrast * uneven + texture + draws.uniform(count, 0, 0.6) * image
    return draws.either(count, 0.5, added, replaced)


def _core_tissue(count: int, size: int, draws: Draws) -> Tensor:
    """Necrosis or fluid, something like grey matter, or something bright, with texture."""
    dark, grey = draws.uniform(count, -3.2, -0.5), draws.uniform(count, -0.5, 1.2)
    bright = draws.uniform(count, 1, 5)
    value = draws.either(count, 0.45, dark, draws.either(count, 0.5, grey, bright))
    return value + 0.3 * draws.field(count, 20, size)
