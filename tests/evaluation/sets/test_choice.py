"""mmccd.evaluation.sets.choice: nothing is chosen that was not asked for, and nothing on what is
reported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.evaluation.sets.conftest import PRESET, make_candidate

from mmccd.core.errors import UnsuitableInputError, UsageError
from mmccd.evaluation.sets.choice import Choice, choose, needs_validation
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
