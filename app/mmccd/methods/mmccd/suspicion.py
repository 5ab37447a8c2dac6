"""The region that a first round of the cycle finds suspicious, to be hidden in the next one."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mmccd.imaging import MIN_SLICE_PIXELS, Sides, error_robust_z

MEDIAN_PIXELS = 7
GROWTH_PIXELS = 2


def suspicious_region(signed: Tensor, brain: Tensor, sd: float, sign: str = "brighter") -> Tensor:
    """Where the smoothed robust z-score of the signed error exceeds ``sd``, grown by 2 pixels
    within the brain.

    A strip that cuts a lesion leaves most of it visible, and f continues what it sees. Hidden as a
    whole, the lesion has to be filled in from what lies around it. (The idea of a mask that follows
    the error is that of IterMask2, Liang et al., MICCAI 2024; here with f and g, and strips.)

    Args:
        signed: mean x - x' of the round before, ``(slices, 1, height, width)`` on the CPU; NaN
            counts as no error.
        brain: bool of the same shape; slices with fewer than 75 pixels of brain have no suspicious
            region.
        sd: how large a robust z-score (see :func:`~mmccd.imaging.robust_z`) is suspicious.
        sign: which differences count, as in :class:`~mmccd.methods.CycleSettings`.

    Returns:
        bool of the same shape.
    """
    inside = (
        brain[:, 0].numpy() & (brain.flatten(1).sum(1).numpy() >= MIN_SLICE_PIXELS)[:, None, None]
    )
    error = np.where(inside, np.nan_to_num(signed[:, 0].numpy()), np.float32(0))
    scaled = error_robust_z(error, inside, Sides(sign))
    smooth = ndimage.median_filter(scaled, size=(1, MEDIAN_PIXELS, MEDIAN_PIXELS), mode="constant")
    cross = ndimage.generate_binary_structure(2, 1)[None]
    grown = ndimage.binary_dilation(smooth > sd, structure=cross, iterations=GROWTH_PIXELS)
    return torch.from_numpy(np.asarray(grown & inside))[:, None]
