"""mmccd.training.shared: what the train.json of f and g name alike."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import LrScheduleHandler, StatsHandler
from torch import nn

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.models import MaskedTranslator, TranslationUNet
from mmccd.training.checkpoints import Resume
from mmccd.training.handlers import ProgressBar, TimeBudget
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

    def test_another_method_and_other_settings(self) -> None:
        network = small_network(1, "masked_translation", channels=[32, 64, 64])
        assert isinstance(network, MaskedTranslator)
        assert network.settings["channels"] == [32, 64, 64]
        assert network.settings["factor"] == 4


def test_handlers(tmp_path: Path) -> None:
    """The checkpoint is written last, so that a resumed run has the record of its epochs."""
    network = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    evaluator: Any = SimpleNamespace(state=SimpleNamespace(metrics={}, key_metric_name="error"))
    found = run_handlers(
        tmp_path, schedule, evaluator, {"source": "t1"}, None, {"network": network}, True, 5.0
    )
    assert [type(handler) for handler in found] == [
        LrScheduleHandler,
        StatsHandler,
        ProgressBar,
        TrainingRecord,
        Resume,
        TimeBudget,
    ]
    engine = Engine(lambda engine, batch: {"loss": 1.0})
    for handler in found[3:]:
        handler.attach(engine)
    engine.run([1], max_epochs=1)
    assert json.loads((tmp_path / "training.json").read_text())["source"] == "t1"
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 1
    assert found[-1].seconds == 300.0
