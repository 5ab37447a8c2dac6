"""mmccd.evaluation.sets.figures: one case by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mmccd.evaluation.lesions import LesionCounts
from mmccd.evaluation.sets.figures import case_figures, kind_of, mark
from mmccd.evaluation.variants import Scored

Make = Callable[..., Scored]


@pytest.fixture
def ill(make_scored: Make) -> Scored:
    """Voxels of 16 mm^3: a lesion of eight, of which four are above .5, and three others."""
    lesion, score = np.zeros((2, 6, 8)), np.full((2, 6, 8), 0.1)
    lesion[0, 0:2, 0:4] = 1
    score[0, 0, 0:4], score[1, 4, 0:3] = 0.9, 0.8
    return make_scored(score, lesion, "test", "ill")


def test_with_a_lesion(ill: Scored) -> None:
    found = case_figures("ms", "rule", ill, mark(ill, 0.5))
    assert (found.data_set, found.case, found.patient, found.method) == ("ms", "ill", "ill", "rule")
    assert found.kind == "lesion"
    assert found.true_ml == pytest.approx(8 * 0.016)
    assert found.marked_ml == pytest.approx(7 * 0.016)
    assert found.right_ml == pytest.approx(4 * 0.016)
    assert found.dice == pytest.approx(2 * 4 / (8 + 7))
    assert found.auprc == pytest.approx(0.5 + 0.5 * 8 / 96), (
        "half at once, the rest with all others"
    )
    assert found.counts == LesionCounts(1, 1, 2, 1)


def test_without_a_threshold(ill: Scored) -> None:
    assert mark(ill, None) is None
    found = case_figures("ms", "intensity", ill, None)
    assert math.isfinite(found.auprc)
    assert math.isnan(found.dice)
    assert math.isnan(found.marked_ml)
    assert found.counts is None
    assert found.as_dict()["marks"] is None


def test_healthy(make_scored: Make) -> None:
    """What is marked is told, and no Dice, though nothing is right."""
    score = np.full((2, 6, 8), 0.1)
    score[0, 0, 0] = 0.9
    one = make_scored(score, np.zeros_like(score), "test")
    found = case_figures("young", "rule", one, mark(one, 0.5))
    assert (found.kind, found.true_ml) == ("healthy", 0.0)
    assert found.marked_ml == pytest.approx(0.016)
    assert math.isnan(found.dice)
    assert math.isnan(found.auprc)
    assert found.counts == LesionCounts(0, 0, 1, 0)


def test_a_label_that_is_lost_on_the_grid(make_scored: Make) -> None:
    """Neither ill nor healthy."""
    one = make_scored(np.zeros((2, 6, 8)), np.zeros((2, 6, 8)), "test")
    subject = replace(one.subject, healthy=np.array([True, False]))
    assert kind_of(subject) == "too small"
