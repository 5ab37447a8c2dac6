"""mmccd.evaluation.bootstrap: figures of resamples against scikit-learn on the resampled voxels
themselves.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from mmccd.evaluation.bootstrap import Samples, differences, intervals, patient_draws, rank_counts
from mmccd.evaluation.metrics import best_dice, dice

Cases = tuple[list[NDArray[np.bool_]], list[NDArray[np.float64]]]


def make_cases(seed: int = 0, gain: float = 1.5, decimals: int | None = None) -> Cases:
    """Six cases of different sizes and prevalence, the last one without a lesion."""
    random = np.random.default_rng(seed)
    truths = [
        random.random(size) < share
        for size, share in ((300, 0.1), (500, 0.3), (200, 0.5), (400, 0.05), (250, 0.2), (300, 0.0))
    ]
    values = [truth * gain + random.normal(size=truth.size) for truth in truths]
    return truths, [value.round(decimals) if decimals is not None else value for value in values]


def resampled(
    cases: Cases, weights: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """All voxels of a mixture, written out."""
    rows = [index for index, times in enumerate(weights) for _ in range(int(times))]
    return np.concatenate([cases[0][row] for row in rows]), np.concatenate(
        [cases[1][row] for row in rows]
    )


@pytest.mark.parametrize(("bins", "tolerance"), [(10_000, 1e-9), (400, 2e-2)])
@pytest.mark.parametrize("decimals", [None, 1])
def test_areas_and_dice_of_each_resample(bins: int, tolerance: float, decimals: int | None) -> None:
    cases = make_cases(decimals=decimals)
    weights = patient_draws(list("abcdef"), 70, seed=1)
    counts = rank_counts(*cases, bins=bins)
    areas, dices = counts.auprc(weights), counts.best_dice(weights)
    for draw, area, value in zip(weights, areas, dices, strict=True):
        truth, score = resampled(cases, draw)
        assert area == pytest.approx(average_precision_score(truth, score), abs=tolerance)
        assert value == pytest.approx(best_dice(truth, score)[0], abs=tolerance)


def test_mixture_without_a_lesion() -> None:
    counts = rank_counts(*make_cases())
    weights = np.array([[0, 0, 0, 0, 0, 2.0]])
    assert np.isnan(counts.auprc(weights)).all()
    assert np.isnan(counts.best_dice(weights)).all()


def test_curve_is_scikit_learns() -> None:
    cases = make_cases(decimals=1)
    recall, precision = rank_counts(*cases).curve()
    expected_precision, expected_recall, _ = precision_recall_curve(
        np.concatenate(cases[0]), np.concatenate(cases[1])
    )
    assert np.allclose(recall, expected_recall[:-1][::-1])
    assert np.allclose(precision, expected_precision[:-1][::-1])


def test_draws_are_of_patients() -> None:
    """Two examinations of one patient are in a resample together; the number of patients stays."""
    draws = patient_draws(["a", "b", "a", "c"], 500, seed=0)
    assert (draws[:, 0] == draws[:, 2]).all()
    assert (draws[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert draws[:, 1].mean() == pytest.approx(1.0, abs=0.15)
    assert np.array_equal(draws, patient_draws(["a", "b", "a", "c"], 500, seed=0))
    assert not np.array_equal(draws, patient_draws(["a", "b", "a", "c"], 500, seed=1))


def make_samples(cases: Cases, threshold: float = 0.7) -> Samples:
    segmented = [value > threshold for value in cases[1]]
    overlaps = np.array(
        [[(a & b).sum(), a.sum(), b.sum()] for a, b in zip(cases[0], segmented, strict=True)],
        dtype=float,
    )
    means = np.array(
        [dice(a, b) if a.any() else math.nan for a, b in zip(cases[0], segmented, strict=True)]
    )
    return Samples(rank_counts(*cases), {"dice": overlaps}, {"dice_mean": means})


def test_statistics_of_one_resample() -> None:
    cases = make_cases()
    weights = np.array([[2.0, 0, 1, 0, 0, 3]])
    found = make_samples(cases).statistics(weights)
    truth, score = resampled(cases, weights[0])
    assert found["dice"][0] == pytest.approx(dice(truth, score > 0.7))
    each = [dice(cases[0][row], cases[1][row] > 0.7) for row in (0, 0, 2)]
    assert found["dice_mean"][0] == pytest.approx(np.mean(each)), (
        "a case without the figure does not count"
    )


def test_interval_by_hand() -> None:
    """Means over three patients of which one is resampled: percentiles of the 27 equally likely
    mixtures.
    """
    values = np.array([0.0, 0.3, 0.9])
    cases = make_cases()
    samples = Samples(
        rank_counts([part[:50] for part in cases[0][:3]], [part[:50] for part in cases[1][:3]]),
        {},
        {"figure": values},
    )
    low, high = intervals(samples.statistics(patient_draws(["a", "b", "c"], 4000)))["figure"]
    assert low == pytest.approx(0.0, abs=1e-9), (
        "one mixture in 27 (3.7 %) holds the first patient three times"
    )
    assert high == pytest.approx(0.9, abs=1e-9)


def test_difference_is_paired() -> None:
    """A method that gains the same on every patient is better in every resample, although both vary
    more than that.
    """
    cases = make_cases()
    other = make_samples(cases)
    better = Samples(other.ranks, other.overlaps, {"dice_mean": other.per_case["dice_mean"] + 0.01})
    weights = patient_draws(list("abcdef"), 300)
    gain = differences(better.statistics(weights), other.statistics(weights))["dice_mean"]
    assert gain["share_better"] == 1.0
    assert gain["interval"] == pytest.approx([0.01, 0.01])
    low, high = intervals(other.statistics(weights))["dice_mean"]
    assert high - low > 0.05
    lost = differences(other.statistics(weights), better.statistics(weights))["dice_mean"]
    assert lost["share_better"] == 0.0


def test_better_scores_have_a_positive_difference() -> None:
    truths, values = make_cases()
    good, bad = (
        make_samples((truths, [v + t for v, t in zip(values, truths, strict=True)])),
        make_samples((truths, values)),
    )
    weights = patient_draws(list("abcdef"), 200)
    gain = differences(good.statistics(weights), bad.statistics(weights))["auprc"]
    assert gain["interval"][0] > 0
    assert gain["share_better"] == 1.0
