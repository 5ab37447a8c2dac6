"""Images that a scanner or an archive puts into a series of slices, and that are no slice of it: a
reference image in another plane, a picture of the screen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmccd.io.dicom.classes import MR_CLASSES
from mmccd.io.dicom.header import Instance
from mmccd.io.geometry import MIN_SLICES

OTHER_PLANE_DEG = 30.0
MOST_STRAYS = 0.2
"""Of all images of a series; where more lie otherwise, nobody can say which are the slices."""


def without_strays(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """The images that can be slices of one stack.

    Left out are images of another kind beside MR images, and the few that lie in another plane than
    all others. An image that could be a slice (in the same plane, of whatever size, or without a
    plane) stays: without it a stack may be incomplete.

    Args:
        instances: of one series.

    Returns:
        All, or fewer of them in the same order.
    """
    mr = tuple(one for one in instances if one.sop_class in MR_CLASSES)
    kept = mr if len(mr) >= MIN_SLICES else instances
    normals = [_normal(one) for one in kept]
    known = [normal for normal in normals if normal is not None]
    if not known:
        return kept
    typical = _typical(np.array(known))
    limit = np.cos(np.radians(OTHER_PLANE_DEG))
    flat = tuple(
        one
        for one, normal in zip(kept, normals, strict=True)
        if normal is None or abs(normal @ typical) > limit
    )
    few = len(kept) - len(flat) <= MOST_STRAYS * len(kept)
    return flat if few and len(flat) >= MIN_SLICES else kept


def _typical(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The normal to which most are near; its sign does not count."""
    near = np.abs(normals @ normals.T) > np.cos(np.radians(OTHER_PLANE_DEG))
    return np.asarray(normals[int(np.argmax(near.sum(axis=1)))])


def _normal(instance: Instance) -> NDArray[np.float64] | None:
    orientation = instance.frames[0].orientation if len(instance.frames) == 1 else None
    if orientation is None:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    length = np.linalg.norm(normal)
    return normal / length if length > 0 else None
