"""From healthy cases to the thresholds of the operating points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import (
    BALANCED,
    RATES,
    SENSITIVE,
    SPECIFIC,
    OperatingPoint,
    Statistic,
    UnsuitableInputError,
)

FEWEST_CASES = 5
"""With fewer cases a median says little, and the pooled rate decides."""


@dataclass(frozen=True)
class HealthyCase:
    """The map in the healthy brain of one case.

    Attributes:
        values: of its voxels, 1-D, at least one.
        voxel_ml: volume of a voxel in mL; None where it is not known.

    Raises:
        ValueError: no voxel.
    """

    values: NDArray[Any]
    voxel_ml: float | None = None

    def __post_init__(self) -> None:
        if not self.values.size:
            raise ValueError("a healthy case needs at least one healthy voxel, got none")


def rates_around(balanced: float) -> dict[str, float]:
    """The rates of all operating points where that of ``balanced`` is another: the others give way
    rather than cross it.
    """
    return {
        SPECIFIC: min(RATES[SPECIFIC], balanced),
        BALANCED: balanced,
        SENSITIVE: max(RATES[SENSITIVE], balanced),
    }


def choose_points(
    cases: Sequence[HealthyCase], rates: Mapping[str, float]
) -> dict[str, OperatingPoint]:
    """The operating points, by name.

    Args:
        cases: healthy cases, at least one.
        rates: by name, each in (0, 1).

    Raises:
        ValueError: no case, or a rate outside (0, 1).
        UnsuitableInputError: too few voxels for a rate.
    """
    if not cases:
        raise ValueError("operating points need at least one healthy case, got none")
    healthy = _Healthy(cases)
    return {name: healthy.point(rate) for name, rate in rates.items()}


def threshold_for_rate(healthy: NDArray[Any], rate: float) -> float:
    """The smallest threshold that at most the share ``rate`` of healthy voxels exceeds.

    Args:
        healthy: map values of healthy brain voxels, 1-D.
        rate: wanted voxel false-positive rate, in (0, 1).

    Raises:
        ValueError: a rate outside (0, 1).
        UnsuitableInputError: too few voxels for that rate.
    """
    _refuse_rate(healthy.size, rate)
    return float(np.quantile(healthy, 1 - rate, method="inverted_cdf"))


class _Healthy:
    """The values of all cases, sorted, so that shares above a threshold are quick to find."""

    def __init__(self, cases: Sequence[HealthyCase]) -> None:
        self._cases = [np.sort(case.values) for case in cases]
        self._pooled = np.sort(np.concatenate(self._cases))
        voxel_ml = [case.voxel_ml for case in cases]
        known = [size for size in voxel_ml if size is not None]
        self._voxel_ml = np.array(known) if len(known) == len(cases) else None

    def point(self, rate: float) -> OperatingPoint:
        """The operating point that keeps to a rate."""
        few = len(self._cases) < FEWEST_CASES
        statistic: Statistic = "pooled" if few else "median over cases"
        threshold = threshold_for_rate(self._pooled, rate) if few else self._by_median(rate)
        counts = self._counts(threshold)
        shares = counts / self._sizes()
        marked_ml = None if self._voxel_ml is None else counts * self._voxel_ml
        return OperatingPoint(
            rate=rate,
            threshold=threshold,
            statistic=statistic,
            cases=len(self._cases),
            pooled_rate=float(counts.sum() / self._pooled.size),
            median_share=float(np.median(shares)),
            largest_share=float(shares.max()),
            median_ml=None if marked_ml is None else round(float(np.median(marked_ml)), 4),
            largest_ml=None if marked_ml is None else round(float(marked_ml.max()), 4),
        )

    def _by_median(self, rate: float) -> float:
        """The smallest value at which the median of the cases' shares is at most the rate. Shares
        change at the values only and never rise with the threshold.
        """
        _refuse_rate(self._pooled.size, rate)
        first = bisect_left(
            range(self._pooled.size),
            True,
            key=lambda index: bool(self._median_share(float(self._pooled[index])) <= rate),
        )
        return float(self._pooled[first])

    def _median_share(self, threshold: float) -> float:
        return float(np.median(self._counts(threshold) / self._sizes()))

    def _counts(self, threshold: float) -> NDArray[np.int64]:
        """Voxels of each case above a threshold."""
        return np.array(
            [case.size - np.searchsorted(case, threshold, side="right") for case in self._cases]
        )

    def _sizes(self) -> NDArray[np.int64]:
        return np.array([case.size for case in self._cases])


def _refuse_rate(voxels: int, rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"the false-positive rate must be between 0 and 1, got {rate}")
    if voxels * rate < 1:
        raise UnsuitableInputError(
            f"{voxels} healthy voxels are too few for a false-positive rate of {rate}; give"
            " more data",
            code="calibration.too_few_voxels",
        )
