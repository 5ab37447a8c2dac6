"""How sure a region is, from its mean score and what healthy brain shows."""

from __future__ import annotations

from dataclasses import dataclass

from mmccd.core import Confidence


@dataclass(frozen=True)
class ConfidenceLevels:
    """What a region's mean score is compared with. The levels say how rarely healthy brain scores
    so high, voxel by voxel; they are no probability of a lesion.

    Attributes:
        high: threshold of the operating point specific, in the map's units.
        moderate: that of balanced, at most as large.

    Raises:
        ValueError: ``moderate`` above ``high``.
    """

    high: float
    moderate: float

    def __post_init__(self) -> None:
        if self.moderate > self.high:
            raise ValueError(f"moderate must be at most high, {self.high}, got {self.moderate}")

    def of(self, mean: float) -> Confidence:
        """The confidence of a region with that mean of the smoothed map."""
        if mean > self.high:
            return "high"
        return "moderate" if mean > self.moderate else "low"
