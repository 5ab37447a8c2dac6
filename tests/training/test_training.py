"""mmccd.training: the parts that stand beside MONAI's engines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from ignite.engine import Engine, Events
from monai.transforms import RandFlip
from torch import Tensor, nn

from mmccd.bundle.trained import load_trained
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.methods.mmccd.masks import strip_masks
from mmccd.models.schedule import MaskedDiffusionScheduler
from mmccd.training import handlers, record
from mmccd.training.batches import PairPrepareBatch, StripPrepareBatch
from mmccd.training.checkpoints import BestModel, Resume, save_atomically
from mmccd.training.errors import MeanError, brain_error, cycle_error, masked_error, visible_error
from mmccd.training.facts import normalisations
from mmccd.training.handlers import AveragedModel, EpochSeed, TimeBudget
from mmccd.training.inferers import MaskedTranslationInferer
from mmccd.training.learning_rate import warmup_stable_decay
from mmccd.training.record import TrainingRecord


class TestLearningRate:
    @pytest.mark.parametrize(
        ("iteration", "factor"),
        [
            (0, 0.1),
            (4, 0.5),
            (9, 1.0),
            (10, 1.0),
            (50, 1.0),
            (60, 1.0),
            (80, 0.5),
            (99, 0.025),
            (100, 0.0),
            (150, 0.0),
        ],
    )
    def test_by_hand(self, iteration: int, factor: float) -> None:
        """Ten iterations up, the last 40 of 100 down."""
        assert warmup_stable_decay(iteration, 10, 100, 0.4) == pytest.approx(factor)

    @given(st.integers(0, 50), st.integers(1, 500), st.floats(0.05, 1.0))
    def test_shape(self, warmup: int, total: int, decay_share: float) -> None:
        factors = [
            warmup_stable_decay(iteration, warmup, total, decay_share)
            for iteration in range(total + 1)
        ]
        assert all(0 <= factor <= 1 for factor in factors)
        assert factors[-1] == 0
        top = factors.index(max(factors))
        assert factors[:top] == sorted(factors[:top])
        assert factors[top:] == sorted(factors[top:], reverse=True)

    def test_a_run_cut_short_goes_on_as_if_planned_longer(self) -> None:
        assert [warmup_stable_decay(i, 5, 100) for i in range(50)] == [
            warmup_stable_decay(i, 5, 200) for i in range(50)
        ]


def engine_of(step: Callable[[Engine, Any], Any] = lambda engine, batch: None) -> Engine:
    return Engine(step)


class TestEpochSeed:
    @staticmethod
    def drawn(seed: int, epochs: int, start: int = 0) -> list[tuple[float, float]]:
        """A number of torch and one of NumPy from every epoch behind ``start``."""
        numbers = []
        engine = engine_of(
            lambda engine, batch: numbers.append((torch.rand(1).item(), np.random.rand()))
        )
        EpochSeed(seed).attach(engine)

        def resume(engine: Engine) -> None:
            engine.state.epoch = start

        engine.add_event_handler(Events.STARTED, resume)
        engine.run([0], max_epochs=epochs)
        return numbers

    def test_depends_on_seed_and_epoch_alone(self) -> None:
        first = self.drawn(3, 4)
        torch.rand(17)
        np.random.rand(5)
        assert self.drawn(3, 4) == first
        assert len(set(first)) == 4
        assert self.drawn(4, 4)[0] != first[0]

    def test_resumed_run_draws_what_the_whole_one_would_have_drawn(self) -> None:
        assert self.drawn(3, 4, start=2) == self.drawn(3, 4)[2:]

    def test_random_transforms(self) -> None:
        flip = RandFlip(prob=0.5)

        def drawn(epoch: int) -> list[float]:
            EpochSeed(1, flip)(SimpleNamespace(state=SimpleNamespace(epoch=epoch)))  # type: ignore[arg-type]
            return list(flip.R.rand(4))

        assert drawn(2) == drawn(2)
        assert drawn(2) != drawn(3)

    def test_transform_and_sampler(self) -> None:
        seeds: list[int] = []
        epochs: list[int] = []
        transform = SimpleNamespace(set_random_state=lambda seed: seeds.append(seed))
        sampler = SimpleNamespace(set_epoch=lambda epoch: epochs.append(epoch))
        engine = engine_of()
        EpochSeed(0, transform, sampler).attach(engine)
        engine.run([0, 1], max_epochs=3)
        assert epochs == [1, 2, 3]
        assert len(set(seeds)) == 3


class TestResume:
    @staticmethod
    def run(
        path: Path, epochs: int, enabled: bool = True, width: int = 3
    ) -> tuple[nn.Module, list[int], list[int]]:
        """Add the epoch to every weight, once an epoch; the module, and the epochs and iterations
        that were run.
        """
        module = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(module.weight)
        seen_epochs, seen_iterations = [], []

        def step(engine: Engine, batch: int) -> None:
            seen_epochs.append(engine.state.epoch)
            seen_iterations.append(engine.state.iteration)
            with torch.no_grad():
                module.weight += engine.state.epoch

        engine = engine_of(step)
        Resume(path, {"network": module}, enabled).attach(engine)
        engine.run([0, 1], max_epochs=epochs)
        return module, seen_epochs, seen_iterations

    def test_goes_on_after_the_last_epoch(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "last.pt"
        self.run(path, 2)
        module, epochs, iterations = self.run(path, 4)
        assert epochs == [3, 3, 4, 4]
        assert iterations == [5, 6, 7, 8]
        assert module.weight.tolist() == [[20.0, 20.0, 20.0]]
        assert torch.equal(module.weight, self.run(tmp_path / "whole.pt", 4)[0].weight)

    def test_finished_run_does_nothing_more(self, tmp_path: Path) -> None:
        path = tmp_path / "last.pt"
        self.run(path, 2)
        assert self.run(path, 2)[1] == []

    def test_starts_anew_where_it_is_told_to(self, tmp_path: Path) -> None:
        path = tmp_path / "last.pt"
        self.run(path, 2)
        assert self.run(path, 1, enabled=False)[1] == [1, 1]
        assert torch.load(path, weights_only=True)["epoch"] == 1

    @pytest.mark.parametrize(
        "content",
        [b"", b"text that is no checkpoint", b"PK\x03\x04 no more"],
        ids=["empty", "text", "start of a zip"],
    )
    def test_damaged_checkpoint(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "last.pt"
        path.write_bytes(content)
        self.refused(path)

    def test_truncated_checkpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "last.pt"
        self.run(path, 1)
        path.write_bytes(path.read_bytes()[:-100])
        self.refused(path)

    @pytest.mark.parametrize(
        "content",
        [{"epoch": 1, "iteration": 2}, [1, 2], {"network": {}, "epoch": 1, "iteration": 2}],
        ids=str,
    )
    def test_checkpoint_of_something_else(self, tmp_path: Path, content: Any) -> None:
        path = tmp_path / "last.pt"
        torch.save(content, path)
        self.refused(path)

    def test_checkpoint_of_another_network(self, tmp_path: Path) -> None:
        path = tmp_path / "last.pt"
        self.run(path, 1)
        self.refused(path, width=4)

    def refused(self, path: Path, width: int = 3) -> None:
        before = path.read_bytes()
        with pytest.raises(InputError) as error:
            self.run(path, 2, width=width)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert path.read_bytes() == before, "a file that cannot be read is not overwritten"

    def test_killed_while_writing_keeps_the_one_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "last.pt"
        save_atomically({"epoch": 1}, path)

        def half(content: Any, staged: Path) -> None:
            Path(staged).write_bytes(b"PK half a file")
            raise KeyboardInterrupt

        monkeypatch.setattr(torch, "save", half)
        with pytest.raises(KeyboardInterrupt):
            save_atomically({"epoch": 2}, path)
        assert torch.load(path, weights_only=True) == {"epoch": 1}


def test_averaged_model() -> None:
    """After one step with momentum 1/4 the average has gone a quarter of the way; its state is the
    network's own.
    """
    network = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedModel(network, momentum=0.25)

    def step(engine: Engine, batch: int) -> None:
        with torch.no_grad():
            network.weight.fill_(8.0)

    engine = engine_of(step)
    averaged.attach(engine)
    engine.run([0], max_epochs=2)
    assert set(averaged.state_dict()) == {"weight"}
    assert averaged.state_dict()["weight"].tolist() == [[3.5, 3.5]]
    other = AveragedModel(nn.Linear(2, 1, bias=False), momentum=0.25)
    other.load_state_dict(averaged.state_dict())
    assert torch.equal(other.ema_model.weight, averaged.ema_model.weight)


class TestResumeOfAnotherTraining:
    """Three epochs with one learning rate and data; then again with what is given."""

    FACTS = {"learning_rate": 0.1, "fingerprints": {"training": "a" * 64}, "max_epochs": 3}

    def run(self, folder: Path, epochs: int = 4, anyway: bool = False, **changed: Any) -> Any:
        """The optimiser, behind its schedule, after a run."""
        facts = {**self.FACTS, **changed}
        network = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(network.parameters(), lr=facts["learning_rate"])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
        evaluator: Any = SimpleNamespace(state=SimpleNamespace(metrics={}, key_metric_name="error"))
        record = TrainingRecord(folder / "training.json", facts, evaluator)
        objects = {"network": network, "optimizer": optimizer, "lr_scheduler": schedule}
        engine = engine_of(lambda engine, batch: optimizer.step())
        record.attach(engine)
        Resume(folder / "last.pt", objects, True, record, anyway).attach(engine)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
        engine.run([0], max_epochs=epochs)
        return optimizer

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        self.run(tmp_path, 3)
        return tmp_path

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"learning_rate": 0.2}, "learning_rate 0.1, now 0.2"),
            ({"fingerprints": {"training": "b" * 64}}, "fingerprints#training aaaaaaaaaaaa"),
            ({"source": "t1"}, "source unknown, now t1"),
        ],
    )
    def test_refused_with_the_difference(
        self, folder: Path, changed: dict[str, Any], said: str
    ) -> None:
        before = (folder / "last.pt").read_bytes()
        with pytest.raises(UnsuitableInputError, match=said) as error:
            self.run(folder, **changed)
        assert error.value.code == "checkpoint.other_training"
        assert "--resume_anyway" in str(error.value)
        assert (folder / "last.pt").read_bytes() == before

    def test_one_that_says_nothing_is_refused(self, folder: Path) -> None:
        content = torch.load(folder / "last.pt", weights_only=True)
        del content["record"]
        torch.save(content, folder / "last.pt")
        with pytest.raises(UnsuitableInputError, match="does not say which data"):
            self.run(folder)

    def test_longer_is_the_same_training(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="mmccd")
        self.run(folder, 5, max_epochs=5)
        assert "resumed after epoch 3 of 5" in caplog.text
        record = json.loads((folder / "training.json").read_text())
        assert (record["epochs"], "resumed" in record) == (5, False)

    def test_nothing_to_do_is_said(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.run(folder, 3)
        assert "nothing more is done" in caplog.text

    def test_anyway_takes_what_is_given_and_says_so(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        optimizer = self.run(folder, anyway=True, learning_rate=0.2)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1), "half, by the schedule"
        assert "learning_rate 0.1, now 0.2" in caplog.text
        expected = [{"epoch": 3, "changed": {"learning_rate": [0.1, 0.2]}}]
        assert json.loads((folder / "training.json").read_text())["resumed"] == expected
        self.run(folder, 5, learning_rate=0.2)
        stored = torch.load(folder / "last.pt", weights_only=True)["record"]
        assert (stored["resumed"], stored["epochs"]) == (expected, 5)

    @pytest.mark.parametrize(
        ("changed", "kept"),
        [({"learning_rate": 0.2}, True), ({"fingerprints": {"validation": "c" * 64}}, False)],
    )
    def test_best_is_not_compared_over_two_data_sets(
        self, folder: Path, changed: dict[str, Any], kept: bool
    ) -> None:
        (folder / "best.pt").touch()
        self.run(folder, anyway=True, **changed)
        assert (folder / "best.pt").exists() == kept

    def test_a_new_training_forgets_the_best_of_the_one_before(self, tmp_path: Path) -> None:
        (tmp_path / "best.pt").touch()
        self.run(tmp_path, 1)
        assert not (tmp_path / "best.pt").exists()


class TestBestModel:
    @staticmethod
    def validate(best: BestModel, epoch: int, value: float) -> None:
        state = SimpleNamespace(
            metrics={"error": value, "other": 0.0}, key_metric_name="error", epoch=epoch
        )
        best(SimpleNamespace(state=state))  # type: ignore[arg-type]

    def test_lowest_value_is_kept(self, tmp_path: Path) -> None:
        network = nn.Linear(1, 1)
        best = BestModel(tmp_path / "best.pt", network)
        for epoch, value in enumerate((0.9, 0.5, 0.7, 0.6), start=1):
            nn.init.constant_(network.weight, epoch)
            self.validate(best, epoch, value)
        content = torch.load(tmp_path / "best.pt", weights_only=True)
        assert (content["value"], content["epoch"], content["network"]["weight"].item()) == (
            0.5,
            2,
            2.0,
        )

    def test_resumed_run_goes_on_comparing(self, tmp_path: Path) -> None:
        self.validate(BestModel(tmp_path / "best.pt", nn.Linear(1, 1)), 3, 0.4)
        again = BestModel(tmp_path / "best.pt", nn.Linear(1, 1))
        self.validate(again, 4, 0.6)
        assert torch.load(tmp_path / "best.pt", weights_only=True)["epoch"] == 3
        self.validate(again, 5, 0.3)
        assert torch.load(tmp_path / "best.pt", weights_only=True)["epoch"] == 5

    def test_best_of_a_run_that_starts_anew_is_replaced(self, tmp_path: Path) -> None:
        """A best.pt of a later epoch belongs to an earlier run."""
        self.validate(BestModel(tmp_path / "best.pt", nn.Linear(1, 1)), 9, 0.1)
        self.validate(BestModel(tmp_path / "best.pt", nn.Linear(1, 1)), 1, 0.8)
        assert torch.load(tmp_path / "best.pt", weights_only=True)["value"] == 0.8

    def test_nan_is_not_best(self, tmp_path: Path) -> None:
        self.validate(BestModel(tmp_path / "best.pt", nn.Linear(1, 1)), 1, math.nan)
        assert not (tmp_path / "best.pt").exists()


class TestTimeBudget:
    @staticmethod
    def epochs(
        monkeypatch: pytest.MonkeyPatch, minutes: float | None, minutes_per_epoch: float
    ) -> int:
        now = [0.0]
        for module in (handlers, record):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

        def step(engine: Engine, batch: int) -> None:
            now[0] += 60 * minutes_per_epoch / 2

        engine = engine_of(step)
        TimeBudget(minutes).attach(engine)
        return int(engine.run([0, 1], max_epochs=10).epoch)

    @pytest.mark.parametrize(
        ("minutes", "per_epoch", "epochs"), [(None, 1e6, 10), (0, 0.1, 1), (5, 2, 3), (100, 1, 10)]
    )
    def test_ends_after_the_epoch_that_used_it_up(
        self, monkeypatch: pytest.MonkeyPatch, minutes: float | None, per_epoch: float, epochs: int
    ) -> None:
        assert self.epochs(monkeypatch, minutes, per_epoch) == epochs

    def test_epoch_is_finished(self, monkeypatch: pytest.MonkeyPatch) -> None:
        iterations: list[int] = []
        now = [0.0]
        for module in (handlers, record):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

        def step(engine: Engine, batch: int) -> None:
            iterations.append(batch)
            now[0] += 1000

        engine = engine_of(step)
        TimeBudget(1).attach(engine)
        engine.run([0, 1, 2], max_epochs=5)
        assert iterations == [0, 1, 2]


class TestTrainingRecord:
    CONTENT = {"source": "flair", "target": "t2", "seed": 3}

    @classmethod
    def run(
        cls,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        epochs: int,
        seconds: float,
        start: int = 0,
    ) -> dict[str, Any]:
        """The record of a run whose epochs take that long."""
        now = [100.0]
        for module in ("handlers", "record"):
            monkeypatch.setattr(
                f"mmccd.training.{module}.time", SimpleNamespace(monotonic=lambda: now[0])
            )
        evaluator = SimpleNamespace(
            state=SimpleNamespace(metrics={"error": np.float32(0.5)}, key_metric_name="error")
        )

        def step(engine: Engine, batch: int) -> None:
            now[0] += seconds

        def resume(engine: Engine) -> None:
            engine.state.epoch = start

        engine = engine_of(step)
        engine.add_event_handler(Events.STARTED, resume)
        facts = {**cls.CONTENT, **normalisations(cls.CONTENT, "paper")}
        TrainingRecord(path, facts, evaluator).attach(engine)  # type: ignore[arg-type]
        engine.run([0], max_epochs=epochs)
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def test_content(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        record = self.run(tmp_path / "training.json", monkeypatch, 2, 60)
        assert (record["source"], record["target"], record["seed"], record["epochs"]) == (
            "flair",
            "t2",
            3,
            2,
        )
        assert record["normalisation"]["flair"]["upper"] == 90.0
        assert record["normalisation"]["t2"]["upper"] == 98.0
        assert (record["key_metric"], record["last_validation"]) == ("error", {"error": 0.5})
        assert {"mmccd", "torch", "monai"} <= set(record["versions"])
        assert record["command"]

    def test_minutes_of_all_runs_add_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "training.json"
        assert self.run(path, monkeypatch, 3, 120)["minutes"] == pytest.approx(6, abs=0.02)
        assert self.run(path, monkeypatch, 5, 60, start=3)["minutes"] == pytest.approx(8, abs=0.02)
        assert self.run(path, monkeypatch, 1, 60)["minutes"] == pytest.approx(1, abs=0.02), (
            "a run that starts anew counts anew"
        )

    def test_short_epochs_count_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(tmp_path / "training.json", monkeypatch, 240, 0.25)[
            "minutes"
        ] == pytest.approx(1, abs=0.05)

    def test_record_says_which_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without the names of folders, which may tell who somebody is."""
        words = [
            "/usr/lib/monai/bundle/__main__.py",
            "run",
            "--config_file",
            "configs/train.json",
            "--dataset_dir",
            "/home/someone/data",
        ]
        monkeypatch.setattr("sys.argv", words)
        command = self.run(tmp_path / "training.json", monkeypatch, 1, 1)["command"]
        assert "run --config_file configs/train.json" in command
        assert "someone" not in command


