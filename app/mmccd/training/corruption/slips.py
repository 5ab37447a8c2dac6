"""Brain masks that are too wide, too narrow, or have holes; no anomaly."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mmccd.imaging import Draws

RIM_PIXELS = (1, 2, 2, 4)
"""Widths of the rims; at the crown the skull lies flat in a slice, and its marrow is wide."""
RIM_SHARE, CUT_SHARE, HOLE_SHARE = 0.12, 0.15, 0.03


def slip(image: Tensor, brain: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """A rim of marrow, fat or air left at the brain, a pixel cut off, or a hole, in parts of some
    slices.

    Args:
        image: slices ``(batch, 1, size, size)`` as :func:`~mmccd.training.corruption.scan` gives
            them: air 0, tissue about 1.
        brain: bool of the same shape.
        draws: random numbers.

    Returns:
        The slices and their wrong masks; 0 outside them.
    """
    image, mask = image.clone(), brain.clone()
    size = image.shape[-1]
    some = draws.some(len(image), RIM_SHARE)
    if len(some):
        here = draws.field(len(some), 5, size) > 0.4
        width = RIM_PIXELS[int(draws.host.integers(len(RIM_PIXELS)))]
        rim = _grow(mask[some], width) & ~mask[some] & here
        filling = draws.uniform(len(some), 0, 2.2) * (1 + 0.2 * draws.field(len(some), 24, size))
        image[some] = torch.where(rim, filling, image[some])
        mask[some] = mask[some] | rim
    some = draws.some(len(image), CUT_SHARE)
    if len(some):
        here = draws.field(len(some), 5, size) > 0.3
        mask[some] = mask[some] & ~(_grow(~brain[some], 1) & brain[some] & here)
    some = draws.some(len(image), HOLE_SHARE)
    if len(some):
        mask[some] = mask[some] & ~(draws.field(len(some), 3, size) > 1.5)
    return torch.where(mask, image, 0), mask


def _grow(mask: Tensor, pixels: int) -> Tensor:
    edge = 2 * pixels + 1
    return functional.max_pool2d(mask.float(), edge, 1, pixels) > 0
