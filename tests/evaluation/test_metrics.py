"""mmccd.evaluation.metrics: cases by hand, and the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.evaluation.metrics import (
    auprc,
    auroc,
    best_dice,
    dice,
    jaccard,
    precision,
    recall,
    surface_distance,
)

Array = NDArray[np.float64]

# Few different scores, so that ties are common.
samples = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.integers(-3, 3), min_size=n, max_size=n),
    )
)


def average_precision(truth: NDArray[np.bool_], score: Array) -> float:
    """Sum over thresholds of precision times the gain in recall; equal scores enter together."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        positive = score >= threshold
        hits = int((positive & truth).sum())
        total += hits / int(positive.sum()) * (hits / int(truth.sum()) - recall)
        recall = hits / int(truth.sum())
    return total


def rank_probability(truth: NDArray[np.bool_], score: Array) -> float:
    """The chance that an anomalous voxel scores above a healthy one; ties count half
    (Mann-Whitney).
    """
    difference = score[truth][:, None] - score[~truth][None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def test_by_hand() -> None:
    truth, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert auprc(truth, score) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert auroc(truth, score) == pytest.approx(3 / 4)
    value, threshold = best_dice(truth, score)
    assert value == pytest.approx(2 * 2 / (3 + 2))
    assert 0.1 < threshold < 0.7


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 1, 0, 0], [1, 0, 0, 0], 2 / 3),
        ([1, 1, 0, 0], [0, 0, 1, 1], 0.0),
        ([1, 0, 1, 0], [1, 0, 1, 0], 1.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0),
        ([0, 0, 0, 0], [0, 1, 0, 0], 0.0),
    ],
)
def test_dice_by_hand(first: list[int], second: list[int], expected: float) -> None:
    a, b = np.array(first).reshape(2, 2), np.array(second).reshape(2, 2)
    assert dice(a, b) == pytest.approx(expected)
    assert dice(b.astype(bool), a.astype(np.float32)) == pytest.approx(expected), (
        "symmetric, and any type"
    )


@pytest.mark.parametrize(
    ("score", "area"), [([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([5, 5, 5, 5], 0.5)]
)
def test_extremes_of_auroc(score: list[float], area: float) -> None:
    truth = np.array([[True, True], [False, False]])
    assert auroc(truth, np.array(score).reshape(2, 2)) == pytest.approx(area)


def test_auprc_of_a_constant_score_is_the_prevalence() -> None:
    assert auprc(np.array([1, 0, 0, 0, 0]), np.ones(5)) == pytest.approx(0.2)


@settings(deadline=None)
@given(samples)
def test_areas_equal_their_definitions(sample: tuple[list[bool], list[int]]) -> None:
    truth, score = np.array(sample[0]), np.array(sample[1], dtype=float)
    if truth.all() or not truth.any():
        assert math.isnan(auprc(truth, score))
        assert math.isnan(auroc(truth, score))
    else:
        assert auprc(truth, score) == pytest.approx(average_precision(truth, score))
        assert auroc(truth, score) == pytest.approx(rank_probability(truth, score))


@settings(deadline=None)
@given(samples)
def test_best_dice_is_the_best_of_all_thresholds(sample: tuple[list[bool], list[int]]) -> None:
    truth, score = np.array(sample[0]), np.array(sample[1], dtype=float)
    value, threshold = best_dice(truth, score)
    cuts = [score.min() - 1, *np.unique(score)]
    assert value == pytest.approx(max(dice(truth, score > cut) for cut in cuts))
    assert dice(truth, score > threshold) == pytest.approx(value), (
        "the threshold reaches what it promises"
    )


def test_best_dice_of_neighbouring_floats() -> None:
    score = np.array([1.0, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    value, threshold = best_dice(np.array([0, 1]), score)
    assert value == 1.0
    assert dice(np.array([0, 1]), score > threshold) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "shared", "right", "found"),
    [
        ([1, 1, 0, 0], [1, 0, 0, 0], 1 / 2, 1.0, 1 / 2),
        ([1, 1, 0, 0], [0, 1, 1, 1], 1 / 4, 1 / 3, 1 / 2),
        ([1, 1, 0, 0], [0, 0, 1, 1], 0.0, 0.0, 0.0),
        ([1, 1, 0, 0], [0, 0, 0, 0], 0.0, math.nan, 0.0),
        ([0, 0, 0, 0], [0, 1, 0, 0], 0.0, 0.0, math.nan),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0, math.nan, math.nan),
    ],
)
def test_overlaps_by_hand(
    first: list[int], second: list[int], shared: float, right: float, found: float
) -> None:
    truth, segmentation = np.array(first).reshape(2, 2), np.array(second).reshape(2, 2)
    assert jaccard(truth, segmentation) == pytest.approx(shared, nan_ok=True)
    assert precision(truth, segmentation) == pytest.approx(right, nan_ok=True)
    assert recall(truth, segmentation) == pytest.approx(found, nan_ok=True)


@settings(deadline=None)
@given(samples)
def test_dice_and_jaccard_say_the_same(sample: tuple[list[bool], list[int]]) -> None:
    truth, segmentation = np.array(sample[0]), np.array(sample[1]) > 0
    both = jaccard(truth, segmentation)
    assert dice(truth, segmentation) == pytest.approx(2 * both / (1 + both))


class TestSurfaceDistance:
    def test_squares_apart(self) -> None:
        """Two parallel lines of pixels, three rows apart at 2 mm: every point is 6 mm from the
        other.
        """
        first, second = np.zeros((10, 10)), np.zeros((10, 10))
        first[2, :], second[5, :] = 1, 1
        assert surface_distance(first, second, (2.0, 1.0)) == pytest.approx(6.0)
        assert surface_distance(second, first, (2.0, 1.0)) == pytest.approx(6.0)

    def test_equal_masks(self) -> None:
        mask = np.zeros((8, 8))
        mask[2:5, 3:7] = 1
        assert surface_distance(mask, mask, (1.0, 1.0)) == 0.0

    @pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.5, 1.0)])
    def test_against_distance_transforms(self, spacing: tuple[float, float, float]) -> None:
        """Mean over both surfaces of the distance to the other one, written out with SciPy."""
        random = np.random.default_rng(0)
        masks = [ndimage.gaussian_filter(random.random((12, 14, 16)), 2) > 0.5 for _ in range(2)]
        surfaces = [mask & ~ndimage.binary_erosion(mask, border_value=0) for mask in masks]
        distances = [
            ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in surfaces
        ]
        values = np.concatenate([distances[1][surfaces[0]], distances[0][surfaces[1]]])
        assert surface_distance(masks[0], masks[1], spacing) == pytest.approx(
            values.mean(), rel=1e-4
        )

    def test_nothing_to_measure_from(self) -> None:
        mask, empty = np.ones((3, 3)), np.zeros((3, 3))
        assert math.isnan(surface_distance(mask, empty, (1.0, 1.0)))
        assert math.isnan(surface_distance(empty, mask, (1.0, 1.0)))


@pytest.mark.parametrize(
    "figure",
    [
        auprc,
        auroc,
        best_dice,
        dice,
        jaccard,
        precision,
        recall,
        lambda a, b: surface_distance(a, b, (1.0, 1.0)),
    ],
)
def test_shapes_must_agree(figure: object) -> None:
    with pytest.raises(ValueError, match="shapes"):
        figure(np.zeros((2, 3)), np.zeros((3, 2)))  # type: ignore[operator]
