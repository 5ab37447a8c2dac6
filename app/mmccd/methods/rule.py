"""A plain rule: FLAIR above 1.2 of its range, smoothed by a small median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy import ndimage

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Context, Progress, Slices
from mmccd.methods.brain_range import brain_range
from mmccd.methods.plain import PlainMethod
from mmccd.methods.scoring import score_within

THICK_MM = 2.5
"""Slices thicker than this are smoothed each for itself."""
RULE_THRESHOLD = 1.2


@dataclass(frozen=True)
class RuleScorer:
    """(v - P2) / (P90 - P2) of the brain on the model grid, then the median of 3 x 3 x 3 pixels and
    slices, of 5 x 5 pixels where slices are thicker than 2.5 mm.

    Beyond the first and the last slice of the stack these count again; outside the brain is 0.
    """

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`; nothing is translated or reconstructed."""
        whole = slices.brain if slices.whole is None else slices.whole
        if not whole.any():
            return score_within(slices.brain, slices.image)
        low, high = brain_range(slices.image, whole)
        scaled = torch.where(whole, (slices.image - low) / (high - low), 0).float()
        size = (1, 5, 5) if slices.slice_mm > THICK_MM else (3, 3, 3)
        smooth = ndimage.median_filter(scaled[:, 0].numpy(), size=size, mode="nearest")
        return score_within(slices.brain, torch.from_numpy(smooth)[:, None])


@dataclass(frozen=True)
class Rule(PlainMethod):
    """(v - P2) / (P90 - P2) of the brain after the median; 1.2 is its threshold."""

    name: ClassVar[str] = "rule"
    title: ClassVar[str] = "Rule (FLAIR above 1.2 of its range)"
    sources: ClassVar[tuple[str, ...]] = ("flair",)
    is_final: ClassVar[bool] = True

    def build(self, context: Context) -> RuleScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return RuleScorer()

    def threshold(self, context: Context) -> float | None:
        """1.2 on FLAIR; on other contrasts the rule says nothing."""
        return RULE_THRESHOLD if context.source in self.sources else None
