"""mmccd.apps.pacs.application with a few lines that stand for the prediction."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from mmccd.apps.pacs import application
from mmccd.apps.pacs.application import Application, own_variables, settings_file
from mmccd.core import Settings
from mmccd.core.errors import CancelledError, MmccdError
from mmccd.jobs import Worker

HOW = """
import json, os, signal, time
from mmccd.jobs.outcome import waiting

def run(task, make_pipeline, console):
    task.output.mkdir()
    (task.output / "pid").write_text(str(os.getpid()))
    console.stage("read")
    over = waiting(task).ended
"""
Make = Callable[[str], Application]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes an application whose prediction is a line of Python, which returns ``over(code)``."""
    made: list[Application] = []

    def program(line: str) -> Application:
        (tmp_path / "how.py").write_text(f"{HOW}    {line}\n")
        monkeypatch.setattr(application, "Worker", partial(Worker, "how:run"))
        path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
        secret = {"MMCCD_PACS_PASSWORD": "secret-word", "MMCCD_PRESET": "fast"}
        made.append(Application(Settings(), {**os.environ, **secret, "PYTHONPATH": path}))
        return made[-1]

    yield program
    for one in made:
        one.close()


def nothing() -> None:
    pass


def worker_of(output: Path) -> int:
    return int((output / "pid").read_text())


def test_its_variables(tmp_path: Path, make: Make) -> None:
    """It gets its own variables, and never the password."""
    line = "(task.output / 'seen').write_text(json.dumps(dict(os.environ))); return over(0)"
    make(line)("study-1", tmp_path / "in", tmp_path / "out", nothing)
    seen = (tmp_path / "out" / "seen").read_text()
    assert '"MMCCD_PRESET": "fast"' in seen
    assert "secret-word" not in seen
    assert own_variables({"MMCCD_PACS_URL": "x", "PATH": "y"}) == {"PATH": "y"}


def test_the_models_stay_from_one_study_to_the_next(tmp_path: Path, make: Make) -> None:
    predict = make("return over(0 if task.shown != 'study-2' else 4, 'no FLAIR')")
    for number in (1, 3):
        predict(f"study-{number}", tmp_path / "in", tmp_path / str(number), nothing)
    with pytest.raises(MmccdError, match="no FLAIR"):
        predict("study-2", tmp_path / "in", tmp_path / "2", nothing)
    assert len({worker_of(tmp_path / str(number)) for number in (1, 2, 3)}) == 1


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("return over(4, 'no FLAIR')", 4, "no FLAIR"),
        ("return over(6, 'no model')", 6, "no model"),
        ("return over(2, 'no such device')", 2, "no such device"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 7, "want of memory"),
        ("os.kill(os.getpid(), signal.SIGABRT)", 1, "SIGABRT"),
    ],
)
def test_failures(tmp_path: Path, make: Make, line: str, code: int, message: str) -> None:
    with pytest.raises(MmccdError, match=message) as found:
        make(line)("study-1", tmp_path / "in", tmp_path / "out", nothing)
    assert found.value.exit_code == code


@pytest.mark.parametrize("code", [2, 6])
def test_what_an_administrator_puts_right_is_seen(tmp_path: Path, make: Make, code: int) -> None:
    """Wrong settings and missing models are looked at again by a new process."""
    predict, processes = make(f"return over({code}, 'not there')"), []
    for name in ("one", "two"):
        with pytest.raises(MmccdError, match="not there"):
            predict("study-1", tmp_path / "in", tmp_path / name, nothing)
        pid = tmp_path / name / "pid"
        processes.append(pid.read_text())
    assert processes[0] != processes[1]


def test_it_ends_with_the_service(tmp_path: Path, make: Make) -> None:
    """SIGTERM reaches the service while the prediction is at work: nothing stays behind."""
    output = tmp_path / "out"

    def beat() -> None:
        if (output / "pid").is_file() and (output / "pid").read_text():
            workers.append(psutil.Process(worker_of(output)))
            raise CancelledError("SIGTERM")

    workers: list[psutil.Process] = []
    with pytest.raises(CancelledError):
        make("time.sleep(60)")("study-1", tmp_path / "in", output, beat)
    assert not psutil.wait_procs(workers, timeout=10)[1]


def test_settings_of_the_application(tmp_path: Path) -> None:
    """The mounted file, else the one beside the application."""
    beside, mounted = tmp_path / "app" / "app.yaml", tmp_path / "app.yaml"
    beside.parent.mkdir()
    places = {
        "HOLOSCAN_CONFIG_PATH": str(mounted),
        "HOLOSCAN_APPLICATION": str(beside.parent),
    }
    assert settings_file({}) is None
    assert settings_file(places) is None
    beside.touch()
    assert settings_file(places) == beside
    mounted.touch()
    assert settings_file(places) == mounted
