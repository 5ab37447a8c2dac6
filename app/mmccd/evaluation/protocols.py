"""The three protocols: which slices, and which figures.

``slice``: one slice per patient, within the brain. ``paper``: one slice per patient, as Liang et
al. (2023) and their public code report. ``strict``: whole volumes, within the brain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import UsageError
from mmccd.data import SliceRule
from mmccd.evaluation.bootstrap import Floats, Samples, rank_counts
from mmccd.evaluation.lesions import LesionCounts, match_lesions, total
from mmccd.evaluation.metrics import (
    auprc,
    auroc,
    best_dice,
    dice,
    jaccard,
    precision,
    recall,
    surface_distance,
)
from mmccd.evaluation.selection import best_dice_threshold, healthy_threshold, pool
from mmccd.evaluation.variants import LOWEST, Scored

LEVELS = 100
CENTRAL = SliceRule("central")


@dataclass(frozen=True)
class Judgement:
    """What a protocol says about one method with one post-processing.

    Attributes:
        figures: by name; NaN where a figure does not exist.
        thresholds: by name, in units of the map.
        cases: one dictionary per case.
        samples: for the bootstrap.
    """

    figures: dict[str, float]
    thresholds: dict[str, float]
    cases: list[dict[str, Any]]
    samples: Samples


@dataclass(frozen=True)
class Protocol:
    """Which slices are scored, and how they are judged.

    Attributes:
        name: ``slice``, ``paper`` or ``strict``.
        rule: which slices of a volume may be used.
        largest_only: of those, only the one with the largest lesion.
        lesion_needed: whether a case without a lesion in them is left out.
        judge: (validation cases, reported cases, wanted false-positive rate, the method's own
            threshold) to a judgement.
    """

    name: str
    rule: SliceRule
    largest_only: bool
    lesion_needed: bool
    judge: Callable[[Sequence[Scored], Sequence[Scored], float, float | None], Judgement]


def make_protocol(name: str, slices: str = "central") -> Protocol:
    """A protocol by its name.

    Args:
        name: ``slice``, ``paper`` or ``strict``.
        slices: for ``paper``: ``central`` (the middle third of the slices with brain) or a range
            such as ``70-89``.

    Raises:
        UsageError: unknown name or range.
    """
    if name == "slice":
        return Protocol(name, CENTRAL, True, False, judge_slice)
    if name == "paper":
        return Protocol(name, _read_slices(slices), True, True, judge_paper)
    if name == "strict":
        return Protocol(name, SliceRule(), False, False, judge_strict)
    raise UsageError(f"--protocol {name}: unknown; expected some of slice, paper, strict")


def _read_slices(text: str) -> SliceRule:
    if text == "central":
        return CENTRAL
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise UsageError(
            f"--slices {text}: cannot be read; expected central, or a range such as 70-89"
        )
    return SliceRule("range", int(first), int(last))


def judge_slice(
    validation: Sequence[Scored],
    reported: Sequence[Scored],
    rate: float,
    own: float | None = None,
) -> Judgement:
    """Areas, Dice and lesions within the brain of one slice per patient; the threshold has the best
    pooled Dice on validation; and at the method's own where it has one.
    """
    thresholds = {"validation": best_dice_threshold(validation), **_own(own)}
    return _within_brain(reported, thresholds)


def judge_strict(
    validation: Sequence[Scored],
    reported: Sequence[Scored],
    rate: float,
    own: float | None = None,
) -> Judgement:
    """The same over whole volumes, also at a threshold from lesion-free validation slices alone,
    with false positives.
    """
    thresholds = {
        "validation": best_dice_threshold(validation),
        "healthy": healthy_threshold(validation, rate),
        **_own(own),
    }
    row = _within_brain(reported, thresholds)
    for name, threshold in thresholds.items():
        row.figures[f"false_positive_rate_at_{name}_threshold"] = _false_positive_rate(
            reported, threshold
        )
    return row


def judge_paper(
    validation: Sequence[Scored],
    reported: Sequence[Scored],
    rate: float,
    own: float | None = None,
) -> Judgement:
    """Means over patients of Dice, Jaccard, precision, recall and ASSD, and the AUROC that counts
    the background.

    ``best_of_100``: maps scaled to [0, 1] over all reported cases, and of 100 levels the one with
    the best mean Dice *on these very cases*, as the paper's public code chooses it: an upper bound,
    not a prediction. ``validation``: the threshold of the best pooled Dice on validation cases.
    """
    thresholds = {
        "best_of_100": _best_of_levels(reported),
        "validation": best_dice_threshold(validation),
        **_own(own),
    }
    row = _within_brain(reported, thresholds)
    row.figures["auroc_with_background"] = auroc(
        np.concatenate([one.subject.lesion.ravel() for one in reported]),
        np.concatenate([one.score.ravel() for one in reported]),
    )
    for name, threshold in thresholds.items():
        for case, one in zip(row.cases, reported, strict=True):
            case.update(_overlap_figures(one, threshold, name))
        for figure in ("jaccard", "precision", "recall", "assd_mm"):
            key = f"{figure}_at_{name}_threshold"
            row.figures.update(_mean_and_sd(f"{key}_mean", [case[key] for case in row.cases]))
            row.samples.per_case[f"{key}_mean"] = _column(row.cases, key)
    return row


def _own(threshold: float | None) -> dict[str, float]:
    """A threshold that comes with the method, where it has one."""
    return {} if threshold is None else {"own": threshold}


def _within_brain(reported: Sequence[Scored], thresholds: dict[str, float]) -> Judgement:
    truth, values = pool(reported)
    cases = [_case_figures(one, thresholds) for one in reported]
    figures = {
        "prevalence": float(truth.mean()),
        "auroc": auroc(truth, values),
        "auprc": auprc(truth, values),
        "best_possible_dice": best_dice(truth, values)[0],
        **_mean_and_sd("auprc_mean", [case["auprc"] for case in cases]),
        **_mean_and_sd("best_possible_dice_mean", [case["best_possible_dice"] for case in cases]),
    }
    overlaps, per_case = (
        {},
        {
            name: _column(cases, name.removesuffix("_mean"))
            for name in ("auprc_mean", "best_possible_dice_mean")
        },
    )
    ratios: dict[str, Floats] = {}
    for name, threshold in thresholds.items():
        key = f"dice_at_{name}_threshold"
        overlaps[key] = np.array([_overlap(one, threshold) for one in reported], dtype=float)
        both, lesion, segmented = overlaps[key].sum(axis=0)
        figures[key] = float(2 * both / (lesion + segmented)) if lesion + segmented else 1.0
        figures.update(_mean_and_sd(f"{key}_mean", [case[key] for case in cases]))
        per_case[f"{key}_mean"] = _column(cases, key)
        counts = _lesion_counts(reported, threshold)
        figures.update(_lesion_figures(total(counts), name))
        ratios.update(_lesion_ratios(counts, name))
        for case, one in zip(cases, counts, strict=True):
            case.update(_lesion_columns(one, name))
    ranks = rank_counts([one.truth for one in reported], [one.values for one in reported])
    return Judgement(figures, thresholds, cases, Samples(ranks, overlaps, per_case, ratios))


def _case_figures(one: Scored, thresholds: dict[str, float]) -> dict[str, Any]:
    subject = one.subject
    ill = bool(one.truth.any())
    return {
        "case": subject.name,
        "patient": subject.case.patient,
        "split": subject.split,
        "slices": len(subject.slices),
        "slice": subject.slices[subject.picture],
        "lesion_ml": float(subject.lesion.sum() * subject.voxel_ml),
        "auprc": auprc(one.truth, one.values),
        "best_possible_dice": best_dice(one.truth, one.values)[0] if ill else math.nan,
        **{
            f"dice_at_{name}_threshold": dice(subject.lesion, one.segment(threshold))
            for name, threshold in thresholds.items()
        },
    }


def _overlap(one: Scored, threshold: float) -> tuple[int, int, int]:
    segmentation, lesion = one.segment(threshold), one.subject.lesion
    return int((segmentation & lesion).sum()), int(lesion.sum()), int(segmentation.sum())


def _overlap_figures(one: Scored, threshold: float, name: str) -> dict[str, float]:
    segmentation, lesion = one.segment(threshold), one.subject.lesion
    return {
        f"jaccard_at_{name}_threshold": jaccard(lesion, segmentation),
        f"precision_at_{name}_threshold": precision(lesion, segmentation),
        f"recall_at_{name}_threshold": recall(lesion, segmentation),
        f"assd_mm_at_{name}_threshold": surface_distance(
            lesion[0], segmentation[0], one.subject.spacing[1:]
        ),
    }


def _best_of_levels(reported: Sequence[Scored]) -> float:
    """Of 100 levels between the smallest and the largest score, the one with the best mean Dice."""
    _, values = pool(reported)
    inside = values[values > LOWEST]
    levels = np.linspace(inside.min(), inside.max(), LEVELS)
    means = [
        np.mean([dice(one.subject.lesion, one.segment(float(level))) for one in reported])
        for level in levels
    ]
    return float(levels[int(np.argmax(means))])


def _false_positive_rate(reported: Sequence[Scored], threshold: float) -> float:
    """Share of the brain's voxels above the threshold in slices without any lesion; NaN where there
    is no such slice.
    """
    wrong = voxels = 0
    for one in reported:
        healthy = one.subject.healthy
        wrong += int((one.segment(threshold) & one.subject.brain)[healthy].sum())
        voxels += int(one.subject.brain[healthy].sum())
    return wrong / voxels if voxels else math.nan


def _lesion_counts(reported: Sequence[Scored], threshold: float) -> list[LesionCounts]:
    return [
        match_lesions(one.subject.lesion, one.segment(threshold), one.subject.spacing).counts
        for one in reported
    ]


def _lesion_figures(one: LesionCounts, name: str) -> dict[str, float]:
    """Lesion-wise recall and precision at a threshold."""
    return {
        f"lesion_recall_at_{name}_threshold": one.recall,
        f"lesion_precision_at_{name}_threshold": one.precision,
    }


def _lesion_columns(one: LesionCounts, name: str) -> dict[str, Any]:
    """What a case tells of its lesions, with the counts that are pooled."""
    return {
        "lesions": one.lesions,
        **_lesion_figures(one, name),
        f"lesions_found_at_{name}_threshold": one.found,
        f"marks_at_{name}_threshold": one.marks,
        f"marks_right_at_{name}_threshold": one.right,
    }


def _lesion_ratios(counts: Sequence[LesionCounts], name: str) -> dict[str, Floats]:
    """What recall and precision are resampled from."""
    found = [(one.found, one.lesions) for one in counts]
    right = [(one.right, one.marks) for one in counts]
    return {
        f"lesion_recall_at_{name}_threshold": np.array(found, dtype=float),
        f"lesion_precision_at_{name}_threshold": np.array(right, dtype=float),
    }


def _mean_and_sd(name: str, values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation over the cases that have the figure, ``NAME`` and ``NAME`` with
    ``_sd`` for ``_mean``.
    """
    there = np.array([value for value in values if math.isfinite(value)])
    mean, sd = (float(there.mean()), float(there.std())) if there.size else (math.nan, math.nan)
    return {name: mean, f"{name.removesuffix('_mean')}_sd": sd}


def _column(cases: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([case[name] for case in cases], dtype=float)
