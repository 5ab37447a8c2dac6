"""The input's own intensity: the brighter, the more anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Context, Progress, Slices
from mmccd.methods.plain import PlainMethod
from mmccd.methods.scoring import score_within


@dataclass(frozen=True)
class IntensityScorer:
    """The image itself."""

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`; nothing is translated or reconstructed."""
        return score_within(slices.brain, slices.image)


@dataclass(frozen=True)
class Intensity(PlainMethod):
    """(v - P2) / (P90 - P2) of the brain."""

    name: ClassVar[str] = "intensity"
    title: ClassVar[str] = "Intensity threshold"

    def build(self, context: Context) -> IntensityScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return IntensityScorer()
