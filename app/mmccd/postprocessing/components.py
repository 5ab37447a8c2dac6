"""The segmentation's connected components, measured: what a reader looks at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import Component, Volume
from mmccd.postprocessing.confidence import ConfidenceLevels
from mmccd.postprocessing.segmentation import components

MOST_LISTED = 100


def measure_components(
    segmentation: Volume,
    smoothed: NDArray[np.float32],
    most: int = MOST_LISTED,
    levels: ConfidenceLevels | None = None,
) -> tuple[list[Component], int]:
    """The largest components, and how many there are in all.

    Args:
        segmentation: above 0 = anomalous.
        smoothed: the map that was thresholded, on the same grid.
        most: how many are listed at the most.
        levels: what their confidence is told by; None where it is not known.

    Returns:
        The components, largest first (of equal ones, that with the higher peak first), and the
        number of all.
    """
    labels, count = components(segmentation.data > 0)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:most] + 1
    boxes = ndimage.find_objects(labels)
    measured = [
        _measure(
            segmentation, smoothed, boxes[number - 1], labels[boxes[number - 1]] == number, levels
        )
        for number in largest
    ]
    return sorted(measured, key=lambda one: (-one.volume_ml, -one.peak)), count


def label_as_listed(segmentation: Volume, listed: Sequence[Component]) -> NDArray[np.int32]:
    """The place in the list of the component that each voxel belongs to.

    Args:
        segmentation: above 0 = anomalous.
        listed: of :func:`measure_components`.

    Returns:
        From 1 on; one more than the list is long where a component is not listed; 0 outside all.
    """
    labels, count = components(segmentation.data > 0)
    to_voxel = np.linalg.inv(segmentation.affine)
    place = np.full(count + 1, len(listed) + 1, dtype=np.int32)
    place[0] = 0
    for number, one in enumerate(listed, 1):
        peak = to_voxel[:3, :3] @ np.array(one.peak_mm) + to_voxel[:3, 3]
        i, j, k = np.rint(peak).astype(int)
        place[labels[i, j, k]] = number
    place[0] = 0
    return place[labels]


def _measure(
    segmentation: Volume,
    smoothed: NDArray[np.float32],
    box: tuple[slice, slice, slice],
    inside: NDArray[np.bool_],
    levels: ConfidenceLevels | None,
) -> Component:
    voxels = np.argwhere(inside)
    values = smoothed[box][inside]
    start = np.array([part.start for part in box])
    strongest, mean = int(values.argmax()), float(values.mean(dtype=np.float64))
    return Component(
        volume_ml=round(len(voxels) * segmentation.voxel_ml, 4),
        centre_mm=_place(segmentation, voxels.mean(axis=0) + start),
        peak=float(values[strongest]),
        peak_mm=_place(segmentation, voxels[strongest] + start),
        mean=mean,
        confidence=None if levels is None else levels.of(mean),
    )


def _place(volume: Volume, voxel: NDArray[Any]) -> tuple[float, float, float]:
    x, y, z = (
        round(float(value), 2) for value in volume.affine[:3, :3] @ voxel + volume.affine[:3, 3]
    )
    return x, y, z
