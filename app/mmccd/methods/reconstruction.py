"""What AE, VAE and DAE share: |x - x'| with x' from a network that reconstructs healthy slices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Context, Method, Progress, Slices
from mmccd.methods.scoring import batches, error_within


@dataclass(frozen=True)
class ReconstructionScorer:
    """|x - x'|.

    Attributes:
        network: AE, VAE or DAE in evaluation mode on ``device``.
        device: where the passes run.
        batch_size: slices per pass.
    """

    network: nn.Module
    device: torch.device
    batch_size: int = 16

    @torch.inference_mode()
    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`."""
        found = torch.zeros_like(slices.image)
        for part in batches(slices, self.batch_size, progress, cancelled):
            found[part] = self.network(slices.image[part].to(self.device)).float().cpu()
        return error_within(slices, found, found)


@dataclass(frozen=True)
class Reconstruction(Method):
    """A method whose network is called ``network`` in its needs."""

    def build(self, context: Context) -> ReconstructionScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return ReconstructionScorer(context.network("network"), context.device)
