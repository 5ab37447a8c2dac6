"""Slices cut out of label maps at any tilt and thickness: phantoms by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from mmccd.core import UnsuitableInputError
from mmccd.phantom.anatomy import canonical_labels
from mmccd.phantom.physics import TISSUES, Tissue
from mmccd.phantom.slice_planes import planes_of

EDGE = 256
PIXEL_MM = 0.9375
"""Label slices are twice as fine as the model grid."""
PLANES = 2
"""A slice is the mean of this many planes, a quarter of its thickness above and below its middle.
"""
MIN_BRAIN_PIXELS = 1200
"""Of a label slice: about 10 cm^2."""

CLASSES: dict[str, tuple[Tissue, tuple[int, ...]]] = {
    "white": (TISSUES["white"], (2, 41, 77, 78, 79, 80, 85, 251, 252, 253, 254, 255)),
    "grey": (TISSUES["grey"], (3, 42, 19, 20, 55, 56, 81, 82)),
    "thalamus": (TISSUES["deep"], (10, 49)),
    "striatum": (Tissue(1300, 82, 0.79), (11, 50, 12, 51, 26, 58)),
    "pallidum": (TISSUES["pallidum"], (13, 52)),
    "brainstem": (TISSUES["brainstem"], (16, 28, 60)),
    "cerebellar cortex": (Tissue(1380, 87, 0.81), (8, 47)),
    "cerebellar white": (Tissue(900, 73, 0.71), (7, 46)),
    "hippocampus": (Tissue(1430, 93, 0.81), (17, 53, 18, 54)),
    "fluid": (TISSUES["fluid"], (24, 30, 62, 72)),
    "ventricle": (TISSUES["fluid"], (4, 43, 5, 44, 14, 15)),
    "choroid plexus": (Tissue(1600, 112, 0.86), (31, 63)),
}
"""Classes of a label slice, from 1 on (0 is outside the brain): their relaxation at 3 T and
FreeSurfer's labels. The hippocampus and the amygdala are a little brighter than cortex on FLAIR in
healthy people, and the choroid plexus is bright in dark fluid; values plausible, drawn from ranges
around them.
"""
NUMBER = {name: number for number, name in enumerate(CLASSES, start=1)}


def class_table() -> NDArray[np.uint8]:
    """Class of each label below 600."""
    table = np.zeros(600, dtype=np.uint8)
    for name, (_, labels) in CLASSES.items():
        table[list(labels)] = NUMBER[name]
    return table


def cut_label_slices(path: Path, count: int, seed: int | Sequence[int]) -> NDArray[np.uint8]:
    """Slices of one label map, at random heights, tilts and thicknesses.

    Args:
        path: NIfTI file with FreeSurfer labels at about 1 mm.
        count: slices to cut; those with hardly any brain are left out.
        seed: of the drawing.

    Returns:
        Classes, uint8 ``(slices, 2, 256, 256)``, rows from anterior to posterior, columns from
        right to left; the brain's middle in the centre.

    Raises:
        InputError: not a NIfTI file.
        UnsuitableInputError: no brain labels in it.
    """
    labels, affine = canonical_labels(path)
    classes = class_table()[np.clip(labels, 0, 599)]
    spacing = np.abs(np.diag(affine)[:3])
    places = np.argwhere(classes > 0)
    if len(places) < 100_000:
        raise UnsuitableInputError(
            f"{path}: has {len(places)} voxels with FreeSurfer's brain labels; expected a label map"
            " of a brain; give another file"
        )
    low, high = places.min(axis=0), places.max(axis=0)
    random = np.random.default_rng(seed)
    made = [_slice(classes, spacing, (low, high), random) for _ in range(count)]
    kept = [one for one in made if (one > 0).sum() >= PLANES * MIN_BRAIN_PIXELS]
    return np.stack(kept) if kept else np.zeros((0, PLANES, EDGE, EDGE), np.uint8)


def _slice(
    classes: NDArray[np.uint8],
    spacing: NDArray[np.float64],
    bounds: tuple[NDArray[np.int_], NDArray[np.int_]],
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """Two planes of one slice, ``(2, 256, 256)``."""
    planes = planes_of(bounds, spacing, random, EDGE, PIXEL_MM, PLANES)
    return np.stack([map_coordinates(classes, plane, order=0, cval=0) for plane in planes])
