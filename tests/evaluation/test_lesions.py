"""mmccd.evaluation.lesions: by hand, and against a slow flood fill that follows the rule word by
word.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from mmccd.evaluation.lesions import LesionCounts, match_lesions, total

Bools = NDArray[np.bool_]
Voxel = tuple[int, ...]
FINE = (1.0, 1.0, 1.0)
"""15 voxels are as large as a sphere of 3 mm (14.1 mm^3), 8 pixels as a disk of 3 mm (7.1 mm^2)."""


def flood(mask: Bools) -> list[set[Voxel]]:
    """Components, voxel by voxel; neighbours share a face, an edge or a corner."""
    left = {tuple(int(place) for place in voxel) for voxel in np.argwhere(mask)}
    found = []
    while left:
        todo, component = [left.pop()], set()
        while todo:
            voxel = todo.pop()
            component.add(voxel)
            for step in product((-1, 0, 1), repeat=3):
                near = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if near in left:
                    left.remove(near)
                    todo.append(near)
        found.append(component)
    return found


def slow_counts(truth: Bools, marked: Bools, spacing: tuple[float, float, float]) -> LesionCounts:
    """The rule in words: sizes in mm, shares as fractions, sets of voxels."""

    def is_large(component: set[Voxel]) -> bool:
        if len(truth) == 1:
            area = len(component) * spacing[1] * spacing[2]
            return 2 * math.sqrt(area / math.pi) >= 3
        volume = len(component) * spacing[0] * spacing[1] * spacing[2]
        return bool(2 * np.cbrt(3 * volume / (4 * math.pi)) >= 3)

    label = {tuple(int(place) for place in voxel) for voxel in np.argwhere(truth)}
    marks_everywhere = {tuple(int(place) for place in voxel) for voxel in np.argwhere(marked)}
    lesions = [one for one in flood(truth) if is_large(one)]
    found = 0
    for lesion in lesions:
        wanted = 1 if len(lesion) < 10 else math.ceil(len(lesion) / 10)
        found += len(lesion & marks_everywhere) >= wanted
    marks = [one for one in flood(marked) if is_large(one)]
    right = [one for one in marks if any(one & lesion for lesion in lesions)]
    false = [one for one in marks if not one & label]
    return LesionCounts(len(lesions), found, len(right) + len(false), len(right))


def box(shape: tuple[int, int, int], *corners: tuple[slice, slice, slice]) -> Bools:
    mask = np.zeros(shape, dtype=bool)
    for corner in corners:
        mask[corner] = True
    return mask


class TestByHand:
    shape = (5, 20, 40)
    lesion = (slice(0, 2), slice(0, 3), slice(0, 5))
    """30 voxels."""

    def test_a_tenth_is_enough(self) -> None:
        truth = box(self.shape, self.lesion)
        three = box(self.shape, (slice(0, 1), slice(0, 1), slice(0, 3)))
        two = box(self.shape, (slice(0, 1), slice(0, 1), slice(0, 2)))
        assert match_lesions(truth, three, FINE).counts == LesionCounts(1, 1, 0, 0), (
            "what is marked is too small to be a mark of its own"
        )
        assert match_lesions(truth, two, FINE).counts == LesionCounts(1, 0, 0, 0)

    def test_a_mark_that_touches_is_right(self) -> None:
        """One voxel in common makes it right, and leaves the lesion missed."""
        truth = box(self.shape, self.lesion)
        mark = box(self.shape, (slice(1, 4), slice(2, 5), slice(4, 8)))
        found = match_lesions(truth, mark, FINE)
        assert found.counts == LesionCounts(1, 0, 1, 1)
        assert (found.counts.recall, found.counts.precision) == (0.0, 1.0)

    def test_a_speck_is_no_lesion_and_no_mark_there_is_false(self) -> None:
        speck = box(self.shape, (slice(0, 1), slice(10, 12), slice(10, 17)))
        assert speck.sum() == 14
        mark = box(self.shape, (slice(0, 2), slice(9, 13), slice(9, 18)))
        assert match_lesions(speck, mark, FINE).counts == LesionCounts(0, 0, 0, 0)
        nowhere = np.zeros(self.shape, dtype=bool)
        assert match_lesions(nowhere, mark, FINE).counts == LesionCounts(0, 0, 1, 0)

    @pytest.mark.parametrize(("voxels", "lesions"), [(14, 0), (15, 1)])
    def test_smallest_lesion(self, voxels: int, lesions: int) -> None:
        truth = box((2, 3, 20), (slice(0, 1), slice(0, 1), slice(0, voxels)))
        assert match_lesions(truth, truth, FINE).counts.lesions == lesions

    @pytest.mark.parametrize(("pixels", "lesions"), [(7, 0), (8, 1)])
    def test_smallest_lesion_of_one_slice(self, pixels: int, lesions: int) -> None:
        """The area counts, however thick the slice."""
        truth = box((1, 3, 20), (slice(0, 1), slice(0, 1), slice(0, pixels)))
        assert match_lesions(truth, truth, (9.0, 1.0, 1.0)).counts.lesions == lesions

    def test_corners_connect(self) -> None:
        truth = box((2, 8, 8), (slice(0, 1), slice(0, 4), slice(0, 4)))
        truth[1, 4:8, 4:8] = True
        assert match_lesions(truth, truth, FINE).counts == LesionCounts(1, 1, 1, 1)

    def test_shares_that_do_not_exist(self) -> None:
        empty = np.zeros((2, 4, 4), dtype=bool)
        counts = match_lesions(empty, empty, FINE).counts
        assert counts == LesionCounts(0, 0, 0, 0)
        assert math.isnan(counts.recall)
        assert math.isnan(counts.precision)

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ValueError, match="shapes"):
            match_lesions(np.zeros((1, 2, 3)), np.zeros((1, 3, 2)), FINE)

    def test_total(self) -> None:
        parts = [LesionCounts(1, 1, 3, 2), LesionCounts(4, 0, 1, 0)]
        assert total(parts) == LesionCounts(5, 1, 4, 2)
        assert total([]) == LesionCounts(0, 0, 0, 0)


class TestLargest:
    shape = (4, 20, 20)

    def test_regions(self) -> None:
        """Of two missed lesions and two false marks the larger one each, and its fullest slice."""
        small, large = (
            (slice(0, 2), slice(0, 3), slice(0, 3)),
            (slice(1, 4), slice(9, 13), slice(3)),
        )
        truth = box(self.shape, small, large)
        truth[2, 13, 0] = True
        marks = box(self.shape, (slice(0, 2), slice(0, 4), slice(12, 20)))
        marks |= box(self.shape, (slice(2, 4), slice(15, 19), slice(15, 18)))
        found = match_lesions(truth, marks, FINE)
        missed, false = found.largest_missed(), found.largest_false()
        assert missed is not None
        assert false is not None
        assert (missed.voxels, missed.slice) == (37, 2)
        assert np.array_equal(missed.mask, truth & ~box(self.shape, small))
        assert (false.voxels, false.slice) == (64, 0)

    def test_nothing_missed(self) -> None:
        mask = box(self.shape, (slice(0, 2), slice(0, 3), slice(0, 3)))
        found = match_lesions(mask, mask, FINE)
        assert found.largest_missed() is None
        assert found.largest_false() is None


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    slices=st.sampled_from([1, 2, 5]),
    shares=st.tuples(st.floats(0.02, 0.5), st.floats(0.02, 0.5)),
    spacing=st.sampled_from([FINE, (3.0, 1.875, 1.875), (1.0, 1.875, 1.875), (0.7, 0.5, 0.9)]),
)
def test_against_a_flood_fill(
    seed: int, slices: int, shares: tuple[float, float], spacing: tuple[float, float, float]
) -> None:
    random = np.random.default_rng(seed)
    masks = []
    for share in shares:
        blocks = random.random((slices, 6, 6)) < share
        masks.append(blocks.repeat(2, axis=1).repeat(2, axis=2))
        masks[-1] ^= random.random(masks[-1].shape) < 0.05
    truth, marked = masks
    assert match_lesions(truth, marked, spacing).counts == slow_counts(truth, marked, spacing)
