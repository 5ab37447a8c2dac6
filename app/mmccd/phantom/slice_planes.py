"""Where the pixels of a slice lie in a volume, at random heights, tilts and thicknesses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SLICE_MM = (1.0, 7.0)
TILT_DEGREES = (9.0, 4.0)
"""Spread of the rotation about the left-right and the front-back axis."""


def planes_of(
    bounds: tuple[NDArray[np.int_], NDArray[np.int_]],
    spacing: NDArray[np.float64],
    random: np.random.Generator,
    edge: int,
    pixel_mm: float,
    count: int,
) -> list[NDArray[np.float64]]:
    """Planes of one slice, evenly across its thickness.

    Heights are drawn uniformly from the lowest to the highest voxel of the brain, so that the
    lowest and the topmost slices are as frequent as those between; thickness log-uniformly.

    Args:
        bounds: lowest and highest voxel of the brain, axes right, anterior, superior.
        spacing: of the voxels in mm.
        random: drawn from.
        edge: pixels along an edge of the slice.
        pixel_mm: their size.
        count: planes.

    Returns:
        Voxel coordinates of each pixel, ``(3, edge, edge)`` a plane, rows from anterior to
        posterior, columns from right to left; the brain's middle in the centre.
    """
    low, high = bounds
    middle = (low + high) / 2
    height = random.uniform(low[2], high[2])
    pitch, roll = np.tan(np.radians(random.normal(0, TILT_DEGREES)))
    thickness = np.exp(random.uniform(*np.log(SLICE_MM)))
    line = (np.arange(edge) - (edge - 1) / 2) * pixel_mm
    rows, columns = np.meshgrid(line, line, indexing="ij")
    right, front = -columns, -rows
    return [
        np.stack(
            [
                middle[0] + right / spacing[0],
                middle[1] + front / spacing[1],
                height + (front * pitch + right * roll + side * thickness / 2) / spacing[2],
            ]
        )
        for side in (2 * np.arange(count) + 1) / count - 1
    ]
