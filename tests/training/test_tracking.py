"""mmccd.training.tracking: TensorBoard and MLflow by one switch, on the same steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from mmccd.core import UsageError
from mmccd.training.tracking import sinks
from mmccd.training.tracking.panels import panels, picture
from mmccd.training.tracking.tracker import PICTURE, Tracker

STEPS = [10, 12, 20, 24]
"""Of two epochs of twelve iterations each."""
RUN = {"train_loss": STEPS, "learning_rate": STEPS, "val_error": [12, 24]}


def batch() -> dict[str, Any]:
    """What an evaluator of g leaves behind."""
    image = torch.zeros(3, 1, 8, 8)
    brain = torch.ones(3, 1, 8, 8, dtype=torch.bool)
    return {"image": image, "pred": image + 1, "label": {"target": image, "brain": brain}}


def train(tracker: Tracker) -> None:
    """Two epochs with a validation behind each."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    trainer = Engine(lambda engine, item: {"loss": torch.tensor(2.0, requires_grad=True)})
    trainer.optimizer = optimizer
    evaluator = Engine(lambda engine, item: batch())
    tracker.of_validation().attach(evaluator)

    def validate(engine: Engine) -> None:
        evaluator.state.metrics = {"val_error": 0.25, "val_cycle_error": float("nan")}
        evaluator.run([0, 1, 2])

    trainer.add_event_handler("EPOCH_COMPLETED", validate)
    tracker.of_training().attach(trainer)
    trainer.run(list(range(12)), max_epochs=2)


def check_tensorboard(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    scalars = {name: [one.step for one in found.Scalars(name)] for name in RUN}
    assert scalars == RUN
    assert {one.value for one in found.Scalars("learning_rate")} == {0.5}
    assert [one.step for one in found.Images(PICTURE)] == [12, 24]


def check_mlflow(folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns.db'}")
    experiment = client.get_experiment_by_name("mmccd")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", folder.name)
    histories = {
        name: [one.step for one in client.get_metric_history(run.info.run_id, name)] for name in RUN
    }
    assert histories == RUN
    assert run.data.metrics["val_error"] == 0.25
    assert "val_cycle_error" not in run.data.metrics
    pictures = [one.path for one in client.list_artifacts(run.info.run_id, "images")]
    assert set(re.findall(r"step\W(\d+)", " ".join(pictures))) == {"12", "24"}
    assert (folder / "mlruns").is_dir()


def test_tensorboard(tmp_path: Path) -> None:
    train(Tracker("tensorboard", tmp_path))
    check_tensorboard(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
def test_mlflow_beside_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In files, without a server, and on the same steps."""
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "flair_t2"
    train(Tracker("both", folder.name))
    check_tensorboard(folder)
    check_mlflow(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["flair_t2"]


def test_nothing_is_written_without_tracking(tmp_path: Path) -> None:
    train(Tracker("none", tmp_path / "run"))
    Tracker("tensorboard", tmp_path / "never_started")
    assert list(tmp_path.iterdir()) == []


def test_unknown_value() -> None:
    with pytest.raises(UsageError, match=r"track 'wandb' is unknown; expected one of none"):
        Tracker("wandb")


@pytest.mark.parametrize(("package", "extra"), [("mlflow", "track"), ("tensorboard", "train")])
def test_missing_package(monkeypatch: pytest.MonkeyPatch, package: str, extra: str) -> None:
    monkeypatch.setattr(sinks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=rf"{package} is not installed.*mmccd\[{extra}\]"):
        Tracker(package)


class TestPanels:
    def test_g_and_baselines(self) -> None:
        found = panels(batch())
        assert list(found) == ["input", "returned", "map"]
        assert float(found["map"][0, 0, 0, 0]) == 0.5
        assert float(found["input"][0, 0, 0, 0]) == 0.5

    def test_nothing_outside_the_brain(self) -> None:
        output = batch()
        output["label"]["brain"][:] = False
        assert all(float(column.abs().max()) == 0 for column in panels(output).values())

    def test_f(self) -> None:
        """With g behind it the cycle, without it the translation."""
        output = batch()
        output["pred"] = torch.cat([output["pred"], output["image"] + 2], dim=1)
        output["label"]["source"] = output["image"]
        found = panels(output)
        assert list(found) == ["input", "translated", "returned", "map"]
        assert float(found["map"][0, 0, 0, 0]) == 1.0
        output["pred"][:, 1:] = torch.nan
        found = panels(output)
        assert list(found) == ["input", "translated", "map"]
        assert float(found["map"][0, 0, 0, 0]) == 0.5

    def test_d(self) -> None:
        output = batch()
        output["image"] = torch.zeros(3, 5, 8, 8)
        output["pred"] = torch.zeros(3, 1, 8, 8)
        found = panels(output)
        assert list(found) == ["input", "returned", "map", "truth"]
        assert float(found["map"][0, 0, 0, 0]) == 0.5

    def test_picture(self) -> None:
        """Columns side by side, at most four slices below each other."""
        columns = {name: torch.full((9, 1, 4, 6), value) for name, value in (("a", 0), ("b", 2.0))}
        found = picture(columns)
        assert (found.shape, found.dtype) == ((16, 12), np.uint8)
        assert (found[:, :6] == 0).all() and (found[:, 6:] == 255).all()
