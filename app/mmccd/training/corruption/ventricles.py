"""Where a slice's ventricles are, and how far away from them each pixel lies."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import blur

FLUID_BELOW = -1.5
TISSUE_ABOVE = -1.0
REACH_PIXELS = 5.0
_FARTHEST = 0.01


def inner_fluid(image: Tensor, brain: Tensor) -> Tensor:
    """Fluid deep inside the brain, which sulci are not; bool of the shape of ``image``."""
    inner = blur(brain.float(), 6.0) > 0.97
    return (image < FLUID_BELOW) & brain & inner


def ventricle_distance(image: Tensor, brain: Tensor) -> Tensor:
    """About how far each pixel lies from the ventricles, in pixels; negative inside, infinite from
    about 2.3 times :data:`REACH_PIXELS` on.

    Where the border of fluid is straight, its indicator blurred by a Gaussian of width s is
    Phi(-d / s) at the distance d, and the inverse of Phi gives d back. Small and curved parts of
    the ventricles seem farther away than they are.

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
    """
    share = blur(inner_fluid(image, brain).float(), REACH_PIXELS)
    distance = -REACH_PIXELS * torch.special.ndtri(share.clamp(1e-6, 1 - 1e-6))
    return torch.where(share > _FARTHEST, distance, torch.inf)
