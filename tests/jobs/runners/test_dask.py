"""mmccd.jobs.runners.dask: several processes give what one gives, and survive that one of them is
killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from tests.jobs.conftest import Cohort

from mmccd.apps.cli import cli

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed", reason="the extra cohort is not installed")


from mmccd.core import ModelError, ResourceError, Settings, UsageError  # noqa: E402
from mmccd.jobs.inputs import Input  # noqa: E402
from mmccd.jobs.pipelines import Pipelines  # noqa: E402
from mmccd.jobs.runners import cluster, dask as workers  # noqa: E402
from mmccd.jobs.task import Task  # noqa: E402

PATIENCE_S = 500


def wait_for_work(cohort: Cohort, main: psutil.Process) -> list[psutil.Process]:
    """The worker processes, once both of them are in the midst of a case."""
    deadline = time.monotonic() + PATIENCE_S
    while (
        len(list(cohort.output.glob("*/.mmccd_staging"))) < 2
        and main.is_running()
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return [
        child
        for child in main.children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def test_two_workers_of_which_one_is_killed(cohort: Cohort) -> None:
    """The case it had is run again; the bad file fails alone; every voxel is as in one process."""
    cohort.spoil()
    process = cohort.start("--workers", "2", "--threads", "1")
    try:
        running = wait_for_work(cohort, psutil.Process(process.pid))
        running[0].kill()
        output, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert len(running) == 2
    assert process.returncode == 3, errors
    assert "2 done, 1 failed" in output
    cases = json.loads((cohort.output / "cohort.json").read_text())["cases"]
    assert [(case["name"], case["exit_code"]) for case in cases] == [
        ("bad", 3),
        ("healthy", 0),
        ("lesion", 0),
    ]
    assert all(line.startswith(("INFO mmccd", "mmccd: bad")) for line in errors.splitlines()), (
        errors
    )
    assert not list(cohort.output.rglob(".*"))
    alone = cohort.folder / "alone"
    words = [
        str(alone) if word == str(cohort.output) else word
        for word in cohort.words("--threads", "1")
    ]
    assert cli.run(words) == 3
    for name in ("healthy", "lesion"):
        for image in ("anomaly_map", "segmentation", "brain_mask"):
            found, expected = (
                nib.load(folder / name / f"{image}.nii.gz").get_fdata()
                for folder in (cohort.output, alone)
            )
            assert np.array_equal(found, expected)
            assert expected.any()


def test_ctrl_c_ends_the_workers_too(cohort: Cohort) -> None:
    process = cohort.start("--workers", "2")
    try:
        running = wait_for_work(cohort, psutil.Process(process.pid))
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    (line,) = [line for line in errors.splitlines() if not line.startswith("INFO")]
    assert "of 2 cases are complete" in line
    assert running
    assert not psutil.wait_procs(running, timeout=60)[1], "workers outlive the run"
    assert json.loads((cohort.output / "cohort.json").read_text())["status"] == "cancelled"
    assert not list(cohort.output.rglob(".*"))


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """A run in the background of a shell passes on that Ctrl-C is to be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_ctrl_c")
def test_a_worker_takes_no_notice_of_ctrl_c(capfd: pytest.CaptureFixture[str]) -> None:
    """It goes to all processes of a terminal; ours decides, and nobody else says anything. What a
    worker has started ends by it.
    """

    def interrupted_child() -> int:
        with subprocess.Popen(["sleep", "60"]) as child:
            child.send_signal(signal.SIGINT)
            return child.wait()

    with cluster.connected(cluster.Workers(2, threads=1), 2) as client:
        before = client.run(os.getpid)
        assert len(before) == 2
        for number in before.values():
            os.kill(number, signal.SIGINT)
        time.sleep(0.5)
        assert client.run(os.getpid) == before
        ended = client.run(interrupted_child)
    assert set(ended.values()) == {-signal.SIGINT}
    assert capfd.readouterr().err == ""


class FakeFuture:
    """A future that ended with an error, or with a result."""

    status = "error"

    def __init__(self, ending: object) -> None:
        self.ending = ending

    def result(self) -> object:
        if isinstance(self.ending, Exception):
            raise self.ending
        return self.ending

    def cancelled(self) -> bool:
        return self.status == "cancelled"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A case that a dead worker left half-written."""
    (tmp_path / "a" / ".mmccd_staging").mkdir(parents=True)
    return Task(1, Input(tmp_path / "a.nii", "a"), tmp_path / "a", "a")


def test_a_case_that_kills_its_workers(task: Task) -> None:
    outcome = workers._outcome(FakeFuture(distributed.KilledWorker("key", "worker", 2)), task)
    assert (outcome.state, outcome.exit_code) == ("failed", 7)
    assert "killed" in str(outcome.error)
    assert not task.output.exists()


def test_a_worker_that_cannot_take_part(task: Task) -> None:
    with pytest.raises(ModelError, match="other weights"):
        workers._outcome(FakeFuture(cluster.Stopped(6, "other weights")), task)
    with pytest.raises(UsageError, match="same version"):
        workers._outcome(FakeFuture(ModuleNotFoundError("No module named mmccd")), task)
    lost = FakeFuture(RuntimeError("lost"))
    lost.status = "cancelled"
    with pytest.raises(ResourceError, match="connection"):
        workers._outcome(lost, task)


def test_other_versions_and_weights_are_refused(
    shared_bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_PIPELINES", Pipelines())
    settings = Settings(bundles=str(shared_bundles), preset="fast", device="cpu", threshold=0.5)
    weights = workers._weights(settings)
    good = workers.Order(cluster.Terms(1, {}, False, cluster.mmccd.__version__), weights)
    assert workers._pipeline(good, settings, "a") is workers._pipeline(good, settings, "a"), (
        "the models are loaded once"
    )
    with pytest.raises(UsageError, match="expected 0.0"):
        workers._pipeline(replace(good, terms=replace(good.terms, version="0.0")), settings, "a")
    with pytest.raises(ModelError, match="other weights"):
        workers._pipeline(replace(good, weights={**weights, "forward": "x"}), settings, "a")


@pytest.mark.parametrize(
    ("name", "worker", "count", "device"),
    [
        ("auto", 1, 0, "auto"),
        ("auto", 1, 1, "auto"),
        ("cuda", 1, 2, "cuda:1"),
        ("auto", 3, 2, "cuda:1"),
        ("cuda:0", 1, 2, "cuda:0"),
        ("cpu", 1, 2, "cpu"),
    ],
)
def test_each_worker_takes_its_own_gpu(name: str, worker: int, count: int, device: str) -> None:
    assert cluster.worker_device(name, worker, count) == device


@pytest.mark.parametrize(
    ("address", "machine"), [("tcp://10.0.0.2:4567", "10.0.0.2"), ("tls://[::1]:99", "[::1]")]
)
def test_machine(address: str, machine: str) -> None:
    assert cluster._machine(address) == machine


def test_no_scheduler_answers(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    assert cli.run(cohort.words("--scheduler", "tcp://127.0.0.1:9")) == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err
    assert not (cohort.output / "healthy").exists()


@pytest.mark.parametrize(
    "flags",
    [("--workers", "0"), ("--threads", "0"), ("--workers", "2", "--scheduler", "tcp://x:1")],
)
def test_wrong_usage(cohort: Cohort, flags: tuple[str, ...]) -> None:
    assert cli.run(cohort.words(*flags)) == 2
