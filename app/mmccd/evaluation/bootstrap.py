"""Paired bootstrap over patients: the same draws for every method, so that differences have
intervals of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistics = Mapping[str, Floats]
"""Each figure of each resample, ``(draws,)``, by name."""
BINS = 10_000
_DRAWS_AT_ONCE = 50
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class RankCounts:
    """Voxels of each case by the rank of their score: enough for pooled areas and Dice of any
    mixture of cases.

    Scores are put into at most :data:`BINS` bins of about equal size, so that a resample costs a
    matrix product instead of a sort. With more distinct scores than bins AUPRC and best Dice are
    right to about 1e-3, with fewer they are exact.

    Attributes:
        positives: lesion voxels, ``(bins, cases)``, the highest scores first.
        negatives: other voxels, likewise.
    """

    positives: Floats
    negatives: Floats

    def auprc(self, weights: Floats) -> Floats:
        """Average precision of each mixture.

        Args:
            weights: how often each case is in it, ``(draws, cases)``.

        Returns:
            ``(draws,)``; NaN where a mixture has no lesion.
        """
        return np.concatenate(
            [_average_precision(*self._cumulative(part)) for part in _parts(weights)]
        )

    def best_dice(self, weights: Floats) -> Floats:
        """Best pooled Dice over all thresholds of each mixture; arguments as :meth:`auprc`."""
        return np.concatenate([_largest_dice(*self._cumulative(part)) for part in _parts(weights)])

    def curve(self) -> tuple[Floats, Floats]:
        """(recall, precision) of all cases pooled, by falling threshold."""
        hits, alarms = self._cumulative(np.ones((1, self.positives.shape[1])))
        return hits[:, 0] / max(hits[-1, 0], 1.0), hits[:, 0] / np.maximum(
            hits[:, 0] + alarms[:, 0], 1.0
        )

    def _cumulative(self, weights: Floats) -> tuple[Floats, Floats]:
        return np.cumsum(self.positives @ weights.T, axis=0), np.cumsum(
            self.negatives @ weights.T, axis=0
        )


@dataclass(frozen=True)
class Samples:
    """What a row of a table is resampled from.

    Attributes:
        ranks: for pooled areas and the best possible Dice.
        overlaps: by name of the pooled Dice, ``(cases, 3)``: voxels of both masks, of the truth, of
            the segmentation.
        per_case: by name of the mean, one figure per case; NaN where it does not exist.
        ratios: by name of a pooled share, ``(cases, 2)``: the part and the whole of each case.
    """

    ranks: RankCounts
    overlaps: dict[str, Floats] = field(default_factory=dict)
    per_case: dict[str, Floats] = field(default_factory=dict)
    ratios: dict[str, Floats] = field(default_factory=dict)

    def statistics(self, weights: Floats) -> dict[str, Floats]:
        """Each figure of each mixture, by name; ``weights`` as in :meth:`RankCounts.auprc`."""
        found = {
            "auprc": self.ranks.auprc(weights),
            "best_possible_dice": self.ranks.best_dice(weights),
        }
        for name, counts in self.overlaps.items():
            both, truth, segmentation = (weights @ counts).T
            found[name] = np.divide(
                2 * both,
                truth + segmentation,
                out=np.ones_like(both),
                where=truth + segmentation > 0,
            )
        for name, values in self.per_case.items():
            found[name] = mean_of_mixtures(values, weights)
        for name, parts in self.ratios.items():
            found[name] = ratio_of_mixtures(parts, weights)
        return found


def mean_of_mixtures(values: Floats, weights: Floats) -> Floats:
    """Mean of a figure over the cases of each mixture that have it.

    Args:
        values: of each case, ``(cases,)``; NaN where it has none.
        weights: as in :meth:`RankCounts.auprc`.

    Returns:
        ``(draws,)``; NaN where no case of a mixture has it.
    """
    there = np.isfinite(values)
    total = weights @ there
    return np.divide(
        weights @ np.where(there, values, 0.0),
        total,
        out=np.full_like(total, np.nan),
        where=total > 0,
    )


def ratio_of_mixtures(parts: Floats, weights: Floats) -> Floats:
    """A share of the pooled counts of each mixture.

    Args:
        parts: the part and the whole of each case, ``(cases, 2)``.
        weights: as in :meth:`RankCounts.auprc`.

    Returns:
        ``(draws,)``; NaN where the whole is 0.
    """
    part, whole = (weights @ parts).T
    share: Floats = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return share


def rank_counts(
    truths: Sequence[NDArray[np.bool_]], values: Sequence[NDArray[Any]], bins: int = BINS
) -> RankCounts:
    """Sort the voxels of all cases into bins.

    Args:
        truths: lesion of each case's voxels, 1-D.
        values: their scores.
        bins: number of bins at most.
    """
    pooled = np.concatenate(values)
    distinct = np.unique(pooled)
    if len(distinct) > bins:
        distinct = np.unique(np.quantile(pooled, np.linspace(0, 1, bins), method="lower"))
    counts = np.zeros((2, len(distinct), len(values)))
    for case, (truth, score) in enumerate(zip(truths, values, strict=True)):
        position = len(distinct) - np.searchsorted(distinct, score, side="right")
        for kind in (0, 1):
            counts[kind, :, case] = np.bincount(
                position[truth == bool(kind)], minlength=len(distinct)
            )
    return RankCounts(positives=counts[1], negatives=counts[0])


def patient_draws(patients: Sequence[str], draws: int, seed: int = 0) -> Floats:
    """How often each case is in each resample of patients: ``(draws, cases)``, cases of one patient
    alike.
    """
    names = sorted(set(patients))
    chosen = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    times = (
        np.stack([np.bincount(draw, minlength=len(names)) for draw in chosen])
        if draws
        else np.zeros((0, len(names)))
    )
    return times[:, [names.index(patient) for patient in patients]].astype(float)


def intervals(statistics: Statistics) -> dict[str, list[float]]:
    """95 % interval of each figure."""
    return {name: interval(values) for name, values in statistics.items()}


def differences(own: Statistics, other: Statistics) -> dict[str, dict[str, Any]]:
    """By how much a row is better than the reference on the same resamples: mean, 95 % interval,
    share of resamples where it is.
    """
    found = {}
    for name in (name for name in own if name in other):
        gain = own[name] - other[name]
        gain = gain[np.isfinite(gain)]
        if len(gain):
            found[name] = {
                "mean": float(gain.mean()),
                "interval": interval(gain),
                "share_better": float((gain > 0).mean()),
            }
    return found


def interval(values: Floats) -> list[float]:
    """95 % interval of one figure over the resamples that have it; empty where none has."""
    there = values[np.isfinite(values)]
    return [float(value) for value in np.percentile(there, INTERVAL)] if len(there) else []


def _parts(weights: Floats) -> list[Floats]:
    return [
        weights[start : start + _DRAWS_AT_ONCE]
        for start in range(0, max(len(weights), 1), _DRAWS_AT_ONCE)
    ]


def _average_precision(hits: Floats, alarms: Floats) -> Floats:
    """Sum over bins of the precision times the gain in recall, as scikit-learn's
    ``average_precision_score``.
    """
    gain = np.diff(hits, axis=0, prepend=0.0)
    total = hits[-1] if len(hits) else np.zeros(hits.shape[1])
    precision = hits / np.maximum(hits + alarms, 1e-30)
    area = (gain * precision).sum(axis=0)
    shares = np.divide(area, total, out=np.full_like(total, np.nan), where=total > 0)
    return np.asarray(shares, dtype=np.float64)


def _largest_dice(hits: Floats, alarms: Floats) -> Floats:
    dices = 2 * hits / np.maximum(hits + alarms + hits[-1], 1e-30)
    return np.where(hits[-1] > 0, dices.max(axis=0), np.nan)