def batch_of(count: int, size: int = 64) -> dict[str, Tensor]:
    """Pairs of slices with a disc of brain."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    brain = ((rows - size / 2) ** 2 + (columns - size / 2) ** 2 < (0.35 * size) ** 2).float()
    image = torch.randn(count, 1, size, size, generator=generator)
    return {"image": image, "label": image + 1, "brain": brain.expand(count, 1, size, size)}


class TestStripPrepareBatch:
    def test_same_at_every_validation(self) -> None:
        first, again = (StripPrepareBatch(seed=2)(batch_of(6), "cpu") for _ in range(2))
        torch.manual_seed(99)
        third = StripPrepareBatch(seed=2)(batch_of(6), "cpu")
        for other in (again, third):
            assert all(
                torch.equal(first[3][key], other[3][key]) for key in ("mask", "noise", "initial")
            )
        different = StripPrepareBatch(seed=3)(batch_of(6), "cpu")
        assert not torch.equal(different[3]["noise"], first[3]["noise"])
        assert torch.equal(different[3]["mask"], first[3]["mask"])

    def test_batch(self) -> None:
        data = batch_of(6)
        source, truth, arguments, named = StripPrepareBatch(width=16)(data, "cpu")
        assert arguments == ()
        assert torch.equal(source, data["image"])
        assert torch.equal(truth["source"], data["image"])
        assert torch.equal(truth["target"], data["label"])
        assert torch.equal(truth["brain"], data["brain"] > 0.5)
        assert torch.equal(truth["mask"], named["mask"])
        assert named["mask"].dtype == torch.bool
        known = {mask.numpy().tobytes() for mask in strip_masks((64, 64), 16, 8)}
        assert all(mask.numpy().tobytes() in known for mask in named["mask"][:, 0])
        assert len({mask.numpy().tobytes() for mask in named["mask"]}) > 3, (
            "different strips in one batch"
        )
        assert all(
            (mask & brain).sum() > 300
            for mask, brain in zip(named["mask"], truth["brain"], strict=True)
        ), "strips cross the brain"
        assert not torch.equal(named["noise"][0], named["noise"][1])
        assert not torch.equal(named["noise"], named["initial"])

    def test_of_a_range_the_widest_is_measured(self) -> None:
        named = [StripPrepareBatch(width=width)(batch_of(6), "cpu")[3] for width in (24, [8, 24])]
        assert torch.equal(named[0]["mask"], named[1]["mask"])


def test_pair_prepare_batch() -> None:
    data = batch_of(2)
    source, truth = PairPrepareBatch()(data, "cpu")
    assert torch.equal(source, data["image"])
    assert torch.equal(truth["target"], data["label"])
    assert truth["brain"].dtype == torch.bool


class TestMaskedTranslationInferer:
    def test_covered_source_is_not_seen(self) -> None:
        """A network that copies its condition gives the source outside the strip and the noise
        under it.
        """
        data = batch_of(4)
        source, truth, _, named = StripPrepareBatch()(data, "cpu")
        for steps in (1, 5):
            inferer = MaskedTranslationInferer(MaskedDiffusionScheduler(), steps)
            found = inferer(source, lambda inputs, times: inputs[:, 1:], **named)
            assert tuple(found.shape) == (4, 2, 64, 64)
            mask = truth["mask"]
            assert torch.allclose(found[:, :1][~mask], source[~mask], atol=1e-5)
            assert torch.allclose(found[:, :1][mask], named["noise"][mask], atol=1e-5)
            assert found[:, 1].isnan().all(), "without g nothing returns"

    def test_with_g(self) -> None:
        source, _, _, named = StripPrepareBatch()(batch_of(3), "cpu")
        backward = nn.Conv2d(1, 1, 1).train()
        found = MaskedTranslationInferer(MaskedDiffusionScheduler(), 2, backward)(
            source, lambda inputs, times: inputs[:, 1:], **named
        )
        assert not backward.training
        with torch.no_grad():
            assert torch.allclose(found[:, 1:], backward(found[:, :1]), atol=1e-5)


class TestMetrics:
    @pytest.fixture
    def output(self) -> dict[str, Any]:
        """Engine output with errors, strips and a brain of random shape."""
        generator = torch.Generator().manual_seed(1)
        pred = torch.randn(5, 2, 8, 8, generator=generator)
        truth = {key: torch.randn(5, 1, 8, 8, generator=generator) for key in ("target", "source")}
        truth |= {
            key: torch.rand(5, 1, 8, 8, generator=generator) > 0.5 for key in ("brain", "mask")
        }
        return {"pred": pred, "label": truth}

    @pytest.mark.parametrize(
        ("transform", "channel", "against", "where"),
        [
            (masked_error, 0, "target", "masked"),
            (visible_error, 0, "target", "visible"),
            (cycle_error, 1, "source", "masked"),
        ],
    )
    def test_mean_over_the_chosen_voxels(
        self,
        output: dict[str, Any],
        transform: Callable[[Any], tuple[Tensor, Tensor]],
        channel: int,
        against: str,
        where: str,
    ) -> None:
        metric = MeanError(output_transform=lambda item: item)
        for part in (slice(0, 2), slice(2, 5)):
            batch = {
                "pred": output["pred"][part],
                "label": {key: value[part] for key, value in output["label"].items()},
            }
            metric.update(transform(batch))
        truth = {key: value.numpy()[:, 0] for key, value in output["label"].items()}
        region = truth["brain"] & (truth["mask"] if where == "masked" else ~truth["mask"])
        expected = np.abs(output["pred"].numpy()[:, channel] - truth[against])[region].mean()
        assert metric.compute() == pytest.approx(expected, rel=1e-6)
        metric.reset()
        assert math.isnan(metric.compute())

    def test_brain_error(self, output: dict[str, Any]) -> None:
        metric = MeanError(output_transform=lambda item: item)
        metric.update(brain_error({"pred": output["pred"][:, :1], "label": output["label"]}))
        truth = {key: value.numpy()[:, 0] for key, value in output["label"].items()}
        expected = np.abs(output["pred"].numpy()[:, 0] - truth["target"])[truth["brain"]].mean()
        assert metric.compute() == pytest.approx(expected, rel=1e-6)

    def test_batches_count_by_their_voxels(self) -> None:
        """Not by their number: three voxels with error 1 and one with error 5."""
        metric = MeanError(output_transform=lambda item: item)
        metric.update((torch.ones(3), torch.ones(3)))
        metric.update((torch.full((9,), 5.0), torch.eye(9)[0]))
        assert metric.compute() == pytest.approx(2.0)


class TestLoadTrained:
    def test_none(self) -> None:
        assert load_trained(nn.Linear(1, 1), None, torch.device("cpu")) is None

    @pytest.mark.parametrize("key", ["network", "averaged", None])
    def test_kinds_of_files(self, tmp_path: Path, key: str | None) -> None:
        trained = nn.Linear(2, 1)
        state: dict[str, Any] = dict(trained.state_dict())
        zeros = {name: torch.zeros_like(value) for name, value in state.items()}
        content = state if key is None else {"network": zeros, key: state}
        torch.save(content, tmp_path / "w.pt")
        found = load_trained(nn.Linear(2, 1), tmp_path / "w.pt", torch.device("cpu"))
        assert found is not None
        assert torch.equal(found.weight, trained.weight)  # type: ignore[arg-type]
        assert not found.training

    @pytest.mark.parametrize("content", [b"", b"text that is no checkpoint"], ids=["empty", "text"])
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "w.pt").write_bytes(content)
        with pytest.raises(InputError) as error:
            load_trained(nn.Linear(2, 1), tmp_path / "w.pt", torch.device("cpu"))
        assert "w.pt" in str(error.value)
        assert "\n" not in str(error.value)

    def test_of_another_network(self, tmp_path: Path) -> None:
        torch.save(nn.Linear(3, 1).state_dict(), tmp_path / "w.pt")
        with pytest.raises(InputError, match="w.pt"):
            load_trained(nn.Linear(2, 1), tmp_path / "w.pt", torch.device("cpu"))
