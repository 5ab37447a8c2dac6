"""Networks that say what they are given, and samples of made-up brains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tests.training.cycle.packs import label_slices, real_pairs
from torch import Tensor, nn

from mmccd.imaging import Draws
from mmccd.training.corruption import DECISION_FAMILIES, Family
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.samples import DecisionSamples


class Forward(nn.Module):
    """Says its condition, and remembers what it was started from."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[int]] = []
        self.starts: list[Tensor] = []

    def forward(self, given: Tensor, steps: Tensor) -> Tensor:
        self.steps.append(steps.tolist())
        self.starts.append(given[:, :1])
        return given[:, 1:]


class Identity(nn.Module):
    """Says what it is given."""

    def forward(self, given: Tensor) -> Tensor:
        return given


def samples(
    cycle: OneStepCycle | None,
    seed: int = 0,
    families: Sequence[Family] = DECISION_FAMILIES,
    **settings: Any,
) -> DecisionSamples:
    """Of four label slices and three real ones."""
    draws = Draws(seed)
    pairs = HealthyPairs([label_slices(4)], real_pairs(3), 0.5, "flair", "t2", draws)
    return DecisionSamples(pairs, draws, cycle, families=families, **settings)


def torch_seeded(seed: int, network: nn.Module) -> nn.Module:
    """All weights awake and repeatable."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network
