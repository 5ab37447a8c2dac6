"""mmccd.training.shared: what the train.json of f and g name alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DistributedSampler
from monai.handlers import LrScheduleHandler, StatsHandler
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.core import UnsuitableInputError
from mmccd.models import TranslationUNet
from mmccd.training.checkpoints import Resume
from mmccd.training.facts import as_text, check_batches, differences, training_facts
from mmccd.training.handlers import AveragedModel, ProgressBar, TimeBudget
from mmccd.training.record import TrainingRecord
from mmccd.training.shared import run_handlers, small_network


class TestSmallNetwork:
    @pytest.mark.parametrize(("name", "channels"), [(FORWARD, 2), (BACKWARD, 1)])
    def test_it_is_what_ships(self, project: Path, name: str, channels: int) -> None:
        """Up to the channels, which the weights that ship have fewer of."""
        card = json.loads((project / "bundles" / name / "models" / "model.json").read_text())
        network = small_network(channels, channels=[64, 96, 128])
        assert isinstance(network, TranslationUNet)
        assert network.settings == card["network"]
        assert small_network(channels).settings == {**network.settings, "channels": [64, 128, 192]}


class Items(Dataset[int]):
    """Numbers, with what names them."""

    place, fingerprint = "DATA", "f" * 64

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


def handlers_of(folder: Path, loader: DataLoader[int]) -> tuple[list[Any], Engine]:
    """What a config gets, and the evaluator."""
    network = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    evaluator = Engine(lambda engine, batch: None)
    evaluator.state.key_metric_name = "error"
    objects = {
        "network": network,
        "averaged": AveragedModel(network),
        "optimizer": optimizer,
    }
    content = {"source": "t1", "batch_size": loader.batch_size}
    found = run_handlers(
        folder, schedule, evaluator, content, None, objects, loader, max_minutes=5.0
    )
    return found, evaluator


def test_handlers(tmp_path: Path) -> None:
    """The checkpoint is written last, so that a resumed run has the record of its epochs."""
    found, evaluator = handlers_of(tmp_path, DataLoader(Items(4), batch_size=2))
    assert [type(handler) for handler in found] == [
        LrScheduleHandler,
        StatsHandler,
        ProgressBar,
        TrainingRecord,
        Resume,
        TimeBudget,
    ]
    engine = Engine(lambda engine, batch: {"loss": 1.0})

    def validate(epoch: int) -> None:
        evaluator.state.metrics = {"error": 0.5}
        evaluator.state.epoch = epoch
        evaluator.fire_event(Events.COMPLETED)

    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: validate(engine.state.epoch))
    for handler in found[3:]:
        handler.attach(engine)
    engine.run([1], max_epochs=1)
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["source"] == "t1"
    assert record["optimizer"] == {"name": "SGD", "weight_decay": 0.5, "momentum": 0}
    assert record["fingerprints"] == {"training": "f" * 64}
    last, best = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("last", "best")
    )
    assert last["epoch"] == best["epoch"] == 1
    assert last["record"] == record
    assert best["record"]["fingerprints"] == record["fingerprints"]
    assert best["record"]["last_validation"] == {"error": 0.5}
    assert found[-1].seconds == 300.0
    with pytest.raises(UnsuitableInputError, match="batch_size 2, now 1"):
        handlers_of(tmp_path, DataLoader(Items(4), batch_size=1))


class TestTooFew:
    @pytest.mark.parametrize(("count", "size"), [(3, 4), (1, 2)])
    def test_refused(self, tmp_path: Path, count: int, size: int) -> None:
        with pytest.raises(UnsuitableInputError, match=f"DATA: has {count} .* {size}") as error:
            handlers_of(tmp_path, DataLoader(Items(count), batch_size=size))
        assert error.value.code == "training.too_few"
        assert list(tmp_path.iterdir()) == []

    def test_share_of_a_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Fourteen slices for two processes are seven for each."""
        data = Items(14)
        monkeypatch.setattr("mmccd.training.facts.processes", lambda: 2)
        for size in (7, 8):
            sampler = DistributedSampler(data, num_replicas=2, rank=1, even_divisible=True)
            loader = DataLoader(data, batch_size=size, sampler=sampler, drop_last=True)
            if size == 7:
                check_batches(loader)
                assert (
                    training_facts({"batch_size": 7}, None, loader, None, None)["batch_size"] == 14
                )
            else:
                with pytest.raises(UnsuitableInputError, match="7 .* for each of 2 processes"):
                    check_batches(loader)


def test_differences_are_flat_and_short() -> None:
    network = {"channels": [8, 8], "factor": 4}
    before = {"network": network, "seed": 1, "epochs": 3, "command": "one"}
    now = {"network": {**network, "factor": 2}, "epochs": 9, "command": "two", "max_epochs": 4}
    found = differences(before, now)
    assert found == {"network#factor": [4, 2], "seed": [1, None]}
    assert as_text(found) == "network#factor 4, now 2; seed 1, now unknown"
    assert as_text({str(number): [0, 1] for number in range(6)}).endswith("and 2 more")
