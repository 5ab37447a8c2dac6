"""mmccd.training.decision.inferer: the cycle and d on a volume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.conftest import TINY
from tests.training.decision.nets import torch_seeded
from tests.training.slices import healthy_slices
from torch import nn

from mmccd.core import UsageError
from mmccd.methods import DECISION_CHANNELS, CycleScorer, Slices, decide, decision_input
from mmccd.models import TranslationUNet
from mmccd.training.decision.inferer import DecisionInferer
from mmccd.training.decision.load import preset_cycle


@pytest.fixture(scope="module")
def cycle(shared_bundles: Path) -> CycleScorer:
    return preset_cycle(shared_bundles, "flair", "t2", "fast", precision="fp32")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return torch_seeded(4, TranslationUNet(DECISION_CHANNELS, **TINY).eval())


def test_what_d_says_and_nothing_else(cycle: CycleScorer, network: nn.Module) -> None:
    image, brain = healthy_slices(4)
    brain[0] = False
    found = DecisionInferer(cycle, precision="fp32")(image, network, brain=brain)
    maps = cycle.score(Slices(image, brain, 1.0))
    given = decision_input(image, brain, maps.reconstructed, maps.signed)
    assert torch.allclose(found, decide(network, given), atol=1e-6)
    assert found.shape == image.shape
    assert float(found[~brain].abs().max()) == 0
    assert float(found[brain].std()) > 0


def test_batches_change_nothing(cycle: CycleScorer, network: nn.Module) -> None:
    image, brain = healthy_slices(5)
    whole, parts = (
        DecisionInferer(cycle, size, "fp32")(image, network, brain=brain) for size in (16, 2)
    )
    assert torch.allclose(whole, parts, atol=1e-5)


def test_no_such_precision(cycle: CycleScorer) -> None:
    with pytest.raises(UsageError, match="fp64"):
        DecisionInferer(cycle, precision="fp64")
