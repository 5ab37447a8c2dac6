"""What d is trained and judged by in its bundle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmccd.training.decision.trainer import decision_loss


class DecisionLoss(nn.Module):
    """:func:`~mmccd.training.decision.trainer.decision_loss` for MONAI's ``SupervisedTrainer``."""

    def forward(self, logits: Tensor, truth: dict[str, Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            logits: what d says, ``(batch, 1, height, width)``.
            truth: ``target``, the soft label, and ``brain``, of the same shape; see
                :class:`~mmccd.training.DecisionPrepareBatch`.
        """
        return decision_loss(logits.float(), truth["target"], truth["brain"])


def decision_error(output: Any) -> tuple[Tensor, Tensor]:
    """Loss and number of slices of a batch, whose weighted mean
    (:class:`~mmccd.training.MeanError`) is the loss of the validation set.
    """
    loss = DecisionLoss()(output["pred"], output["label"])
    return loss, torch.tensor(float(len(output["pred"])), device=loss.device)
