"""mmccd.evaluation.sets.summary: means, shares and paired differences by hand."""

from __future__ import annotations

import math

import pytest
from tests.evaluation.sets.conftest import ill, well

from mmccd.evaluation.sets.summary import compare, summarise


def test_means_and_shares() -> None:
    cases = [ill("rule", "a", 0.5), ill("rule", "b", 0.25), well("rule", "d", 0.5)]
    found = summarise("ms", cases, 400)
    assert (found.data_set, found.method, found.ill, found.healthy) == ("ms", "rule", 2, 1)
    assert (found.true_ml, found.auprc.value, found.dice.value) == (2.0, 0.75, 0.375)
    assert (found.marked_ml.value, found.healthy_ml.value) == (3.0, 0.5)
    assert found.lesion_recall.value == 2 / 4
    assert found.lesion_precision.value == 2 / 9, "the mark of the healthy case counts"
    assert found.dice.interval_95 == [0.25, 0.5], "of two patients one is drawn twice quite often"
    low, high = found.lesion_precision.interval_95
    assert low < 2 / 9 < high


def test_examinations_of_a_patient_stay_together() -> None:
    """One patient alone has no interval."""
    cases = [ill("rule", "a1", 0.5, patient="a"), ill("rule", "a2", 0.25, patient="a")]
    found = summarise(None, cases, 400)
    assert found.data_set is None
    assert found.dice.value == 0.375
    assert found.dice.interval_95 == []
    both = summarise(None, [*cases, ill("rule", "b", 0.0)], 400)
    assert both.dice.interval_95 == [0.0, 0.375], "never one examination without the other"


def test_without_a_threshold() -> None:
    found = summarise("ms", [ill("intensity", name, math.nan) for name in "ab"], 100)
    assert found.auprc.value == 0.75
    for one in (found.dice, found.marked_ml, found.lesion_recall, found.lesion_precision):
        assert math.isnan(one.value)
        assert one.interval_95 == []


def test_healthy_cases_alone() -> None:
    found = summarise("young", [well("rule", "a", 0.5), well("rule", "b", 1.5)], 100)
    assert found.healthy_ml.value == 1.0
    assert math.isnan(found.true_ml)
    assert math.isnan(found.dice.value)
    assert math.isnan(found.lesion_recall.value)
    assert found.lesion_precision.value == 0.0


def test_paired_difference() -> None:
    """A tie is neither ahead nor behind; a case without a Dice does not count."""
    first = [ill("mmccd", name, dice) for name, dice in zip("abc", (0.5, 0.5, 0.25), strict=True)]
    second = [ill("rule", name, dice) for name, dice in zip("abc", (0.25, 0.5, 0.5), strict=True)]
    found = compare("ms", [*first, well("mmccd", "d", 1)], [*second, well("rule", "d", 2)], 400)
    assert (found.method, found.other, found.data_set) == ("mmccd", "rule", "ms")
    assert (found.cases, found.ahead, found.behind) == (3, 1, 1)
    assert found.dice.value == pytest.approx(0.0)
    low, high = found.dice.interval_95
    assert -0.25 <= low < 0 < high <= 0.25


def test_a_constant_gain_has_no_width() -> None:
    dices = {"a": 0.0, "b": 0.5, "c": 0.25}
    first = [ill("mmccd", name, dice + 0.125) for name, dice in dices.items()]
    second = [ill("rule", name, dice) for name, dice in dices.items()]
    found = compare(None, first, second, 100)
    assert found.dice.interval_95 == pytest.approx([0.125, 0.125])
    assert (found.ahead, found.behind) == (3, 0)


def test_no_case_has_both() -> None:
    cases = [well("mmccd", "d", 1)]
    found = compare(None, cases, cases, 100)
    assert found.cases == 0
    assert math.isnan(found.dice.value)
