"""Healthy slices in normalised units, made of discs: white and grey matter, ventricles, texture."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws, pixel_grid

SIZE = 128
WHITE, GREY, FLUID = 0.2, 1.2, -2.5


def healthy_slices(count: int, seed: int = 0, texture: float = 0.1) -> tuple[Tensor, Tensor]:
    """Slices ``(count, 1, 128, 128)``, 0 outside the brain, and the brain."""
    brain = disc((64, 64), 54).expand(count, 1, SIZE, SIZE)
    image = torch.where(disc((64, 64), 46), WHITE, GREY)
    image = torch.where(ventricles(), FLUID, image)
    image = image + texture * Draws(seed).field(count, 30)
    return torch.where(brain, image, 0), brain.clone()


def ventricles() -> Tensor:
    """bool ``(1, 1, 128, 128)``."""
    return disc((60, 56), 7) | disc((60, 72), 7)


def disc(centre: tuple[float, float], radius: float) -> Tensor:
    """bool ``(1, 1, 128, 128)``."""
    rows, columns = pixel_grid(SIZE, torch.device("cpu"))
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2)[None, None]
