"""Operating points: names for how much of a healthy brain may be marked, from few false alarms to
many, and how sure a region is by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PointName = Literal["specific", "balanced", "sensitive"]
Statistic = Literal["median over cases", "pooled"]
Confidence = Literal["high", "moderate", "low"]

SPECIFIC, BALANCED, SENSITIVE = "specific", "balanced", "sensitive"
RATES: Mapping[str, float] = {SPECIFIC: 0.0005, BALANCED: 0.001, SENSITIVE: 0.01}
"""The largest share of healthy brain voxels that may be marked at each operating point."""
OPERATING_POINTS = tuple(RATES)
"""From the highest threshold to the lowest."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, what it promises, and what it reached on the healthy cases that it was chosen
    on. A case's share is that of its healthy brain voxels above the threshold.

    Attributes:
        rate: the largest share of healthy brain voxels that may be marked.
        threshold: the smallest one that keeps to it; voxels above it are marked.
        statistic: which share keeps to the rate: the median of the cases' shares, or, of few cases,
            the share of all voxels taken together.
        cases: number of cases with healthy slices.
        pooled_rate: share of all healthy voxels that is marked.
        median_share: median of the cases' shares.
        largest_share: that of the worst case.
        median_ml: volume that is marked in a case's healthy slices, in mL: the median; None where
            the size of a voxel is not known.
        largest_ml: that of the worst case, likewise.
    """

    rate: float
    threshold: float
    statistic: Statistic
    cases: int
    pooled_rate: float
    median_share: float
    largest_share: float
    median_ml: float | None = None
    largest_ml: float | None = None

    @property
    def meaning(self) -> str:
        """What the threshold promises, in words."""
        how = "median" if self._is_of_median else "pooled"
        cases = f"{self.cases} case{'s' * (self.cases != 1)}"
        return (
            f"at most {as_percent(self.rate)} of healthy brain is marked, {how} over the"
            f" lesion-free slices of {cases}"
        )

    @property
    def usual_share(self) -> float:
        """The share that keeps to the rate: of the median case, or, of few cases, of all voxels
        taken together.
        """
        return self.median_share if self._is_of_median else self.pooled_rate

    @property
    def per_litre(self) -> str:
        """The promise in mL, for people who look at brains."""
        cases = f"{self.cases} validation case{'s' * (self.cases != 1)}"
        how = f"the median over {cases}" if self._is_of_median else f"over {cases} taken together"
        return f"of 1000 mL healthy brain at most {1000 * self.rate:g} mL is marked, {how}"

    @property
    def _is_of_median(self) -> bool:
        return self.statistic == "median over cases"


def as_percent(share: float) -> str:
    """A share for people: ``0.05 %``."""
    return f"{100 * share:.2g} %"
