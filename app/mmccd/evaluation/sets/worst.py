"""The worst false marks and the worst misses over many cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmccd.evaluation.lesions import Region
from mmccd.evaluation.sets.figures import Marked
from mmccd.evaluation.subjects import Bools

SHOWN = 5


@dataclass(frozen=True)
class WorstShot:
    """One slice with a false mark or a missed lesion, each array ``(size, size)``.

    Attributes:
        data_set: name of the data set.
        case: name of the case.
        ml: volume of the whole mark or lesion in mL.
        slice: index of the slice in the volume.
        image: the source for figures.
        brain: brain mask.
        truth: what is labelled.
        marked: what is marked.
        region: the false mark or the missed lesion.
    """

    data_set: str
    case: str
    ml: float
    slice: int
    image: NDArray[np.float32]
    brain: Bools
    truth: Bools
    marked: Bools
    region: Bools


class Worst:
    """The largest false marks and missed lesions of one method so far, one of each a case.

    Attributes:
        false_marks: largest first, at most five.
        misses: likewise.
    """

    def __init__(self) -> None:
        self.false_marks: list[WorstShot] = []
        self.misses: list[WorstShot] = []

    def add(self, data_set: str, marked: Marked) -> None:
        """Look at one more case."""
        false, missed = marked.match.largest_false(), marked.match.largest_missed()
        self.false_marks = _largest([*self.false_marks, *_shots(data_set, marked, false)])
        self.misses = _largest([*self.misses, *_shots(data_set, marked, missed)])


def _shots(data_set: str, marked: Marked, region: Region | None) -> list[WorstShot]:
    """The slice that has most of a region; none where there is no region."""
    if region is None:
        return []
    subject, row = marked.subject, region.slice
    layers = (
        subject.image,
        subject.brain,
        subject.lesion,
        marked.segmentation,
        region.mask,
    )
    return [
        WorstShot(
            data_set,
            subject.name,
            region.voxels * subject.voxel_ml,
            subject.slices[row],
            *(layer[row].copy() for layer in layers),
        )
    ]


def _largest(shots: Iterable[WorstShot]) -> list[WorstShot]:
    return sorted(shots, key=lambda shot: -shot.ml)[:SHOWN]
