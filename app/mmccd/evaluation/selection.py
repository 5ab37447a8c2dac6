"""What is chosen on validation data: thresholds, and whether bright or dark is anomalous. Test
cases are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mmccd.bundle import threshold_for_rate
from mmccd.core import UnsuitableInputError
from mmccd.evaluation.metrics import auprc, best_dice
from mmccd.evaluation.variants import Scored


def refuse_test(scored: Sequence[Scored]) -> None:
    """Raise UnsuitableInputError where there is nothing to choose on, or a test case among it."""
    if not scored:
        raise UnsuitableInputError(
            "no validation case with a usable slice; expected some, to choose thresholds on; check"
            " the split file"
        )
    for one in scored:
        if one.subject.split != "val":
            raise UnsuitableInputError(
                f"case {one.subject.name}: is of the split {one.subject.split!r}; thresholds are"
                " chosen on validation cases only"
            )


def best_dice_threshold(scored: Sequence[Scored]) -> float:
    """The threshold with the best pooled Dice.

    Raises:
        UnsuitableInputError: a case that is not of the validation split; no lesion.
    """
    refuse_test(scored)
    truth, values = pool(scored)
    if not truth.any():
        raise UnsuitableInputError(
            "the validation cases have no lesion in these slices; expected labelled lesions to"
            " choose a threshold on"
        )
    return best_dice(truth, values)[1]


def healthy_threshold(scored: Sequence[Scored], rate: float) -> float:
    """The smallest threshold that at most the share ``rate`` of the voxels of lesion-free slices
    exceeds.

    Raises:
        UnsuitableInputError: a case that is not of the validation split; too few healthy voxels.
    """
    refuse_test(scored)
    healthy = [
        one.score[one.subject.healthy][one.subject.brain[one.subject.healthy]] for one in scored
    ]
    return threshold_for_rate(np.concatenate(healthy), rate)


def choose_polarity(polarities: Sequence[int], scored_as: Callable[[int], Sequence[Scored]]) -> int:
    """The sign with the better pooled AUPRC.

    Args:
        polarities: candidates; a single one is taken as it is.
        scored_as: validation cases scored with a sign.

    Raises:
        UnsuitableInputError: a case that is not of the validation split.
    """
    if len(polarities) == 1:
        return polarities[0]

    def quality(polarity: int) -> float:
        scored = scored_as(polarity)
        refuse_test(scored)
        return auprc(*pool(scored))

    return max(polarities, key=quality)


def pool(scored: Sequence[Scored]) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores of all voxels of all cases, 1-D."""
    return np.concatenate([one.truth for one in scored]), np.concatenate(
        [one.values for one in scored]
    )
