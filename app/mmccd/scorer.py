"""The protocol that the cycle and every baseline fulfil: slices in, anomaly map out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from mmccd.cycle import MaskedCycleInferer, Progress
from mmccd.result import CycleResult


class Scorer(Protocol):
    """Anything that finds anomalies in normalised slices on the model grid."""

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """Score all slices of a volume.

        Args:
            image: float32 ``(slices, 1, size, size)`` on the CPU.
            brain: bool of the same shape.
            progress: called with (done, in all).
            cancelled: True ends the run with a CancelledError.
        """
        ...


@dataclass(frozen=True)
class CycleScorer:
    """The masked cycle with its two networks.

    Attributes:
        inferer: the cycle.
        forward: f, in evaluation mode on ``device``.
        backward: g, likewise.
        device: where the passes run.
    """

    inferer: MaskedCycleInferer
    forward: nn.Module
    backward: nn.Module
    device: torch.device

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """See :meth:`Scorer.score`."""
        return self.inferer(image.to(self.device), self.forward, self.backward, brain, progress=progress, cancelled=cancelled)
