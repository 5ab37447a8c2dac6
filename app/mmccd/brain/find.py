"""Find the brain: a given mask, a volume that is already skull-stripped, or extraction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.brain.background import Background, find_background, interpolated_background
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
    exact = find_background(volume)
    background = interpolated_background(volume, exact)
    if background is None or not _is_stripped(volume, background, MAX_BRAIN_ML):
        background = exact
        if not _is_stripped(volume, background):
            return _extracted(volume, background, extract)
    return Brain(_stripped_brain(volume, background), STRIPPED)


def _extracted(volume: Volume, background: Background, extract: Extractor | None) -> Brain:
    """Extraction, and what it says about whether there was anything to extract."""
    if extract is None:
        raise UnsuitableInputError(
            f"{volume.provenance.get('file', 'the volume')}: is not skull-stripped (expected one"
            " value outside the brain, such as 0); strip it first (e.g. with HD-BET or SynthStrip),"
            " or give the brain's mask with --brain-mask",
            code="brain.not_stripped",
        )
    found = extract(volume)
    foreground = background.shown(volume.data)
    if (
        foreground.mean() <= MAX_FOREGROUND_SHARE
        and (foreground & found.mask).sum() > MIN_BRAIN_SHARE * foreground.sum()
    ):
        return Brain(_stripped_brain(volume, background), STRIPPED, found)
    return Brain(found.mask, EXTRACTED, found)


def fill_slices(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Fill the holes of each slice across ``axis``: dark fluid that was rounded to the background's
    value is brain.
    """
    moved = np.moveaxis(mask, axis, 0)
    filled = np.stack([ndimage.binary_fill_holes(layer) for layer in moved])
    return np.ascontiguousarray(np.moveaxis(filled, 0, axis))


def _check_not_constant(volume: Volume) -> None:
    lowest, highest = np.inf, -np.inf
    for layer in volume.data:  # one at a time: a copy of the whole takes as much memory again
        finite = layer[np.isfinite(layer)]
        if finite.size:
            lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
    if lowest >= highest:
        value = "no finite voxel" if lowest > highest else f"the value {lowest:g} everywhere"
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


def _stripped_brain(volume: Volume, background: Background) -> NDArray[np.bool_]:
    """What is not background with its holes filled, but for those that are NaN where NaN is
    background: they hold nothing that could be judged.
    """
    filled = fill_slices(background.shown(volume.data), volume.superior_axis)
    return filled & np.isfinite(volume.data) if background.undefined else filled


def _is_stripped(volume: Volume, background: Background, most_ml: float = np.inf) -> bool:
    """Whether tissue, rather than scalp and skull, lies right below the surface of what is not
    background, which is not larger than ``most_ml``.
    """
    foreground = background.shown(volume.data)
    if foreground.sum() * volume.voxel_ml > most_ml:
        return False
    if not 0 < foreground.mean() <= MAX_FOREGROUND_SHARE:
        return False
    axis = volume.superior_axis
    steps = [
        max(1, round(_WORKING_SPACING_MM / s)) if a != axis else 1
        for a, s in enumerate(volume.spacing)
    ]
    coarse = tuple(slice(None, None, step) for step in steps)
    mask = np.moveaxis(foreground[coarse], axis, 0)
    values = np.moveaxis(background.above(volume.data)[coarse], axis, 0)
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
