"""Find the brain: a given mask, a volume that is already skull-stripped, or extraction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.brain.extract import Extraction
from mmccd.core import UnsuitableInputError, Volume

MIN_SHELL_TISSUE = 0.6
"""Share of tissue in the outer 6 mm of what is not background: at least .73 in 182 skull-stripped
volumes (FLAIR, T1, T2), at most .59 in 9 heads as scanned, where scalp and the dark skull fill the
shell.
"""
MAX_BRAIN_ML, MAX_SHELL_BRIGHTNESS = 2300.0, 1.6
"""A head whose air was set to zero can have a shell as full as a brain's, but it is larger than a
brain *and* its scalp (95th percentile of the shell) is far brighter than its middle (median): 1.8
to 3.6 in such heads. Either alone occurs in stripped brains (wrong spacing in the header; a dark
centre).
"""
MAX_FOREGROUND_SHARE = 0.8
MIN_BRAIN_SHARE = 0.85
"""Share of what is not background that the extraction calls brain, from which on there was nothing
to extract (docs/brain.md).
"""
GIVEN, STRIPPED, EXTRACTED = "given mask", "already stripped", "extraction"
_MOST_CLASSES = 200
"""A parcellation that is given as a mask has fewer classes."""
_WORKING_SPACING_MM = 2.0
_TISSUE_SHARE_OF_MEDIAN = 0.35
_SQUARE = np.ones((3, 3), dtype=bool)


Extractor = Callable[[Volume], Extraction]


@dataclass(frozen=True)
class Brain:
    """A brain mask and how it was found.

    Attributes:
        mask: bool, on the grid of the volume.
        method: ``"given mask"``, ``"already stripped"`` or ``"extraction"``.
        extraction: what the network said, where it was asked.
    """

    mask: NDArray[np.bool_]
    method: str
    extraction: Extraction | None = None


def find_brain(
    volume: Volume, given: Volume | None = None, extract: Extractor | None = None
) -> Brain:
    """The brain of a volume.

    Args:
        volume: the image.
        given: a mask that the user made, on the same grid; values above 0.5 are brain.
        extract: brain extraction; where it is None a head is refused.

    Raises:
        UnsuitableInputError: the mask lies on another grid, is empty or is an image; the volume is
            empty or constant; without a mask, the volume is not skull-stripped and nothing may be
            extracted, or no brain is found in it.
    """
    _check_not_constant(volume)
    if given is not None:
        return Brain(_given_mask(volume, given), GIVEN)
    foreground = _foreground(volume.data)
    if _is_stripped(volume, foreground):
        return Brain(fill_slices(foreground, volume.superior_axis), STRIPPED)
    if extract is None:
        raise UnsuitableInputError(
            f"{volume.provenance.get('file', 'the volume')}: is not skull-stripped (expected zeros"
            " outside the brain); strip it first (e.g. with HD-BET or SynthStrip), or give the"
            " brain's mask with --brain-mask",
            code="brain.not_stripped",
        )
    found = extract(volume)
    if (
        foreground.mean() <= MAX_FOREGROUND_SHARE
        and (foreground & found.mask).sum() > MIN_BRAIN_SHARE * foreground.sum()
    ):
        return Brain(fill_slices(foreground, volume.superior_axis), STRIPPED, found)
    return Brain(found.mask, EXTRACTED, found)


def fill_slices(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Fill the holes of each slice across ``axis``: dark fluid that was rounded to the background's
    value is brain.
    """
    moved = np.moveaxis(mask, axis, 0)
    filled = np.stack([ndimage.binary_fill_holes(layer) for layer in moved])
    return np.ascontiguousarray(np.moveaxis(filled, 0, axis))


def _check_not_constant(volume: Volume) -> None:
    finite = volume.data[np.isfinite(volume.data)]
    if finite.size == 0 or finite.min() == finite.max():
        value = "no finite voxel" if finite.size == 0 else f"the value {finite[0]:g} everywhere"
        raise UnsuitableInputError(
            f"{volume.provenance.get('file', 'the volume')}: is empty, it holds {value}; expected"
            " an image of a head; check the export",
            code="image.empty",
        )


def _given_mask(volume: Volume, given: Volume) -> NDArray[np.bool_]:
    name = given.provenance.get("file", "the brain mask")
    if not given.same_grid(volume):
        raise UnsuitableInputError(
            f"{name}: lies on another grid (shape {given.shape}) than the image (shape"
            f" {volume.shape}); expected a mask on the image's own grid and affine; resample it to"
            " the image",
            code="brain_mask.other_grid",
        )
    if _is_image(given.data):
        raise UnsuitableInputError(
            f"{name}: holds an image (values from {np.nanmin(given.data):g} to"
            f" {np.nanmax(given.data):g}); expected a mask, 1 in the brain and 0 elsewhere; give"
            " the brain's mask",
            code="brain_mask.image",
        )
    mask = np.asarray(given.data > 0.5)
    if not mask.any():
        raise UnsuitableInputError(
            f"{name}: the brain mask is empty; expected values of 1 inside the brain; check the"
            " mask",
            code="brain_mask.empty",
        )
    return mask


def _is_image(data: NDArray[np.float32]) -> bool:
    """Whether it holds more than a mask, a probability or the classes of a parcellation."""
    finite = data[np.isfinite(data)]
    # A mask that was resampled with splines reaches a little below 0 and above 1.
    if finite.size == 0 or (finite.min() > -0.5 and finite.max() < 1.5):
        return False
    is_whole = bool((finite == np.round(finite)).all())
    return bool(finite.min() < 0) or not is_whole or len(np.unique(finite)) > _MOST_CLASSES


def _foreground(data: NDArray[np.float32]) -> NDArray[np.bool_]:
    corners = data[np.ix_(*[(0, -1)] * 3)]
    background = (
        corners.flat[0]
        if np.isfinite(corners).all() and (corners == corners.flat[0]).all()
        else 0.0
    )
    return np.asarray(np.isfinite(data) & (data != background))


def _is_stripped(volume: Volume, foreground: NDArray[np.bool_]) -> bool:
    """Whether tissue, rather than scalp and skull, lies right below the surface of what is not
    background.
    """
    if not 0 < foreground.mean() <= MAX_FOREGROUND_SHARE:
        return False
    axis = volume.superior_axis
    steps = [
        max(1, round(_WORKING_SPACING_MM / s)) if a != axis else 1
        for a, s in enumerate(volume.spacing)
    ]
    coarse = tuple(slice(None, None, step) for step in steps)
    mask = np.moveaxis(foreground[coarse], axis, 0)
    values = np.moveaxis(volume.data[coarse], axis, 0)
    if not mask.any():
        return False
    bright = values[mask & (values > 0.2 * np.percentile(values[mask], 95))]
    tissue = mask & (values > _TISSUE_SHARE_OF_MEDIAN * np.median(bright)) if bright.size else mask
    inner = ndimage.binary_erosion(mask, structure=_SQUARE[None], iterations=3)
    shell = mask & ~inner
    if tissue[shell].mean() < MIN_SHELL_TISSUE:
        return False
    core = ndimage.binary_erosion(mask, structure=_SQUARE[None], iterations=10)
    middle = float(np.median(values[core if core.any() else mask]))
    bright_shell = float(np.percentile(values[shell], 95)) > MAX_SHELL_BRIGHTNESS * middle
    return not (bright_shell and foreground.sum() * volume.voxel_ml > MAX_BRAIN_ML)
