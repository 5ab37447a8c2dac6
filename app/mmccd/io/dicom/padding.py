"""Padding outside a field of view, where the DICOM header says which values it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


def pad_with_air(voxels: NDArray[np.float32], headers: Sequence[Dataset]) -> NDArray[np.float32]:
    """The voxels with padding set to the lowest value that is none: padding is air.

    Values between PixelPaddingValue and PixelPaddingRangeLimit are padding, where all files agree
    on them and on their rescaling, and the other voxels are all above them (or all below); a value
    that tissue could have says nothing.

    Args:
        voxels: rescaled, any shape.
        headers: of the files.
    """
    said = {_padding(header) for header in headers}
    limits = said.pop() if len(said) == 1 else None
    if limits is None:
        return voxels
    low, high = limits
    padded = (voxels >= low) & (voxels <= high)
    others = voxels[~padded]
    if not padded.any() or not others.size or not (others.min() > high or others.max() < low):
        return voxels
    return np.where(padded, others.min(), voxels)


def _padding(header: Dataset) -> tuple[float, float] | None:
    """Lowest and highest padding after rescaling; None where the header does not say."""
    first, last = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    if first is None or header.get("PhotometricInterpretation") != "MONOCHROME2":
        return None
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    scale, shift = (1.0 if slope is None else float(slope)), float(intercept or 0)
    try:
        ends = sorted(
            np.float32(scale * float(value) + shift)
            for value in (first, first if last is None else last)
        )
    except (TypeError, ValueError):
        return None
    return float(ends[0]), float(ends[1])
