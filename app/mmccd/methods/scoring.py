"""What scorers share: batches of slices, and maps that hold inside the brain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from mmccd.core import CancelledError, ScoreMaps
from mmccd.methods.base import Cancelled, Progress, Slices


def batches(
    slices: Slices, size: int, progress: Progress | None, cancelled: Cancelled | None
) -> Iterator[Tensor]:
    """Indices of the slices that hold brain, a few at a time.

    Raises:
        CancelledError: ``cancelled`` returned True.
    """
    holding = torch.nonzero(slices.brain.flatten(1).any(1)).flatten()
    done = 0
    for part in holding.split(size):
        if cancelled is not None and cancelled():
            raise CancelledError("the run was cancelled; nothing was written")
        if len(part):
            yield part
        done += len(part)
        if progress is not None:
            progress(done, len(holding))


class BatchedScorer(ABC):
    """|x - x'| with x' from passes over a few slices at a time.

    Attributes:
        device: where the passes run.
        batch_size: slices per pass.
    """

    device: torch.device
    batch_size: int

    @abstractmethod
    def reconstruct(self, image: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """One pass.

        Args:
            image: x, ``(batch, 1, height, width)`` on the device.
            numbers: index of each slice in its volume, int64 ``(batch,)``.

        Returns:
            y_0 (or x' where there is no second contrast) and x', float32 of the shape of x.
        """

    @torch.inference_mode()
    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`."""
        translated, reconstructed = (torch.zeros_like(slices.image) for _ in range(2))
        for part in batches(slices, self.batch_size, progress, cancelled):
            found = self.reconstruct(slices.image[part].to(self.device), part)
            translated[part], reconstructed[part] = (layer.cpu() for layer in found)
        return error_within(slices, translated, reconstructed)


def score_within(brain: Tensor, score: Tensor) -> ScoreMaps:
    """A score of the input itself, where nothing is translated or reconstructed."""
    nothing = torch.full_like(score, torch.nan)
    return _within(brain, score, score, nothing, nothing)


def error_within(
    slices: Slices, translated: Tensor, reconstructed: Tensor, weights: tuple[float, float] = (1, 1)
) -> ScoreMaps:
    """|x - x'| and what it was made of.

    Args:
        slices: x.
        translated: y_0, or x' where there is no second contrast.
        reconstructed: x'.
        weights: how much the bright side and the dark side of the error count.
    """
    signed = slices.image - reconstructed
    counted = torch.where(signed > 0, weights[0], weights[1]) * signed
    return _within(slices.brain, counted.abs(), signed, translated, reconstructed)


def _within(
    brain: Tensor, anomaly: Tensor, signed: Tensor, translated: Tensor, reconstructed: Tensor
) -> ScoreMaps:
    """Maps that hold inside the brain of the slices that were scored; NaN elsewhere."""
    inside = [
        torch.where(brain, layer, torch.nan)
        for layer in (anomaly, signed, translated, reconstructed)
    ]
    return ScoreMaps(inside[0], inside[1], inside[2], inside[3], brain.float())
