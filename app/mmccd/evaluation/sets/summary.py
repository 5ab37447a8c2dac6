"""From the figures of cases to those of a data set, with intervals over patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mmccd.evaluation.bootstrap import (
    Floats,
    interval,
    mean_of_mixtures,
    patient_draws,
    ratio_of_mixtures,
)
from mmccd.evaluation.sets.figures import HEALTHY, ILL, CaseFigures


@dataclass(frozen=True)
class Estimate:
    """A figure of several cases.

    Attributes:
        value: NaN where no case has it.
        interval_95: over patients; empty where fewer than two have the figure.
    """

    value: float
    interval_95: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Summary:
    """A method on a data set, or on all.

    Attributes:
        data_set: its name; None for all of them.
        method: name of the method.
        ill: cases with a lesion.
        healthy: cases without.
        true_ml: mean labelled volume of the cases with a lesion, mL.
        auprc: mean over the cases with a lesion.
        dice: likewise.
        marked_ml: mean volume that is marked in them, mL.
        healthy_ml: mean volume that is marked in healthy cases, mL.
        lesion_recall: share of all lesions that are found.
        lesion_precision: share of the marks of all cases that are right.
    """

    data_set: str | None
    method: str
    ill: int
    healthy: int
    true_ml: float
    auprc: Estimate
    dice: Estimate
    marked_ml: Estimate
    healthy_ml: Estimate
    lesion_recall: Estimate
    lesion_precision: Estimate


@dataclass(frozen=True)
class Difference:
    """The Dice of one method minus that of another, case by case.

    Attributes:
        data_set: name of the data set; None for all of them.
        method: the first.
        other: the second.
        dice: mean difference over the cases with a lesion.
        cases: how many have both.
        ahead: in how many of them the first is better.
        behind: in how many the second is.
    """

    data_set: str | None
    method: str
    other: str
    dice: Estimate
    cases: int
    ahead: int
    behind: int


def summarise(data_set: str | None, cases: Sequence[CaseFigures], draws: int) -> Summary:
    """The figures of one method on some cases; those of a patient are drawn together.

    Args:
        data_set: name of the data set; None for all of them.
        cases: at least one, all of one method.
        draws: resamples of patients.
    """
    ill = [case for case in cases if case.kind == ILL]
    well = [case for case in cases if case.kind == HEALTHY]
    return Summary(
        data_set=data_set,
        method=cases[0].method,
        ill=len(ill),
        healthy=len(well),
        true_ml=float(np.mean([case.true_ml for case in ill])) if ill else math.nan,
        auprc=_mean(ill, [case.auprc for case in ill], draws),
        dice=_mean(ill, [case.dice for case in ill], draws),
        marked_ml=_mean(ill, [case.marked_ml for case in ill], draws),
        healthy_ml=_mean(well, [case.marked_ml for case in well], draws),
        lesion_recall=_share(
            cases, [(one.counts.found, one.counts.lesions) for one in cases if one.counts], draws
        ),
        lesion_precision=_share(
            cases, [(one.counts.right, one.counts.marks) for one in cases if one.counts], draws
        ),
    )


def compare(
    data_set: str | None, first: Sequence[CaseFigures], second: Sequence[CaseFigures], draws: int
) -> Difference:
    """Two methods on the same cases.

    Args:
        data_set: name of the data set; None for all of them.
        first: figures of a method.
        second: figures of another on the same cases, in the same order.
        draws: resamples of patients.
    """
    gaps = [one.dice - other.dice for one, other in zip(first, second, strict=True)]
    there = [gap for gap in gaps if math.isfinite(gap)]
    return Difference(
        data_set,
        first[0].method,
        second[0].method,
        _mean(first, gaps, draws),
        cases=len(there),
        ahead=sum(gap > 0 for gap in there),
        behind=sum(gap < 0 for gap in there),
    )


def _mean(cases: Sequence[CaseFigures], values: Sequence[float], draws: int) -> Estimate:
    """Over the cases that have the figure."""
    column = np.array(values, dtype=float)
    there = np.isfinite(column)
    if not there.any():
        return Estimate(math.nan)
    drawn = mean_of_mixtures(column, _weights(cases, draws))
    return Estimate(float(column[there].mean()), _limits(cases, there, drawn))


def _share(cases: Sequence[CaseFigures], parts: Sequence[tuple[int, int]], draws: int) -> Estimate:
    """Of the pooled counts; without a threshold no case has any."""
    counts = np.array(parts, dtype=float).reshape(-1, 2)
    part, whole = counts.sum(axis=0)
    if not whole:
        return Estimate(math.nan)
    drawn = ratio_of_mixtures(counts, _weights(cases, draws))
    return Estimate(float(part / whole), _limits(cases, counts[:, 1] > 0, drawn))


def _weights(cases: Sequence[CaseFigures], draws: int) -> Floats:
    return patient_draws([case.patient for case in cases], draws)


def _limits(cases: Sequence[CaseFigures], there: np.ndarray, drawn: Floats) -> list[float]:
    """Of one patient nothing can be drawn but the patient."""
    patients = {case.patient for case, has in zip(cases, there, strict=True) if has}
    return interval(drawn) if len(patients) > 1 else []
