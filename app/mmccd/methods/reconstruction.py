"""What AE, VAE and DAE share: |x - x'| with x' from a network that reconstructs healthy slices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmccd.methods.base import Context, Method
from mmccd.methods.scoring import BatchedScorer


@dataclass(frozen=True)
class ReconstructionScorer(BatchedScorer):
    """|x - x'|.

    Attributes:
        network: AE, VAE or DAE in evaluation mode on ``device``.
        device: where the passes run.
        batch_size: slices per pass.
    """

    network: nn.Module
    device: torch.device
    batch_size: int = 16

    def reconstruct(self, image: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`BatchedScorer.reconstruct`."""
        found = self.network(image).float()
        return found, found


@dataclass(frozen=True)
class Reconstruction(Method):
    """A method whose network is called ``network`` in its needs."""

    def build(self, context: Context) -> ReconstructionScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return ReconstructionScorer(context.network("network"), context.device)
