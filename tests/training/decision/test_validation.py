"""mmccd.training.decision.validation: d measured on labelled cases."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.metrics import average_precision_score
from tests.training.decision.nets import Forward, Identity
from torch import Tensor, nn

from mmccd.core import UnsuitableInputError
from mmccd.data import find_cases
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.validation import ValidationSet, validation_set

CPU = torch.device("cpu")


class Brightness(nn.Module):
    """Sure of what is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, given: Tensor) -> Tensor:
        return given[:, :1] - 2 + self.weight


@pytest.fixture(scope="module")
def made(phantom_data: Path) -> ValidationSet:
    cycle = OneStepCycle(Forward(), Identity(), 0.0)
    return validation_set("phantoms", find_cases(phantom_data), "flair", 4, cycle, CPU)


def test_slices_with_and_without_lesions(made: ValidationSet) -> None:
    count = len(made.given)
    assert made.given.shape == (count, 5, 128, 128)
    assert made.lesion.shape == made.brain.shape == (count, 1, 128, 128)
    assert 8 <= count <= 12, "four of each case at the most"
    ill = int(made.lesion.flatten(1).any(1).sum())
    assert 1 <= ill <= 3, "of one case, three quarters"
    returned = made.given[:, 3:4]
    assert torch.allclose(returned.clamp(-4, 8), made.given[:, :1], atol=1e-4), (
        "what this cycle returns"
    )


def test_figures(made: ValidationSet) -> None:
    found = made.measure(Brightness())
    score = (made.given[:, :1] - 2).sigmoid()
    expected = average_precision_score(made.lesion[made.brain].numpy(), score[made.brain].numpy())
    assert found["auprc"] == pytest.approx(expected, abs=1e-4)
    healthy = made.brain & ~made.lesion.flatten(1).any(1)[:, None, None, None]
    assert found["marked_healthy"] == pytest.approx(
        float((score[healthy] > 0.5).float().mean()), abs=1e-5
    )


def test_no_lesion_at_all(phantom_data: Path) -> None:
    cases = [case for case in find_cases(phantom_data) if case.name != "lesion"]
    with pytest.raises(UnsuitableInputError, match="without any lesion"):
        validation_set("x", cases, "flair", 4, None, CPU)


def test_without_a_cycle_d_sees_none(phantom_data: Path) -> None:
    cases = [case for case in find_cases(phantom_data) if case.name == "lesion"]
    found = validation_set("x", cases, "flair", 2, None, CPU)
    assert float(found.given[:, 3:].abs().max()) == 0
