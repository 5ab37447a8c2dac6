"""Threshold and side of each method: its own, or chosen on the validation set that was named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmccd.core import BALANCED, RATES, UsageError
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.selection import choose_polarity, healthy_threshold
from mmccd.evaluation.variants import Scored, Variant

OWN, HEALTHY, NONE = "own", "healthy", "none"
ScoredAs = Callable[[int], Sequence[Scored]]
"""Polarity to the validation cases scored with it."""


@dataclass(frozen=True)
class Choice:
    """How a method is read.

    Attributes:
        polarity: 1 where bright is anomalous, -1 where dark is.
        threshold: in units of its map; None where it has none.
        origin: ``own``: calibrated, or a constant of the method; ``healthy``: the healthy voxels of
            the validation set; ``none``.
        point: the operating point that it is for; None where the method has one threshold.
    """

    polarity: int
    threshold: float | None
    origin: str
    point: str | None = None


def needs_validation(candidate: Candidate, variant: Variant) -> bool:
    """Whether a method can choose something on a validation set."""
    return candidate.threshold is None or len(_polarities(candidate, variant)) > 1


def choosing(candidates: Sequence[Candidate], variant: Variant) -> list[Candidate]:
    """The methods that do."""
    return [one for one in candidates if needs_validation(one, variant)]


def choose(
    candidate: Candidate, variant: Variant, scored_as: ScoredAs | None, rate: float
) -> Choice:
    """The method's own threshold, else the one that the share ``rate`` of healthy validation voxels
    exceeds, else none.

    Args:
        candidate: the method.
        variant: the preset's post-processing.
        scored_as: gives validation cases; None where no validation set was named.
        rate: share of healthy voxels.

    Raises:
        UsageError: the side has to be chosen, and no validation set was named.
        UnsuitableInputError: a validation set without healthy voxels.
    """
    polarities = _polarities(candidate, variant)
    own = candidate.threshold
    if scored_as is None:
        if len(polarities) > 1:
            raise UsageError(
                f"--validation is missing: whether bright or dark is anomalous for {candidate.name}"
                " is chosen on labelled validation cases; name a data set"
            )
        return Choice(polarities[0], own, NONE if own is None else OWN)
    polarity = choose_polarity(polarities, scored_as)
    if own is not None:
        return Choice(polarity, own, OWN)
    return Choice(polarity, healthy_threshold(scored_as(polarity), rate), HEALTHY)


def choose_points(
    candidate: Candidate,
    variant: Variant,
    scored_as: ScoredAs | None,
    rate: float,
    points: Sequence[str] = (BALANCED,),
) -> list[Choice]:
    """The method at several operating points: its calibrated thresholds, else those that the
    points' shares of healthy validation voxels exceed.

    Args:
        candidate, variant, scored_as, rate: see :func:`choose`, which alone decides where
            ``points`` is the balanced one.
        points: names of operating points.

    Returns:
        One choice a point; one in all where the method has a fixed threshold, or none.
    """
    first = choose(candidate, variant, scored_as, rate)
    if tuple(points) == (BALANCED,):
        return [first]
    if first.origin == HEALTHY and scored_as is not None:
        scored = scored_as(first.polarity)
        found = {point: healthy_threshold(scored, RATES[point]) for point in points}
    else:
        own = candidate.points if first.origin == OWN else {}
        found = {point: own[point] for point in points if point in own}
    return [
        Choice(first.polarity, threshold, first.origin, point) for point, threshold in found.items()
    ] or [first]


def _polarities(candidate: Candidate, variant: Variant) -> tuple[int, ...]:
    return candidate.polarities(variant.of(candidate.method).postprocessing.units)
