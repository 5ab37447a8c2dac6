"""What the brain network sees: intensities on one scale, three neighbouring slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 4.0
_QUANTILE = 0.99
_FOREGROUND = 0.1


def intensity_scale(values: NDArray[np.floating]) -> float:
    """What intensities are divided by: the 99th percentile of what is above a tenth of that
    percentile of everything.

    Args:
        values: voxels of a head or a brain with any amount of air, any shape; not negative.

    Returns:
        A positive number, 1 where all is zero.
    """
    rough = float(np.quantile(values, _QUANTILE))
    inside = values[values > _FOREGROUND * rough] if rough > 0 else values[values > 0]
    return float(np.quantile(inside, _QUANTILE)) if inside.size else 1.0


def triples(slices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each slice between its neighbours, empty ones beyond both ends: ``(slices, h, w)`` to
    ``(slices, 3, h, w)``.
    """
    padded = np.pad(slices, ((1, 1), (0, 0), (0, 0)))
    return np.stack([padded[:-2], padded[1:-1], padded[2:]], axis=1)
