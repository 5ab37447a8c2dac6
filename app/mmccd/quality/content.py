"""Whether a volume holds an image at all, and all of it: slices without anything in them, masks and
label maps, and a coarse copy of what is large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Finding, Volume

MOST_LIKE_ITS_NEIGHBOUR = 0.75
"""Share of a brain's voxels whose neighbour has their very value, from which on an image of few
values is a label map: at most .3 in images of 43 to 365 values, .69 in the same cut to 20; about .9
in label maps.
"""
MOST_OF_ONE_VALUE = 0.5
"""Share of a brain's voxels that have one value: a mask, also where its rim was smoothed."""
FEWEST_VALUES, MOST_LABELS = 12, 200
"""An image has more different values in a brain than the first; a parcellation fewer than the
second.
"""
LARGE = 1 << 25
"""Voxels from which on a volume is looked at coarsely first: what would be refused is refused then,
before memory is taken for the whole.
"""
_NEARLY = 0.99
_COARSE_MM = 1.25
_LEAST_CONTENT = 0.25
_MOST_SAMPLES = 1 << 20


def check_slices(volume: Volume) -> list[Finding]:
    """Slices of one value, or of NaN, between slices that hold a head: they were lost."""
    lost, total = max(
        (_empty_inside(_content(volume.data, axis)), volume.shape[axis]) for axis in range(3)
    )
    if not lost:
        return []
    text = (
        f"{lost} of {total} slices {'holds' if lost == 1 else 'hold'} nothing between others that"
        " do; expected all slices of the head; convert or export the series again"
    )
    return [Finding("slices.empty", text, "refusal")]


def check_values(volume: Volume, brain: NDArray[np.bool_]) -> list[Finding]:
    """A mask, a probability of one or a label map in the place of an image, told by the values
    within the brain.

    Args:
        volume: any image.
        brain: its brain, on the same grid; not empty.
    """
    values = volume.data[brain]
    values = values[np.isfinite(values)]
    sampled = values[:: max(1, values.size // _MOST_SAMPLES)]
    found, counts = np.unique(sampled, return_counts=True)
    if found.size <= 1:
        return [_labels("one value within the brain")]
    # The inside of a mask that was resampled differs from 1 by rounding.
    at_most = np.count_nonzero(sampled > found[0] + _NEARLY * (found[-1] - found[0]))
    alike = max(int(counts.max()), at_most) / sampled.size
    if alike > MOST_OF_ONE_VALUE:
        return [_labels(f"one value in {alike:.0%} of the brain")]
    if found.size <= FEWEST_VALUES:
        return [_labels(f"{found.size} different values within the brain")]
    is_few = found.size <= MOST_LABELS
    if is_few and _like_neighbours(volume.data, brain) > MOST_LIKE_ITS_NEIGHBOUR:
        return [_labels(f"{found.size} different values in areas within the brain")]
    return []


def coarse_copy(volume: Volume) -> Volume:
    """Every so many voxels of a volume, about as far apart as those of usual scans; its values are
    the volume's own.
    """
    steps = [max(1, int(_COARSE_MM / mm)) for mm in volume.spacing]
    data = np.array(volume.data[tuple(slice(None, None, step) for step in steps)])
    return Volume(data, volume.affine @ np.diag([*steps, 1.0]), volume.modality, volume.provenance)


def _labels(what: str) -> Finding:
    text = (
        f"it is a mask or a label map ({what}); expected an image with the grey values of FLAIR;"
        " give the image itself"
    )
    return Finding("image.labels", text, "refusal")


def _content(data: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Share of each slice's voxels that differ from its lowest value; 0 in slices of one value or
    of NaN.
    """
    shares = []
    for layer in np.moveaxis(data, axis, 0):
        lowest = np.fmin.reduce(layer, axis=None)
        shares.append(float((layer > lowest).mean()) if np.isfinite(lowest) else 0.0)
    return np.array(shares)


def _empty_inside(content: NDArray[np.float64]) -> int:
    """How many slices are empty between two that are well filled."""
    filled = np.flatnonzero(content >= _LEAST_CONTENT * content.max())
    return sum(
        int(after - before - 1)
        for before, after in zip(filled, filled[1:], strict=False)
        if not content[before + 1 : after].any()
    )


def _like_neighbours(data: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """Share of neighbouring voxels within the brain that have one value."""
    same = pairs = 0
    for layer, inside in zip(np.moveaxis(data, 2, 0), np.moveaxis(brain, 2, 0), strict=True):
        both = inside[1:] & inside[:-1]
        pairs += int(both.sum())
        same += int((both & (layer[1:] == layer[:-1])).sum())
    return same / pairs if pairs else 0.0
