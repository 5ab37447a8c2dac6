"""The range of a brain's intensities, between which the plain scores go from 0 to 1."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmccd.imaging import Normalisation

RANGE = Normalisation("range", 2.0, 90.0)
"""0 at the 2nd, 1 at the 90th percentile of the brain."""


def brain_range(image: Tensor, whole: Tensor) -> tuple[float, float]:
    """The 2nd and the 90th percentile of the brain on the model grid.

    Args:
        image: ``(slices, 1, height, width)``.
        whole: bool of the same shape, at least one voxel.
    """
    low, high = np.percentile(image[whole].numpy(), [RANGE.lower, RANGE.upper])
    return float(low), float(high)
