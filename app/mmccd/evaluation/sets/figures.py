"""The figures of one case under one method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mmccd.evaluation.lesions import LesionCounts, LesionMatch, match_lesions
from mmccd.evaluation.metrics import auprc, dice
from mmccd.evaluation.subjects import Bools, Subject
from mmccd.evaluation.variants import Scored

ILL, HEALTHY, TOO_SMALL = "lesion", "healthy", "too small"
"""Kinds of cases: with a lesion; without a labelled voxel, or without a label file; with a label
of which nothing is left on the model grid.
"""


@dataclass(frozen=True)
class CaseFigures:
    """What is told about a case under a method; NaN where a figure does not exist.

    Attributes:
        data_set: name of the data set.
        case: name of the case.
        patient: whom it is of.
        kind: ``lesion``, ``healthy`` or ``too small``.
        method: name of the method.
        true_ml: labelled volume in mL.
        auprc: average precision within the brain.
        dice: at the method's threshold, for a case with a lesion.
        marked_ml: volume above the threshold in mL.
        right_ml: the labelled part of it.
        counts: lesion by lesion; None without a threshold.
    """

    data_set: str
    case: str
    patient: str
    kind: str
    method: str
    true_ml: float
    auprc: float
    dice: float = math.nan
    marked_ml: float = math.nan
    right_ml: float = math.nan
    counts: LesionCounts | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values under the names of the columns of sets.csv."""
        counts = self.counts
        return {
            "set": self.data_set,
            "case": self.case,
            "patient": self.patient,
            "kind": self.kind,
            "method": self.method,
            "true_ml": self.true_ml,
            "auprc": self.auprc,
            "dice": self.dice,
            "marked_ml": self.marked_ml,
            "right_ml": self.right_ml,
            "lesions": counts.lesions if counts else None,
            "lesions_found": counts.found if counts else None,
            "marks": counts.marks if counts else None,
            "marks_right": counts.right if counts else None,
        }


@dataclass(frozen=True)
class Marked:
    """A case at a threshold.

    Attributes:
        subject: truth and names.
        segmentation: what is marked, ``(slices, size, size)``.
        match: lesion by lesion.
    """

    subject: Subject
    segmentation: Bools
    match: LesionMatch


def mark(scored: Scored, threshold: float | None) -> Marked | None:
    """A scored case at a threshold; None without one."""
    if threshold is None:
        return None
    subject, segmentation = scored.subject, scored.segment(threshold)
    match = match_lesions(subject.lesion, segmentation, subject.spacing)
    return Marked(subject, segmentation, match)


def case_figures(data_set: str, method: str, scored: Scored, marked: Marked | None) -> CaseFigures:
    """The figures of a case.

    Args:
        data_set: name of its data set.
        method: name of the method.
        scored: its scores.
        marked: the same at the method's threshold; None where it has none.
    """
    subject = scored.subject
    kind = kind_of(subject)
    common = (data_set, subject.name, subject.case.patient, kind, method)
    true_ml = float(subject.lesion.sum() * subject.voxel_ml)
    area = auprc(scored.truth, scored.values)
    if marked is None:
        return CaseFigures(*common, true_ml, area)
    return CaseFigures(
        *common,
        true_ml,
        area,
        dice=dice(subject.lesion, marked.segmentation) if kind == ILL else math.nan,
        marked_ml=float(marked.segmentation.sum() * subject.voxel_ml),
        right_ml=float((marked.segmentation & subject.lesion).sum() * subject.voxel_ml),
        counts=marked.match.counts,
    )


def kind_of(subject: Subject) -> str:
    """``lesion``, ``healthy`` or ``too small``."""
    if subject.lesion.any():
        return ILL
    return HEALTHY if subject.healthy.all() else TOO_SMALL
