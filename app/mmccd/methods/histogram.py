"""Rank of the intensity within the slice's brain: the intensity after histogram equalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy.stats import rankdata

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Context, Progress, Slices
from mmccd.methods.plain import PlainMethod
from mmccd.methods.scoring import score_within


@dataclass(frozen=True)
class HistogramScorer:
    """Rank within the slice's brain, in (0, 1]."""

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`; nothing is translated or reconstructed."""
        ranks = torch.zeros_like(slices.image)
        for rank, image, brain in zip(ranks, slices.image, slices.brain, strict=True):
            inside = image[brain]
            if inside.numel():
                rank[brain] = torch.from_numpy(rankdata(inside.numpy()) / inside.numel()).float()
        return score_within(slices.brain, ranks)


@dataclass(frozen=True)
class Histogram(PlainMethod):
    """Meissen, Kaissis and Rueckert, "Challenging current semi-supervised anomaly segmentation
    methods for brain MRI", BrainLes 2021.
    """

    name: ClassVar[str] = "histogram"
    title: ClassVar[str] = "Histogram-equalised threshold"

    def build(self, context: Context) -> HistogramScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return HistogramScorer()
