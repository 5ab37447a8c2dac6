"""mmccd.evaluation.selection: thresholds come from validation cases, and a test case is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mmccd.core.errors import UnsuitableInputError
from mmccd.evaluation.selection import best_dice_threshold, choose_polarity, healthy_threshold
from mmccd.evaluation.variants import Scored

Make = Callable[..., Scored]
SCORE = np.array([[[0.1, 0.2, 0.3, 0.9]], [[0.1, 0.4, 0.5, 0.6]]])
LESION = np.array([[[0, 0, 0, 0]], [[0, 0, 1, 1]]])


def test_best_dice(make_scored: Make) -> None:
    """Of the candidates .45 (2/3 right ones, Dice .8) is the best, pooled over cases."""
    threshold = best_dice_threshold([make_scored(SCORE, LESION)])
    assert 0.4 < threshold < 0.5


def test_healthy_threshold_knows_lesion_free_slices_alone(make_scored: Make) -> None:
    assert healthy_threshold([make_scored(SCORE, LESION)], 0.25) == pytest.approx(0.3)
    assert healthy_threshold([make_scored(SCORE, LESION)], 0.5) == pytest.approx(0.2)


def test_too_few_healthy_voxels(make_scored: Make) -> None:
    with pytest.raises(UnsuitableInputError, match="too few"):
        healthy_threshold([make_scored(SCORE, LESION)], 0.01)


@pytest.mark.parametrize(
    "choose", [best_dice_threshold, lambda scored: healthy_threshold(scored, 0.25)]
)
def test_test_case_is_refused(make_scored: Make, choose: Callable[[list[Scored]], float]) -> None:
    """Also where only one of many is."""
    mixed = [make_scored(SCORE, LESION), make_scored(SCORE, LESION, split="test", name="stray")]
    choose(mixed[:1])
    with pytest.raises(UnsuitableInputError, match=r"stray.*'test'.*validation cases only"):
        choose(mixed)
    with pytest.raises(UnsuitableInputError, match="no validation case"):
        choose([])


def test_polarity_never_sees_a_test_case(make_scored: Make) -> None:
    with pytest.raises(UnsuitableInputError, match="validation cases only"):
        choose_polarity((1, -1), lambda sign: [make_scored(sign * SCORE, LESION, split="test")])


def test_better_side_wins(make_scored: Make) -> None:
    assert choose_polarity((1, -1), lambda sign: [make_scored(sign * SCORE, LESION)]) == 1
    assert choose_polarity((1, -1), lambda sign: [make_scored(-sign * SCORE, LESION)]) == -1


def test_single_side_is_not_examined() -> None:
    def never(sign: int) -> list[Scored]:
        raise AssertionError("nothing to choose")

    assert choose_polarity((1,), never) == 1


def test_no_lesion_to_choose_on(make_scored: Make) -> None:
    with pytest.raises(UnsuitableInputError, match="no lesion"):
        best_dice_threshold([make_scored(SCORE, 0 * LESION)])
