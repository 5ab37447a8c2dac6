"""mmccd.evaluation.protocols: each figure of a row by hand or from another library."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mmccd.core.errors import UnsuitableInputError, UsageError
from mmccd.evaluation.metrics import dice, surface_distance
from mmccd.evaluation.protocols import (
    Judgement,
    judge_paper,
    judge_slice,
    judge_strict,
    make_protocol,
)
from mmccd.evaluation.variants import LOWEST, Scored

Make = Callable[..., Scored]
Judge = Callable[..., Judgement]


@pytest.fixture
def cases(make_scored: Make) -> Callable[[str, int], list[Scored]]:
    """Three cases of one slice with a bright square in noise, brain smaller than the image."""

    def make(split: str, slices: int = 1) -> list[Scored]:
        random = np.random.default_rng({"val": 0, "test": 1}[split])
        found = []
        for number in range(3):
            lesion = np.zeros((slices, 32, 32), dtype=bool)
            lesion[0, 8 : 14 + number, 10:20] = True
            brain = np.zeros_like(lesion)
            brain[:, 4:28, 4:28] = True
            score = np.where(brain, random.random(lesion.shape) + 0.6 * lesion, LOWEST)
            found.append(make_scored(score, lesion, split, f"{split}{number}", brain))
        return found

    return make


@pytest.mark.parametrize("judge", [judge_slice, judge_paper, judge_strict])
def test_test_cases_never_choose(
    judge: Callable[..., object], cases: Callable[..., list[Scored]]
) -> None:
    test = cases("test", 2)
    with pytest.raises(UnsuitableInputError, match="validation cases only"):
        judge(test, test, 0.1)


def test_slice_against_scikit_learn(cases: Callable[..., list[Scored]]) -> None:
    validation, test = cases("val"), cases("test")
    row = judge_slice(validation, test, 0.02)
    truth, values = (
        np.concatenate([one.truth for one in test]),
        np.concatenate([one.values for one in test]),
    )
    assert len(truth) == 3 * 24 * 24, "within the brain"
    assert row.figures["auprc"] == pytest.approx(average_precision_score(truth, values))
    assert row.figures["auroc"] == pytest.approx(roc_auc_score(truth, values))
    assert row.figures["prevalence"] == pytest.approx(truth.mean())
    threshold = row.thresholds["validation"]
    val_truth, val_values = (
        np.concatenate([one.truth for one in validation]),
        np.concatenate([one.values for one in validation]),
    )
    assert dice(val_truth, val_values > threshold) == pytest.approx(
        max(dice(val_truth, val_values > value) for value in np.unique(val_values))
    )
    assert row.figures["dice_at_validation_threshold"] == pytest.approx(
        dice(truth, values > threshold)
    )
    each = [dice(one.truth, one.values > threshold) for one in test]
    assert row.figures["dice_at_validation_threshold_mean"] == pytest.approx(np.mean(each))
    assert row.figures["dice_at_validation_threshold_sd"] == pytest.approx(np.std(each))
    assert row.figures["best_possible_dice"] >= row.figures["dice_at_validation_threshold"]
    assert [case["case"] for case in row.cases] == ["test0", "test1", "test2"]
    assert row.samples.statistics(np.ones((1, 3)))["auprc"][0] == pytest.approx(
        row.figures["auprc"], abs=1e-6
    )
    assert row.samples.statistics(np.ones((1, 3)))["dice_at_validation_threshold"][
        0
    ] == pytest.approx(row.figures["dice_at_validation_threshold"])


class TestPaper:
    def test_best_of_100_is_chosen_on_the_reported_cases(
        self, cases: Callable[..., list[Scored]]
    ) -> None:
        """After scaling to [0, 1] over all of them, as the public code: the best mean Dice of 100
        levels.
        """
        test = cases("test")
        row = judge_paper(cases("val"), test, 0.02)
        inside = np.concatenate([one.values for one in test])
        low, high = inside.min(), inside.max()
        scaled = [np.clip((one.score - low) / (high - low), 0, 1) for one in test]
        means = [
            np.mean(
                [
                    dice(one.subject.lesion, part > level)
                    for one, part in zip(test, scaled, strict=True)
                ]
            )
            for level in np.linspace(0, 1, 100)
        ]
        assert row.figures["dice_at_best_of_100_threshold_mean"] == pytest.approx(
            max(means), abs=1e-6
        )
        assert (
            row.figures["dice_at_best_of_100_threshold_mean"]
            >= row.figures["dice_at_validation_threshold_mean"]
        )

    def test_area_counts_the_background(self, cases: Callable[..., list[Scored]]) -> None:
        test = cases("test")
        row = judge_paper(cases("val"), test, 0.02)
        truth = np.concatenate([one.subject.lesion.ravel() for one in test])
        assert row.figures["auroc_with_background"] == pytest.approx(
            roc_auc_score(truth, np.concatenate([one.score.ravel() for one in test]))
        )
        assert row.figures["auroc_with_background"] > row.figures["auroc"], (
            "what is never in question makes it look better"
        )

    def test_overlap_by_hand(self, make_scored: Make) -> None:
        """Truth 4 x 4, segmentation the same moved by a row: 12 in common of 20."""
        truth, moved = np.zeros((1, 12, 12)), np.zeros((1, 12, 12))
        truth[0, 2:6, 2:6], moved[0, 3:7, 2:6] = 1, 1
        validation = [make_scored(truth, truth)]
        row = judge_paper(validation, [make_scored(moved, truth, "test")], 0.02)
        for name in ("validation", "best_of_100"):
            found = {
                key: row.figures[f"{key}_at_{name}_threshold_mean"]
                for key in ("dice", "jaccard", "precision", "recall", "assd_mm")
            }
            assert found["dice"] == pytest.approx(0.75)
            assert found["jaccard"] == pytest.approx(12 / 20)
            assert found["precision"] == pytest.approx(12 / 16)
            assert found["recall"] == pytest.approx(12 / 16)
            assert found["assd_mm"] == pytest.approx(
                surface_distance(truth[0], moved[0], (2.0, 2.0))
            )


class TestStrict:
    def test_by_hand(self, make_scored: Make) -> None:
        """Two slices of 10 voxels; the second one is healthy, and two of its voxels are above the
        validation threshold of about .55.
        """
        lesion = np.zeros((2, 2, 5))
        lesion[0, 0, :2] = 1
        score = np.full((2, 2, 5), 0.1)
        score[0, 0, :2] = 0.9
        validation = score.copy()
        validation[1, 1, :4] = [0.12, 0.14, 0.16, 0.2]
        score[1, 0, :2] = 0.95
        row = judge_strict(
            [make_scored(validation, lesion)], [make_scored(score, lesion, "test")], 0.1
        )
        assert 0.2 < row.thresholds["validation"] < 0.9
        assert row.thresholds["healthy"] == pytest.approx(0.16), (
            "one healthy voxel of ten lies above"
        )
        assert row.figures["false_positive_rate_at_validation_threshold"] == pytest.approx(0.2)
        assert row.figures["dice_at_validation_threshold"] == pytest.approx(2 * 2 / (2 + 4))
        assert row.figures["dice_at_healthy_threshold"] == pytest.approx(2 * 2 / (2 + 4))
        assert row.figures["lesion_recall_at_validation_threshold"] == 1.0
        # The false voxels of the second slice touch the lesion: one mark, half of it right.
        assert row.figures["lesion_precision_at_validation_threshold"] == 1.0

    def test_lesions_are_pooled_over_cases(self, make_scored: Make) -> None:
        """Two lesions of which one is found; three marks, the one in a healthy case false. The
        healthy case counts for precision only.
        """
        lesion = np.zeros((2, 8, 12))
        lesion[0, 1:3, 1:3] = lesion[0, 1:3, 8:10] = 1
        first, second = np.full((2, 2, 8, 12), 0.1)
        first[0, 1:3, 1:3], first[1, 6, 1], second[1, 3, 3] = 0.9, 0.9, 0.9
        validation = [make_scored(np.where(lesion, 0.9, 0.1), lesion)]
        reported = [
            make_scored(first, lesion, "test", "ill"),
            make_scored(second, np.zeros_like(lesion), "test", "well"),
        ]
        row = judge_strict(validation, reported, 0.1, own=0.5)
        for name in ("validation", "own"):
            assert row.figures[f"lesion_recall_at_{name}_threshold"] == 0.5
            assert row.figures[f"lesion_precision_at_{name}_threshold"] == pytest.approx(1 / 3)
        ill, well = row.cases
        counts = {"lesions": 2, "lesions_found_at_own_threshold": 1, "marks_at_own_threshold": 2}
        assert {key: ill[key] for key in counts} == counts
        assert ill["marks_right_at_own_threshold"] == 1
        assert math.isnan(well["lesion_recall_at_own_threshold"])
        assert (well["lesions"], well["lesion_precision_at_own_threshold"]) == (0, 0.0)
        drawn = row.samples.statistics(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
        assert drawn["lesion_precision_at_own_threshold"].tolist() == pytest.approx([1 / 3, 0.5, 0])
        recall = drawn["lesion_recall_at_own_threshold"]
        assert recall[:2].tolist() == [0.5, 0.5]
        assert math.isnan(recall[2]), "no lesion in this resample"

    @pytest.mark.parametrize("judge", [judge_slice, judge_paper])
    def test_of_one_slice_areas_count(self, judge: Judge, make_scored: Make) -> None:
        """Of 4 mm^2 a pixel, two are a lesion (8 mm^2); one is a speck."""
        lesion = np.zeros((1, 8, 12))
        lesion[0, 1, 1:3] = lesion[0, 5, 5] = 1
        row = judge([make_scored(lesion, lesion)], [make_scored(lesion, lesion, "test")], 0.1)
        assert row.cases[0]["lesions"] == 1
        assert row.cases[0]["marks_at_validation_threshold"] == 1
        assert row.figures["lesion_recall_at_validation_threshold"] == 1.0

    def test_case_without_lesion_counts_as_missing_not_as_zero(self, make_scored: Make) -> None:
        lesion = np.zeros((2, 4, 4))
        ill = lesion.copy()
        ill[0, 0, 0] = 1
        score = np.linspace(0, 1, 32).reshape(2, 4, 4)
        row = judge_strict(
            [make_scored(score, ill)],
            [make_scored(score, ill, "test", "ill"), make_scored(score, lesion, "test", "well")],
            0.1,
        )
        assert math.isnan(row.cases[1]["auprc"])
        assert row.figures["auprc_mean"] == pytest.approx(row.cases[0]["auprc"])


class TestMake:
    def test_slices(self) -> None:
        assert make_protocol("paper", "70-89").rule.select([500] * 155) == list(range(70, 90))
        assert make_protocol("paper").rule.select([500] * 9) == [3, 4, 5]
        assert make_protocol("slice", "70-89").rule.kind == "central"
        assert make_protocol("strict").rule.select([500] * 9) == list(range(9))

    @pytest.mark.parametrize(
        ("name", "slices"),
        [
            ("quick", "central"),
            ("paper", "89-70"),
            ("paper", "seventy"),
            ("paper", "70"),
            ("paper", "-5-7"),
        ],
    )
    def test_refused(self, name: str, slices: str) -> None:
        with pytest.raises(UsageError):
            make_protocol(name, slices)
