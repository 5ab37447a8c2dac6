"""Outlines with rough borders, and tissue that they push away."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mmccd.imaging import Draws, pixel_grid


def blob_level(
    centre: Tensor, radius: Tensor, roughness: Tensor, draws: Draws, size: int
) -> Tensor:
    """Signed distance-like level of an ellipse with a rough border: positive inside, about 0 on the
    outline, in pixels.

    Args:
        centre: (row, column) ``(batch, 2)``.
        radius: in pixels, ``(batch, 1, 1, 1)``.
        roughness: relative size of the border's waves, ``(batch, 1, 1, 1)``.
        draws: random numbers.
        size: pixels along an edge.

    Returns:
        ``(batch, 1, size, size)``.
    """
    count = len(centre)
    down, right = _offsets(centre, size)
    angle = draws.uniform(count, 0, math.pi)
    stretch = (0.35 * draws.normal(count)).exp().clamp(0.5, 2.0)
    along = (right * angle.cos() + down * angle.sin()) / stretch
    across = (-right * angle.sin() + down * angle.cos()) * stretch
    waves = sum(
        share * draws.field(count, knots, size)
        for share, knots in ((0.4, 6), (0.3, 12), (0.15, 24))
    )
    return radius * (1 + roughness * waves) - (along**2 + across**2).sqrt()


def push_aside(image: Tensor, centre: Tensor, radius: Tensor, amount: Tensor) -> Tensor:
    """Mass effect: tissue moves away from a centre by up to ``amount`` times the radius, most at
    the radius, fading outside.

    Args:
        image: ``(batch, 1, size, size)``.
        centre: (row, column) ``(batch, 2)``.
        radius: in pixels, ``(batch, 1, 1, 1)``.
        amount: 0 to about .4, ``(batch, 1, 1, 1)``.
    """
    size = image.shape[-1]
    rows, columns = pixel_grid(size, image.device)
    down, right = _offsets(centre, size)
    distance = (down**2 + right**2).sqrt().clamp_min(1e-3)
    outside = (distance - radius).clamp_min(0) / radius
    shift = amount * radius * (distance / radius).clamp_max(1) * torch.exp(-(outside**2))
    moved = [
        (line - offset / distance * shift)[:, 0] / ((size - 1) / 2) - 1
        for line, offset in ((columns, right), (rows, down))
    ]
    grid = torch.stack(moved, dim=-1)
    return functional.grid_sample(image, grid, align_corners=True, padding_mode="border")


def _offsets(centre: Tensor, size: int) -> tuple[Tensor, Tensor]:
    rows, columns = pixel_grid(size, centre.device)
    return rows - centre[:, :1, None, None], columns - centre[:, 1:, None, None]
