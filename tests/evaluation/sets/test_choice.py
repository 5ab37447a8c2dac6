"""mmccd.evaluation.sets.choice: nothing is chosen that was not asked for, and nothing on what is
reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.sets.conftest import PRESET, make_candidate

from mmccd.core.errors import UnsuitableInputError, UsageError
from mmccd.evaluation.sets.choice import Choice, choose, choose_points, needs_validation
from mmccd.evaluation.variants import Scored

Make = Callable[..., Scored]


@pytest.fixture
def validation(make_scored: Make) -> Callable[[int], list[Scored]]:
    """A dark lesion in the first slice; the second has 100 healthy voxels from 0 to 99."""
    lesion = np.zeros((2, 10, 10), dtype=bool)
    lesion[0, :2] = True
    score = np.arange(200.0).reshape(2, 10, 10) % 100
    score[0, :2] = -5
    return lambda polarity: [make_scored(polarity * score, lesion)]


def test_own_threshold(validation: Callable[[int], list[Scored]]) -> None:
    """It stays, with and without a validation set, which is not looked at."""
    rule = make_candidate("rule")
    assert not needs_validation(rule, PRESET)
    assert choose(rule, PRESET, None, 0.02) == Choice(1, 1.2, "own")
    assert choose(rule, PRESET, validation, 0.02) == Choice(1, 1.2, "own")


def test_none_without_a_validation_set() -> None:
    intensity = make_candidate("intensity")
    assert needs_validation(intensity, PRESET)
    assert choose(intensity, PRESET, None, 0.02) == Choice(1, None, "none")


def test_healthy_voxels(validation: Callable[[int], list[Scored]]) -> None:
    """Five of 100 are above."""
    found = choose(make_candidate("intensity"), PRESET, validation, 0.05)
    assert (found.polarity, found.origin) == (1, "healthy")
    assert found.threshold == pytest.approx(94.0)


def test_the_side_on_other_contrasts(validation: Callable[[int], list[Scored]]) -> None:
    """Where dark is anomalous the threshold is one of the turned map."""
    intensity = make_candidate("intensity", "t1")
    found = choose(intensity, PRESET, validation, 0.05)
    assert (found.polarity, found.threshold) == (-1, pytest.approx(-5.0))
    with pytest.raises(UsageError, match="--validation is missing"):
        choose(intensity, PRESET, None, 0.05)


def test_reported_cases_are_refused(make_scored: Make) -> None:
    lesion = np.zeros((2, 10, 10), dtype=bool)
    test = [make_scored(np.ones((2, 10, 10)), lesion, "test")]
    with pytest.raises(UnsuitableInputError, match="validation cases only"):
        choose(make_candidate("intensity"), PRESET, lambda polarity: test, 0.05)


class TestOperatingPoints:
    def test_balanced_alone_is_the_methods_own_choice(self) -> None:
        rule = make_candidate("rule")
        assert choose_points(rule, PRESET, None, 0.02) == [choose(rule, PRESET, None, 0.02)]

    def test_one_threshold_stays_one(self) -> None:
        """A fixed one, and none at all."""
        points = ("specific", "sensitive")
        for name, threshold in (("rule", 1.2), ("intensity", None)):
            (found,) = choose_points(make_candidate(name), PRESET, None, 0.02, points)
            assert (found.threshold, found.point) == (threshold, None)

    def test_calibrated_ones(self) -> None:
        """Those that there are, in the order in which they were asked for."""
        known = {"specific": 3.0, "balanced": 2.0, "sensitive": 1.0}
        candidate = make_candidate("mmccd")
        context = replace(
            candidate.context, threshold=lambda *_: 2.0, points=lambda *_: dict(known)
        )
        found = choose_points(
            replace(candidate, context=context), PRESET, None, 0.02, ("sensitive", "specific")
        )
        assert [(one.point, one.threshold) for one in found] == [
            ("sensitive", 1.0),
            ("specific", 3.0),
        ]
        assert {one.origin for one in found} == {"own"}

    def test_shares_of_healthy_validation_voxels(
        self, validation: Callable[[int], list[Scored]]
    ) -> None:
        found = choose_points(make_candidate("intensity"), PRESET, validation, 0.5, ("sensitive",))
        assert [(one.point, one.threshold) for one in found] == [("sensitive", pytest.approx(98.0))]
