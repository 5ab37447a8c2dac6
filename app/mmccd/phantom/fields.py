"""Smooth random fields on a grid of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def smooth_field(
    shape: Sequence[int], spacing: Sequence[float], width_mm: float, random: np.random.Generator
) -> Tensor:
    """Gaussian random field of about zero mean and unit variance, drawn on knots ``width_mm`` apart
    and interpolated.

    Args:
        shape: voxels ``(X, Y, Z)``.
        spacing: voxel size in mm.
        width_mm: distance of the knots: the length over which values belong together.
        random: generator.

    Returns:
        float32 ``(X, Y, Z)``.
    """
    knots = [max(3, round(n * mm / width_mm) + 3) for n, mm in zip(shape, spacing, strict=True)]
    coarse = torch.from_numpy(random.standard_normal(knots).astype(np.float32))
    fine = functional.interpolate(
        coarse[None, None], size=tuple(shape), mode="trilinear", align_corners=True
    )[0, 0]
    return (fine - fine.mean()) / fine.std().clamp_min(1e-6)
