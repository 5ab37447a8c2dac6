"""mmccd.training.decision.trainer: d within a budget, kept where it is best on other lesions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import TINY
from tests.training.decision.nets import Forward, Identity, samples
from torch import Tensor, nn

from mmccd.io import load_tensors
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.trainer import (
    DECISION,
    OVERLAP_WEIGHT,
    DecisionRecipe,
    DecisionTrainer,
    decision_loss,
)
from mmccd.training.decision.validation import ValidationSet


class Figures(ValidationSet):
    """Measures what it was told to."""

    def measure(self, network: nn.Module) -> dict[str, float]:
        return {"auprc": self.given.flatten()[self.calls.__len__()].item(), **self._called()}

    @property
    def calls(self) -> list[int]:
        return CALLS

    def _called(self) -> dict[str, float]:
        CALLS.append(1)
        return {"marked_healthy": 0.0}


CALLS: list[int] = []


def trainer(folder: Path, auprc: list[float] | None = None, **settings: Any) -> DecisionTrainer:
    recipe = DecisionRecipe(**{"network": TINY, "batch_size": 2, "seed": 0, **settings})
    made = samples(OneStepCycle(Forward(), Identity(), 0.0), recipe.seed)
    CALLS.clear()
    nothing = torch.zeros(1)
    sets = [Figures("phantoms", torch.tensor(auprc), nothing, nothing)] if auprc else []
    return DecisionTrainer(recipe, made, made.draws, folder, sets)


def test_the_loss_falls_on_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(tmp_path, iterations=40, learning_rate=0.03, warmup=5)
    batch = made.samples.draw(2)
    monkeypatch.setattr(type(made.samples), "draw", lambda self, count: batch)
    losses: list[float] = []
    step = made.batch_losses

    def watched() -> dict[str, Tensor]:
        found = step()
        losses.append(float(found[DECISION].detach()))
        return found

    monkeypatch.setattr(made, "batch_losses", watched)
    made.run()
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", iterations=4)
    whole.run()
    part = trainer(tmp_path / "part", iterations=2)
    part.run()
    first = trainer(tmp_path / "part", iterations=4)
    first.run()
    assert first.iteration == whole.iteration == 4
    assert torch.equal(first.draws.generator.get_state(), whole.draws.generator.get_state())


class TestBest:
    def test_the_best_on_the_first_set_is_kept(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, [0.2, 0.5, 0.4], iterations=3, validate_every=1)
        states = []
        for _ in range(3):
            made._step()
            figures = made.measure()
            assert figures is not None
            states.append({k: v.clone() for k, v in made.averaged[DECISION].state_dict().items()})
        state, about = made.best()
        assert about == {
            "taken": "best",
            "iteration": 2,
            "auprc": pytest.approx(0.5),
            "validation": "phantoms",
        }
        assert all(torch.equal(state[key], states[1][key]) for key in state)

    def test_a_resumed_run_goes_on_comparing(self, tmp_path: Path) -> None:
        first = trainer(tmp_path, [0.7], iterations=1, validate_every=1)
        first.run()
        again = trainer(tmp_path, [0.6], iterations=2, validate_every=1)
        again.run()
        assert load_tensors(tmp_path / "best.pt")["iteration"] == 1

    def test_measured_as_often_as_asked_and_logged(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, [0.1, 0.2, 0.3], iterations=4, validate_every=2)
        made.run()
        assert len(CALLS) == 2
        lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        seen = [line["iteration"] for line in lines if "validation" in line]
        assert seen == [2, 4]

    def test_the_averaged_network_where_nothing_was_measured(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, iterations=1)
        made.run()
        state, about = made.best()
        assert about == {"taken": "last"}
        expected = made.averaged[DECISION].state_dict()
        assert all(torch.equal(state[key], expected[key]) for key in expected)


class TestLoss:
    def test_against_a_slow_calculation(self) -> None:
        random = torch.Generator().manual_seed(0)
        logits, label = (torch.randn(2, 1, 6, 5, generator=random) for _ in range(2))
        label = label.sigmoid()
        brain = torch.rand(2, 1, 6, 5, generator=random) < 0.7
        entropy, overlaps = [], []
        for n in range(2):
            both = sums = 0.0
            for pixel in torch.nonzero(brain[n, 0]).tolist():
                said = float(logits[n, 0][tuple(pixel)].sigmoid())
                wanted = float(label[n, 0][tuple(pixel)])
                entropy.append(-wanted * np.log(said) - (1 - wanted) * np.log(1 - said))
                both, sums = both + said * wanted, sums + said + wanted
            overlaps.append((2 * both + 20) / (sums + 20))
        expected = np.mean(entropy) + OVERLAP_WEIGHT * (1 - np.mean(overlaps))
        assert float(decision_loss(logits, label, brain)) == pytest.approx(expected, rel=1e-4)

    def test_outside_the_brain_nothing_counts(self) -> None:
        logits, label = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
        brain = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
        brain[..., :2, :] = True
        first = decision_loss(logits, label, brain)
        logits[..., 2:, :], label[..., 2:, :] = 50.0, 1.0
        assert torch.equal(first, decision_loss(logits, label, brain))
        assert bool(decision_loss(logits, label, torch.zeros_like(brain)).isfinite())
