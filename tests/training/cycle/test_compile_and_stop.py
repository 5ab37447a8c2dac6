"""What a short training on a rented GPU asks for: compiled networks, and an end at any time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import FORWARD
from torch import nn

from mmccd.imaging import Draws
from mmccd.models import TranslationUNet
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.cycle.trainer import CycleTrainer, Recipe

TINY = {"factor": 8, "channels": [32, 32, 32]}


@pytest.fixture
def make_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CycleTrainer]:
    """A trainer of tiny networks on label slices of one class beside another."""
    monkeypatch.setattr("mmccd.training.cycle.pairs.CONTRAST_POOL", 2)

    def make(**settings: Any) -> CycleTrainer:
        labels = np.zeros((2, 2, 256, 256), np.uint8)
        labels[..., 60:200, 60:200], labels[..., 100:150, 100:150] = 1, 2
        draws = Draws(0)
        pairs = HealthyPairs([labels], None, 0.0, "flair", "t2", draws)
        recipe = Recipe(network=TINY, batch_size=2, **settings)
        return CycleTrainer(recipe, pairs, draws, tmp_path)

    return make


def test_a_stopped_training_ends_after_its_iteration(
    make_trainer: Callable[..., CycleTrainer],
) -> None:
    trainer = make_trainer(seconds=3600.0)
    trainer.stop()
    trainer.run()
    assert trainer.iteration == 1
    assert (trainer.folder / "last.pt").is_file()


def test_compiled_networks_are_those_that_run(
    make_trainer: Callable[..., CycleTrainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: compiled.append(self))
    trainer = make_trainer(seconds=0.0, compile=True)
    names = list(trainer.networks.state_dict())
    trainer.run()
    assert set(compiled) == {*trainer.networks.values(), trainer.averaged["f"]}
    assert list(trainer.networks.state_dict()) == names


@pytest.mark.slow
def test_a_network_is_one_graph(tiny_networks: dict[str, TranslationUNet]) -> None:
    """With a break in it, parts would run uncompiled."""
    arguments = (torch.randn(2, 2, 32, 32), torch.tensor([3, 900]))
    traced = torch.compile(tiny_networks[FORWARD], backend="eager", fullgraph=True, dynamic=False)
    assert torch.equal(traced(*arguments), tiny_networks[FORWARD](*arguments))
