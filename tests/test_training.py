"""The parts of training, one by one (whole runs: tests/integration/test_training.py)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.transforms import RandFlip
from torch import nn

from mmccd.errors import InputError
from mmccd.training import (
    AveragedModel,
    BestModel,
    EpochSeed,
    MeanError,
    Resume,
    StripPrepareBatch,
    TimeBudget,
    cycle_error,
    masked_error,
    visible_error,
    warmup_stable_decay,
)


def engine_at(epoch: int = 1, **state: Any) -> Engine:
    """An engine that says it is at an epoch."""
    engine = Engine(lambda engine, batch: batch)
    engine.state.epoch = epoch
    for name, value in state.items():
        setattr(engine.state, name, value)
    return engine


def test_learning_rate_rises_stays_and_falls() -> None:
    factors = [warmup_stable_decay(i, warmup=10, total=100, decay_share=0.5) for i in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[75] == pytest.approx(0.5)
    assert factors[100] == 0.0
    assert all(first <= second for first, second in zip(factors[:10], factors[1:11], strict=True))


def test_a_longer_plan_does_not_change_the_constant_part() -> None:
    assert warmup_stable_decay(40, 10, 100) == warmup_stable_decay(40, 10, 1000) == 1.0


def test_epoch_seed_depends_on_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int, before: int = 0) -> tuple[float, float, list[float]]:
        torch.rand(before)
        transform = RandFlip(prob=0.5)
        EpochSeed(seed, transform)(engine_at(epoch))
        return float(torch.rand(1)), float(np.random.rand()), transform.R.rand(4).tolist()

    assert draw(1, 2) == draw(1, 2, before=5)
    assert draw(1, 2) != draw(1, 3)
    assert draw(1, 2) != draw(2, 2)


def test_resume_restores_everything(tmp_path: Path) -> None:
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    Resume(tmp_path / "last.pt", {"network": model}).save(engine_at(3, iteration=30))
    engine = engine_at(0)
    Resume(tmp_path / "last.pt", {"network": other}).load(engine)
    assert torch.equal(model.weight, other.weight)
    assert (engine.state.epoch, engine.state.iteration) == (3, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_resume_can_be_switched_off(tmp_path: Path) -> None:
    Resume(tmp_path / "last.pt", {"network": nn.Linear(2, 2)}).save(engine_at(3, iteration=30))
    engine = engine_at(0)
    Resume(tmp_path / "last.pt", {"network": nn.Linear(2, 2)}, enabled=False).load(engine)
    assert engine.state.epoch == 0


@pytest.mark.parametrize("damage", ["cut", "other network"])
def test_a_checkpoint_that_does_not_fit_is_an_input_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "last.pt"
    Resume(path, {"network": nn.Linear(2, 2)}).save(engine_at(1, iteration=1))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"last\.pt"):
        Resume(path, {"network": nn.Linear(3, 3)}).load(engine_at(0))


def test_best_model_compares_across_runs(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    model = nn.Linear(1, 1)

    def validated(epoch: int, value: float) -> dict[str, Any]:
        with torch.no_grad():
            model.weight.fill_(epoch)
        BestModel(path, model)(engine_at(epoch, metrics={"error": value}, key_metric_name="error"))
        return dict(torch.load(path, weights_only=True))

    assert validated(1, 0.9)["epoch"] == 1
    assert validated(2, 0.5)["epoch"] == 2
    assert validated(3, 0.7)["epoch"] == 2
    assert validated(1, 0.9)["epoch"] == 1, "a new run replaces the file of an old one"


def test_time_budget_ends_after_the_epoch() -> None:
    epochs = []
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: epochs.append(engine.state.epoch))
    TimeBudget(0.0).attach(engine)
    engine.run([0, 1, 2], max_epochs=5)
    assert epochs == [1]
    TimeBudget(None).attach(unlimited := Engine(lambda engine, batch: batch))
    assert unlimited.run([0], max_epochs=3).epoch == 3


def test_averaged_model_follows_the_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    averaged = AveragedModel(model, momentum=0.25)

    def step(engine: Engine, batch: float) -> None:
        with torch.no_grad():
            model.weight.fill_(batch)

    engine = Engine(step)
    averaged.attach(engine)
    engine.run([4.0, 8.0], max_epochs=1)
    assert float(averaged.state_dict()["weight"]) == pytest.approx(0.75 * (0.25 * 4) + 0.25 * 8)


def test_errors_under_and_outside_the_strip() -> None:
    brain = torch.tensor([[[[1, 1, 1, 0]]]], dtype=torch.bool)
    mask = torch.tensor([[[[1, 0, 0, 1]]]], dtype=torch.bool)
    truth = {"target": torch.zeros(1, 1, 1, 4), "source": torch.ones(1, 1, 1, 4), "brain": brain, "mask": mask}
    prediction = torch.stack([torch.tensor([[3.0, 1, 2, 9]]), torch.tensor([[6.0, 0, 0, 0]])])[None]
    output = {"label": truth, "pred": prediction}
    for select, expected in ((masked_error, 3.0), (visible_error, 1.5), (cycle_error, 5.0)):
        metric = MeanError(output_transform=select)
        metric.reset()
        metric.update(select(output))
        assert metric.compute() == pytest.approx(expected)


def test_mean_error_pools_batches() -> None:
    metric = MeanError()
    metric.reset()
    metric.update((torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])))
    metric.update((torch.tensor([4.0, 6.0]), torch.tensor([1.0, 1.0])))
    assert metric.compute() == pytest.approx(11 / 3)
    metric.reset()
    assert np.isnan(metric.compute())


def test_validation_strips_are_the_same_every_time_and_cross_the_middle() -> None:
    batch = {key: torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) for key in ("image", "label", "brain")}
    prepare = StripPrepareBatch(width=8, stride=8, seed=1)
    first, second = prepare(batch)[3], prepare(batch)[3]
    for key in ("mask", "noise", "initial"):
        assert torch.equal(first[key], second[key])
    assert first["mask"].flatten(1).any(1).all()
    assert first["mask"][:, :, 8:24, 8:24].flatten(1).any(1).all()
    assert SimpleNamespace(**first).noise.shape == (4, 1, 32, 32)
