"""mmccd.training.decision.objective: the loss for MONAI's trainer, and the figure of validation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmccd.training.decision.objective import DecisionLoss, decision_error
from mmccd.training.decision.trainer import decision_loss
from mmccd.training.errors import MeanError


def batch(count: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    random = torch.Generator().manual_seed(seed)
    logits, label = (torch.randn(count, 1, 8, 6, generator=random) for _ in range(2))
    brain = torch.rand(count, 1, 8, 6, generator=random) < 0.7
    return logits, {"target": label.sigmoid(), "brain": brain}


def test_it_is_the_loss_of_trainings_from_packs() -> None:
    logits, truth = batch(3, 0)
    logits.requires_grad_(True)
    found = DecisionLoss()(logits, truth)
    assert torch.equal(found, decision_loss(logits, truth["target"], truth["brain"]))
    found.backward()
    assert logits.grad is not None and bool(logits.grad.abs().max() > 0)


def test_half_precision_is_raised() -> None:
    logits, truth = batch(2, 1)
    assert DecisionLoss()(logits.bfloat16(), truth).dtype == torch.float32


def test_validation_is_the_mean_over_slices() -> None:
    """A last batch of one slice counts a third of one of three."""
    metric = MeanError(output_transform=lambda output: output)
    losses = []
    for count, seed in ((3, 2), (1, 3)):
        logits, truth = batch(count, seed)
        losses.append(float(DecisionLoss()(logits, truth)))
        metric.update(decision_error({"pred": logits, "label": truth}))
    assert metric.compute() == pytest.approx((3 * losses[0] + losses[1]) / 4, rel=1e-6)
