"""mmccd.postprocessing.confidence: from a mean to a level."""

from __future__ import annotations

import pytest

from mmccd.postprocessing.confidence import ConfidenceLevels


@pytest.mark.parametrize(
    ("mean", "confidence"),
    [(2.5, "high"), (2.0, "moderate"), (1.5, "moderate"), (1.0, "low"), (-1.0, "low")],
)
def test_a_level_has_to_be_exceeded(mean: float, confidence: str) -> None:
    assert ConfidenceLevels(high=2.0, moderate=1.0).of(mean) == confidence


def test_equal_levels_leave_nothing_between() -> None:
    levels = ConfidenceLevels(1.0, 1.0)
    assert [levels.of(mean) for mean in (0.9, 1.0, 1.1)] == ["low", "low", "high"]


def test_levels_are_in_order() -> None:
    with pytest.raises(ValueError, match="at most high, 1.0, got 2.0"):
        ConfidenceLevels(1.0, 2.0)
