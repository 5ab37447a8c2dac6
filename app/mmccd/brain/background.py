"""What of an image shows nothing: padding outside the field of view, what a mask has set to one
value, NaN; and which intensity counts as none.

Nothing here depends on the zero point or the scale of the intensities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import Volume

MIN_BORDER_SHARE = 0.05
"""Share of the image's outermost voxels that one value (or NaN) has where it is background."""
MIN_SOLID_SHARE = 0.9
"""Share of a background's voxels on the faces of the image whose neighbours have its value, too:
noise that was rounded to whole numbers does not lie in one piece.
"""
MOST_VALUES = 3
MOST_BELOW, NEARLY_ZERO = 0.15, 0.03
"""The value of a background counts as no intensity where the lowest one that is shown lies at most
this share of the range of intensities above it; so does 0 where there is no background.
"""
NOISE_SHARE, RINGING_SHARE = 0.005, 0.05
"""What interpolation makes of a background of one value: noise on the faces of the image, and
ringing next to what is shown; in shares of the largest difference from that value.
"""
FAR = 0.3
"""Padding lies this far from nine tenths of what is shown, in the same shares; air does not."""
_LOWEST, _HIGHEST = 0.001, 0.99
_EDGE_VOXELS = 2
_MOST_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Background:
    """Where an image shows nothing.

    Attributes:
        mask: bool, on the image's grid. NaN and Inf are in it where they lie on the faces of the
            image, wherever they are then; else they count as unknown, not as background.
        zero: the intensity of nothing (of air).
        undefined: whether NaN and Inf are background.
    """

    mask: NDArray[np.bool_]
    zero: float
    undefined: bool = False

    def shown(self, data: NDArray[np.float32]) -> NDArray[np.bool_]:
        """What is neither background nor unknown, bool on the grid of ``data``."""
        return np.isfinite(data) & ~self.mask

    def above(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Intensities above that of nothing; 0 in the background and where they are not finite."""
        return np.where(self.shown(data), np.maximum(data - self.zero, 0), 0).astype(np.float32)


def find_background(volume: Volume) -> Background:
    """The background of an image, whatever its value.

    Args:
        volume: a head or a brain, with at least one finite voxel.
    """
    data = volume.data
    finite = np.isfinite(data)
    undefined = bool(1 - _on_faces(finite).mean() >= MIN_BORDER_SHARE)
    mask = ~finite if undefined else np.zeros(data.shape, dtype=bool)
    values = list(islice(_solid_values(data), MOST_VALUES))
    for value in values:
        mask |= _with_ringing(data, finite, value)
    shown = finite & ~mask
    return Background(mask, _zero(data, shown if shown.any() else finite, values), undefined)


def zero_point(volume: Volume) -> float:
    """The intensity of nothing, for what multiplies intensities: 0 where 0 is the lowest one, as
    scanners and tools for stripping write it; else as :func:`find_background` has it.
    """
    finite = volume.data[np.isfinite(volume.data)]
    return 0.0 if finite.size and finite.min() == 0 else find_background(volume).zero


def _faces(data: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    for axis in range(3):
        for end in (0, -1):
            yield np.moveaxis(data, axis, 0)[end]  # a view: np.take copies the whole image first


def _on_faces(data: NDArray[np.generic]) -> NDArray[np.generic]:
    """The outermost voxels, as one row (those on an edge more than once)."""
    return np.concatenate([face.ravel() for face in _faces(data)])


def _solid_values(data: NDArray[np.float32]) -> Iterator[float]:
    """Values that many of the outermost voxels have, in one piece; most frequent first."""
    border = _on_faces(data)
    values, counts = np.unique(border[np.isfinite(border)], return_counts=True)
    for place in np.argsort(counts)[::-1]:
        if counts[place] < MIN_BORDER_SHARE * border.size:
            return
        if _solidity(data, values[place]) >= MIN_SOLID_SHARE:
            yield float(values[place])


def _solidity(data: NDArray[np.float32], value: np.float32) -> float:
    """How many neighbours of a value's voxels, in the faces, have it, too."""
    same = neighbours = 0
    for face in _faces(data):
        has = face == value
        for one, other in ((has[1:], has[:-1]), (has[:, 1:], has[:, :-1])):
            same += 2 * int((one & other).sum())
            neighbours += int(one.sum()) + int(other.sum())
    return same / neighbours if neighbours else 0.0


def _with_ringing(
    data: NDArray[np.float32], finite: NDArray[np.bool_], value: float
) -> NDArray[np.bool_]:
    """Voxels of a background's value; where it is padding that was interpolated, also those next to
    them that hardly differ from it.
    """
    exact = np.asarray(data == value)
    distance = np.abs(np.where(finite, data, value) - value)
    unit = float(np.quantile(_sample(distance[finite]), _HIGHEST))
    near = finite & (distance <= RINGING_SHARE * unit)
    others = _sample(distance[finite & ~near])
    # Ringing goes both ways; air, skull and fluid lie above a background of 0.
    ringing = min(int((near & (data < value)).sum()), int((near & (data > value)).sum()))
    if ringing < 0.05 * exact.sum() or not others.size or np.quantile(others, 0.1) < FAR * unit:
        return exact
    return _touching(near, exact)


def interpolated_background(volume: Volume, exact: Background) -> Background | None:
    """The background of a brain on one value that was interpolated or has noise of its own: what is
    connected with the faces of the image and hardly differs from their median. None where the faces
    hold more than such noise, or that value alone.

    Args:
        volume: as for :func:`find_background`.
        exact: what that function found; padding of another value is none of this.
    """
    data, finite = volume.data, np.isfinite(volume.data)
    border = _on_faces(data)
    border = border[np.isfinite(border)]
    if not border.size:
        return None
    middle = float(np.median(border))
    finite &= ~exact.mask | (data == middle)
    distance = np.abs(np.where(finite, data, middle) - middle)
    unit = float(np.quantile(_sample(distance[finite]), _HIGHEST))
    if np.median(np.abs(border - middle)) > NOISE_SHARE * unit:
        return None
    near = finite & (distance <= RINGING_SHARE * unit)
    if 2 * (distance[near] == 0).sum() > near.sum():
        return None
    on_faces = np.ones(data.shape, dtype=bool)
    on_faces[1:-1, 1:-1, 1:-1] = False
    mask = _touching(near, near & on_faces) | exact.mask
    shown = finite & ~mask
    return Background(mask, _zero(data, shown, [middle]), exact.undefined) if shown.any() else None


def _touching(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a mask that hold a seed."""
    labels, count = ndimage.label(mask)
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[labels[seeds]] = True
    wanted[0] = False
    return np.asarray(wanted[labels])


def _zero(data: NDArray[np.float32], shown: NDArray[np.bool_], backgrounds: list[float]) -> float:
    """The lowest intensity that is shown; instead of it the background's value or 0, where that is
    as good as equal.
    """
    inner = shown
    if not shown.all():
        # Where padding was interpolated, what lies next to it is darker than air.
        inner = ndimage.binary_erosion(shown, iterations=_EDGE_VOXELS, border_value=1)
    values = _sample(data[inner if inner.any() else shown])
    lowest, highest = (float(value) for value in np.quantile(values, (_LOWEST, _HIGHEST)))
    usual = [(value, MOST_BELOW) for value in backgrounds] or [(0.0, NEARLY_ZERO)]
    span = highest - lowest
    return next(
        (value for value, share in usual if -NEARLY_ZERO * span <= lowest - value <= share * span),
        lowest,
    )


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly chosen, a million at most."""
    return values[:: max(1, values.size // _MOST_SAMPLES)]
