"""Patches of another slice, and constants, blended in."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption.shapes import blob_level

SHIFT_PIXELS = 40


def paint_foreign(image: Tensor, brain: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """A rough patch on each slice that shows another slice of the batch, moved and changed in gain
    and offset, or a nearly constant value. (Foreign patch interpolation: Tan et al., MELBA 2022;
    Naval Marimon and Barkhof's and Kascenas et al.'s constants and coarse noise.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.

    Returns:
        The changed slices, and how much of each pixel is changed, in [0, 1].
    """
    count, size = len(image), image.shape[-1]
    radius = draws.log_uniform(count, 4, 30)
    level = blob_level(draws.pixel_of(brain), radius, draws.uniform(count, 0.05, 0.5), draws, size)
    inside = torch.sigmoid(level / draws.uniform(count, 0.4, 3)) * brain
    shifts = draws.host.integers(-SHIFT_PIXELS, SHIFT_PIXELS + 1, 2).tolist()
    other = torch.roll(image, (1, *shifts), (0, 2, 3))
    other = torch.where(other != 0, other, image)
    other = other * draws.uniform(count, 0.6, 1.6) + draws.uniform(count, -1, 1)
    constant = draws.uniform(count, -3.5, 5) + 0.2 * draws.field(count, 20, size)
    filling = draws.either(count, 0.6, other, constant)
    inside = inside * draws.uniform(count, 0.4, 1)
    return image + (filling - image) * inside, inside
