"""Several studies at a time."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.apps.pacs.fakes import UID, Application, FakeArchive, Make

from mmccd.apps.pacs import application
from mmccd.apps.pacs.application import Applications
from mmccd.apps.pacs.lanes import Lanes
from mmccd.core import CancelledError, Settings
from mmccd.jobs import Worker

NAMES = [str(number) for number in range(6)]


def nothing() -> None:
    pass


class TestLanes:
    """Threads that take one thing after the other."""

    @pytest.mark.parametrize("count", [1, 3, 9])
    def test_all_are_done_once(self, count: int) -> None:
        done: list[str] = []
        lanes = Lanes(count, done.append, nothing)
        lanes.run(NAMES)
        assert sorted(done) == NAMES
        if count == 1:
            assert done == NAMES, "in their order"
        lanes.run([])

    def test_an_error_lets_nothing_further_begin(self) -> None:
        """What the others have begun they end."""
        begun, ended = [], []
        together = threading.Barrier(2)

        def work(name: str) -> None:
            begun.append(name)
            together.wait(5)
            if name == "0":
                raise ValueError(name)
            time.sleep(0.2)
            ended.append(name)

        with pytest.raises(ValueError, match="0"):
            Lanes(2, work, nothing).run(NAMES)
        assert sorted(begun) == ["0", "1"]
        assert ended == ["1"]

    def test_they_end_when_the_caller_is_told_to(self) -> None:
        """A signal reaches the calling thread; the others notice at the next beat."""
        given_up: list[str] = []

        def work(name: str) -> None:
            try:
                while True:
                    lanes.check()
                    time.sleep(0.01)
            except CancelledError:
                given_up.append(name)
                raise

        def told() -> None:
            raise CancelledError("SIGTERM")

        lanes = Lanes(3, work, told)
        with pytest.raises(CancelledError, match="SIGTERM"):
            lanes.run(NAMES)
        assert sorted(given_up) == ["0", "1", "2"]


class TestOverlap:
    """The next study is fetched and the former stored while one is predicted."""

    @pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (1, 1), (2, 1)])
    def test_no_more_than_are_allowed(
        self,
        archive: FakeArchive,
        application: Application,
        make: Make,
        workers: int,
        ahead: int,
    ) -> None:
        for number in range(5):
            archive.add(f"{UID}.{number}")
        service = make(workers=workers, ahead=ahead)
        one = threading.Lock()
        now, most, fetched_meanwhile = [0], [0], [0]

        def predict(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
            with one:
                now[0] += 1
                most[0] = max(most[0], now[0])
                before = sum(bool(archive.fetched(uid)) for uid in archive.studies)
            time.sleep(0.1)
            after = sum(bool(archive.fetched(uid)) for uid in archive.studies)
            with one:
                now[0] -= 1
                fetched_meanwhile[0] += after - before
            application(name, source, output, beat)

        service.predict = predict
        assert service.once() == 0
        assert len(application.seen) == 6
        assert most[0] == workers
        assert (fetched_meanwhile[0] > 0) == (ahead > 0)


HOW = """
import os, time
from mmccd.jobs.outcome import waiting

def run(task, make_pipeline, console):
    task.output.mkdir()
    (task.output / "seen").write_text(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}")
    end = time.monotonic() + 20
    while len(list(task.output.parent.glob("*/seen"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    return waiting(task).ended(0 if time.monotonic() < end else 7, "alone")
"""


def test_working_processes_share_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at a time, each with its part of the cores; none stays."""
    (tmp_path / "how.py").write_text(HOW)
    monkeypatch.setattr(application, "Worker", partial(Worker, "how:run"))
    path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("OMP_NUM_THREADS", None)
    applications = Applications(2, Settings(device="cpu"), environment)
    errors: list[BaseException] = []

    def predict(name: str) -> None:
        try:
            applications(f"study-{name}", tmp_path / "in", tmp_path / name, nothing)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=predict, args=(name,)) for name in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    seen = [(tmp_path / name / "seen").read_text().split() for name in ("1", "2")]
    cores = len(os.sched_getaffinity(0))
    assert {threads for _, threads in seen} == {str(max(1, cores // 2))}
    workers = [psutil.Process(int(pid)) for pid, _ in seen]
    assert workers[0] != workers[1]
    applications.close()
    assert not psutil.wait_procs(workers, timeout=10)[1]
