"""mmccd.evaluation.sets.worst: the largest ones, each of another case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mmccd.evaluation.sets.figures import mark
from mmccd.evaluation.sets.worst import Worst
from mmccd.evaluation.variants import Scored

Make = Callable[..., Scored]


def add(worst: Worst, make_scored: Make, name: str, missed: int, false: int) -> None:
    """A case with a missed lesion and a false mark of so many voxels (16 mm^3) in slices 0 and 1,
    and a smaller one of each.
    """
    lesion, score = np.zeros((2, 12, 12)), np.zeros((2, 12, 12))
    lesion[0, 0, :missed], lesion[0, 3, 0] = 1, 1
    score[1, 11, :false], score[1, 8, 0] = 1, 1
    found = mark(make_scored(score, lesion, "test", name), 0.5)
    assert found is not None
    worst.add("ms", found)


def test_five_largest(make_scored: Make) -> None:
    worst = Worst()
    for number, size in enumerate((3, 9, 5, 7, 4, 6, 8)):
        add(worst, make_scored, f"case{number}", size, 12 - size)
    assert [shot.case for shot in worst.misses] == ["case1", "case6", "case3", "case5", "case2"]
    assert [shot.case for shot in worst.false_marks] == [
        *("case0", "case4", "case2", "case5", "case3")
    ]
    assert worst.misses[0].ml == pytest.approx(9 * 0.016)


def test_what_is_shown(make_scored: Make) -> None:
    """The slice that has most of it, by its number in the volume."""
    worst = Worst()
    add(worst, make_scored, "one", 4, 5)
    (missed,), (false,) = worst.misses, worst.false_marks
    assert (missed.data_set, missed.slice, false.slice) == ("ms", 10, 11)
    assert np.flatnonzero(missed.region[0]).tolist() == [0, 1, 2, 3]
    assert missed.truth.sum() == 5
    assert not missed.marked.any()
    assert false.region.sum() == 5
    assert false.marked.sum() == 6
    assert false.image.shape == false.brain.shape == (12, 12)


def test_nothing_to_show(make_scored: Make) -> None:
    worst = Worst()
    add(worst, make_scored, "one", 0, 0)
    assert len(worst.misses) == len(worst.false_marks) == 1, "one voxel is large enough here"
    perfect = np.zeros((2, 12, 12))
    perfect[0, :3, :3] = 1
    found = mark(make_scored(perfect, perfect, "test"), 0.5)
    assert found is not None
    worst = Worst()
    worst.add("ms", found)
    assert worst.misses == worst.false_marks == []
