"""Threshold a map, and leave small components out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.imaging import Floats
from mmccd.postprocessing.settings import Postprocessing


def segment(
    smoothed: Floats,
    brain: NDArray[np.bool_],
    threshold: float,
    voxel_ml: float,
    settings: Postprocessing,
) -> NDArray[np.uint8]:
    """``map > threshold`` inside the brain, without small components (26-neighbourhood).

    Args:
        smoothed: map, 3-D.
        brain: where it holds, of the same shape.
        threshold: h.
        voxel_ml: volume of a voxel in mL.
        settings: ``min_component_ml``.
    """
    segmentation = (smoothed > threshold) & brain
    if settings.min_component_ml > 0 and segmentation.any():
        labels, _ = components(segmentation)
        large = np.bincount(labels.ravel()) * voxel_ml >= settings.min_component_ml
        large[0] = False
        segmentation = large[labels]
    return np.asarray(segmentation, dtype=np.uint8)


def components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label the connected components (26-neighbourhood).

    Args:
        mask: 3-D.

    Returns:
        Labels from 1 on, 0 outside the mask, and their number.
    """
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return labels, int(count)
