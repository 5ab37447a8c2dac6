"""Smooth a map on the model grid: within each slice, then across slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.imaging import Floats
from mmccd.postprocessing.settings import Postprocessing


def smooth(
    anomaly: Floats, brain: NDArray[np.bool_], slice_mm: float, settings: Postprocessing
) -> Floats:
    """Median-filter each slice, then average across slices.

    Args:
        anomaly: map on the model grid ``(slices, size, size)``, 0 outside the brain.
        brain: where it holds, likewise; what lies outside has no part in the average.
        slice_mm: distance of neighbouring slices in mm.
        settings: how much, see :meth:`Postprocessing.smoothing`.

    Returns:
        Float32 of the same shape; where the average is taken, 0 outside the brain.
    """
    size, across_mm = settings.smoothing(slice_mm)
    smoothed = (
        anomaly
        if size == 1
        else np.asarray(ndimage.median_filter(anomaly, size=(1, size, size), mode="constant"))
    )
    if across_mm == 0:
        return smoothed
    sigma, reach = across_mm / slice_mm, settings.reach(slice_mm)
    return _average_across(smoothed, brain, sigma, reach)


def _average_across(values: Floats, brain: NDArray[np.bool_], sigma: float, reach: int) -> Floats:
    """Gaussian average of ``sigma`` slices over the brain's voxels at the same place of the slices
    up to ``reach`` away.
    """

    def blurred(volume: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(
            ndimage.gaussian_filter1d(volume, sigma, axis=0, mode="constant", radius=reach)
        )

    inside = brain.astype(np.float32)
    weights = blurred(inside)
    return np.where(brain, blurred(values * inside) / np.where(brain, weights, 1), 0).astype(
        np.float32
    )
