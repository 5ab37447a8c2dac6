"""What was found, in the parts that segmentation and report name: all, or lesion by lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Result
from mmccd.postprocessing import label_as_listed

TRACKING_ID = "MMCCD anomaly"
WHOLE = "anomaly"


@dataclass(frozen=True)
class Segment:
    """A part of the segmentation.

    Attributes:
        number: from 1 on; of a lesion, its place in the report's list.
        label: for people.
        tracking_id: the same in segmentation and report.
        name: by which its tracking UID is made.
        inside: bool, its voxels, on the input's grid.
    """

    number: int
    label: str
    tracking_id: str
    name: str
    inside: NDArray[np.bool_]

    @property
    def is_whole(self) -> bool:
        """Whether it is all that was found."""
        return self.name == WHOLE


def whole(result: Result) -> Segment:
    """All that was found, as one segment."""
    return Segment(1, "Anomaly", TRACKING_ID, WHOLE, result.segmentation.data > 0)


def segments_of(result: Result, each_lesion: bool) -> list[Segment]:
    """The segments of a result.

    Args:
        result: a finished run.
        each_lesion: one for each lesion of the report's list, in its order, and a last one for
            what is not listed; where nothing was found, one for everything.
    """
    everything = whole(result)
    if not each_lesion or not everything.inside.any():
        return [everything]
    labels = label_as_listed(result.segmentation, result.report.lesions)
    count = len(result.report.lesions)
    found = [_lesion(number, labels == number) for number in range(1, count + 1)]
    rest = labels > count
    if rest.any():
        found.append(
            Segment(count + 1, "Further lesions", "MMCCD further lesions", "further", rest)
        )
    return found


def _lesion(number: int, inside: NDArray[np.bool_]) -> Segment:
    return Segment(number, f"Lesion {number}", f"MMCCD lesion {number}", f"lesion {number}", inside)
