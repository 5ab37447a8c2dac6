"""What the brain network is trained and judged by."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.losses import DiceLoss
from torch import Tensor, nn


class ScanPrepareBatch(PrepareBatch):
    """Scans of several slices each to one batch of slices."""

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """``(scans, slices, ...)`` to ``(scans * slices, ...)``: images and targets."""
        image, label = (
            batchdata[key].flatten(0, 1).to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label")
        )
        return image, label


class BrainLoss(nn.Module):
    """Soft Dice, pooled over the batch, plus binary cross-entropy; brain and infratentorial part
    count alike.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, batch=True)
        self.cross_entropy = nn.BCEWithLogitsLoss()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Both of shape ``(batch, 2, height, width)``."""
        result: Tensor = self.dice(logits, target) + self.cross_entropy(logits, target)
        return result


def _overlap(output: Any, channel: int) -> tuple[Tensor, Tensor]:
    found, truth = (output["pred"][:, channel] > 0).double(), output["label"][:, channel].double()
    return (found - truth).abs(), found + truth


def brain_disagreement(output: Any) -> tuple[Tensor, Tensor]:
    """Error and weight whose weighted mean (:class:`~mmccd.training.errors.MeanError`) is 1 -
    Dice of the brain.
    """
    return _overlap(output, 0)


def lower_disagreement(output: Any) -> tuple[Tensor, Tensor]:
    """The same of cerebellum and brainstem."""
    return _overlap(output, 1)
