"""mmccd.jobs.runners.supervised: a process that hangs, grows or dies takes but its task with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mmccd.core.errors import MmccdError
from mmccd.jobs.account import Account
from mmccd.jobs.inputs import Input
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.run import run_tasks
from mmccd.jobs.runners.supervised import Limits, Supervised, Worker
from mmccd.jobs.states import Stage, State
from mmccd.jobs.task import Task

HOW = """
import dataclasses, os, pathlib, sys, time
from mmccd.core import UsageError
from mmccd.jobs.outcome import waiting

kept = []

def run(task, make_pipeline, console):
    console.stage("read")
    print("what a library prints is no event")
    kept.append(os.getpid())
    outcome = waiting(task).ended(0, seconds=1.0, warnings=(f"{os.getpid()} {len(kept)}",))
"""


def supervised(folder: Path, body: str, limits: Limits | None = None) -> Supervised:
    """A runner whose tasks are a few lines of Python, which know ``task`` and return ``outcome``.
    The module is found in ``folder``.
    """
    lines = [*body.splitlines(), "return outcome"]
    (folder / "how.py").write_text(HOW + "".join(f"    {line}\n" for line in lines))
    path = os.pathsep.join([str(folder), *(place for place in sys.path if place)])
    return Supervised(
        Worker("how:run", environment={**os.environ, "PYTHONPATH": path}), limits or Limits()
    )


def tasks_in(folder: Path, count: int = 2) -> list[Task]:
    names = [f"s{number}" for number in range(count)]
    return [
        Task(number, Input(folder, name), folder / name, name)
        for number, name in enumerate(names, 1)
    ]


def outcomes(run: Supervised, tasks: Sequence[Task]) -> list[Outcome]:
    account = Account(tasks)
    with run:
        run_tasks(account, run, lambda account, change: None)
    return list(account.outcomes.values())


HALF_WRITTEN = "os.makedirs(task.output / '.mmccd_staging')\n"


def test_all_well(tmp_path: Path) -> None:
    """One process works on all tasks, and says how much memory it has."""
    found = outcomes(supervised(tmp_path, ""), tasks_in(tmp_path, 3))
    assert [one.exit_code for one in found] == [0, 0, 0]
    (processes, counts) = zip(*(one.warnings[0].split() for one in found), strict=True)
    assert len(set(processes)) == 1
    assert counts == ("1", "2", "3")
    assert all(one.memory_mib for one in found)


def test_it_stays_from_one_run_to_the_next(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path)
    with supervised(tmp_path, "") as run:
        first, second = (
            [change for change in run([task]) if change is not None][-1] for task in tasks
        )
        process = psutil.Process(int(first.warnings[0].split()[0]))
        assert process.is_running()
    assert second.warnings[0].split()[1] == "2"
    assert not psutil.wait_procs([process], timeout=10)[1]


def test_what_is_told_of_a_task(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(1.2)") as run:
        changes = list(run(tasks_in(tmp_path, 1)))
    assert None in changes, "time passes"
    told = [(change.state, change.stage) for change in changes if change is not None]
    assert told[:2] == [(State.RUNNING, None), (State.RUNNING, Stage.READ)]
    assert told[-1][0] is State.DONE


@pytest.mark.parametrize("wanted", [True, False])
def test_how_far_a_stage_is(tmp_path: Path, wanted: bool) -> None:
    """Told only where it is wanted, at most twice a second, and not of the stage before."""
    body = (
        "for done in range(100):\n    console.progress(done + 1, 200)\ntime.sleep(0.6)\n"
        'console.progress(150, 200)\nconsole.stage("write")'
    )
    run = supervised(tmp_path, body)
    run._worker = replace(run._worker, tells_progress=wanted)
    with run:
        changes = [change for change in run(tasks_in(tmp_path, 1)) if change is not None]
    shares = [change.share for change in changes if change.share is not None]
    assert shares == ([0.005, 0.75] if wanted else [])
    assert [change.share for change in changes if change.stage is Stage.WRITE] == [None]
    assert changes[-1].state is State.DONE


def test_the_way_to_more_time_is_named(tmp_path: Path) -> None:
    limits = Limits(timeout_s=0.5, raised_by="--timeout-s")
    (found,) = outcomes(supervised(tmp_path, "time.sleep(60)", limits), tasks_in(tmp_path, 1))
    assert "raise --timeout-s" in str(found.error)


def test_a_task_that_hangs_does_not_stop_the_next(tmp_path: Path) -> None:
    body = f"if task.number == 1:\n    {HALF_WRITTEN}    time.sleep(60)"
    found = outcomes(supervised(tmp_path, body, Limits(timeout_s=1.0)), tasks_in(tmp_path))
    assert [one.exit_code for one in found] == [7, 0]
    assert "took longer than 1 s, in the stage read" in str(found[0].error)
    assert not (tmp_path / "s0").exists()


def test_a_task_that_takes_too_much_memory(tmp_path: Path) -> None:
    body = "if task.number == 1:\n    kept.append(bytearray(600 * 2**20))\n    time.sleep(60)"
    found = outcomes(supervised(tmp_path, body, Limits(memory_mib=500.0)), tasks_in(tmp_path))
    assert [one.exit_code for one in found] == [7, 0]
    assert "expected at most 500" in str(found[0].error)


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("os.kill(os.getpid(), 9)", 7, "want of memory"),
        ("os.abort()", 1, "SIGABRT"),
        ("os._exit(5)", 1, "exit code 5"),
        ("raise ValueError('Mustermann')", 1, "exit code 1"),
    ],
)
def test_a_worker_that_dies(
    tmp_path: Path, end: str, code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    body = f"if task.number == 1:\n    {HALF_WRITTEN}    {end}"
    found = outcomes(supervised(tmp_path, body), tasks_in(tmp_path))
    assert [one.exit_code for one in found] == [code, 0]
    assert words in str(found[0].error)
    assert not (tmp_path / "s0").exists()
    assert "Mustermann" not in capfd.readouterr().err


def test_a_worker_that_never_begins(tmp_path: Path) -> None:
    run = supervised(tmp_path, "")
    (tmp_path / "how.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(MmccdError, match="ended before it began"):
        outcomes(run, tasks_in(tmp_path))


@pytest.mark.parametrize(
    "loading",
    [
        "raise MemoryError",
        "import os\nos.kill(os.getpid(), 9)",
        "raise ImportError('libx.so: failed to map segment from shared object')",
        "raise OSError(12, 'Cannot allocate memory')",
    ],
)
def test_no_memory_to_load_the_worker(tmp_path: Path, loading: str) -> None:
    """Each task ends with exit code 7, and the next one is tried."""
    run = supervised(tmp_path, "")
    (tmp_path / "how.py").write_text(f"{loading}\n")
    found = outcomes(run, tasks_in(tmp_path))
    assert [(one.exit_code, one.code) for one in found] == [(7, "resource.memory")] * 2
    assert "while it was loaded" in str(found[0].error)


def test_no_memory_for_the_worker_itself(tmp_path: Path) -> None:
    """What it imports before it can tell anything."""
    run = supervised(tmp_path, "")
    (tmp_path / "psutil.py").write_text("raise MemoryError\n")
    assert [one.exit_code for one in outcomes(run, tasks_in(tmp_path, 1))] == [7]


def test_no_memory_for_what_a_task_imports(tmp_path: Path) -> None:
    found = outcomes(supervised(tmp_path, "raise MemoryError"), tasks_in(tmp_path, 1))
    assert [(one.exit_code, one.code) for one in found] == [(7, "resource.memory")]


@pytest.mark.parametrize("at_once", [True, False])
def test_an_error_that_ends_the_run(tmp_path: Path, at_once: bool) -> None:
    run = supervised(tmp_path, "return waiting(task).ended(2, 'no such device')")
    if at_once:
        text = "from mmccd.core import UsageError\nraise UsageError('no such device')\n"
        (tmp_path / "how.py").write_text(text)
    with pytest.raises(MmccdError, match="no such device") as caught:
        outcomes(run, tasks_in(tmp_path))
    assert caught.value.exit_code == 2


def test_cancelled_in_the_middle(tmp_path: Path) -> None:
    """The process is gone, and nothing is half-written."""
    run = supervised(tmp_path, f"{HALF_WRITTEN}(task.output / 'pid').touch()\ntime.sleep(60)")
    # What other tests of this process left running (a resource tracker, say) is none of ours.
    before = set(psutil.Process().children())
    with run, closing(run(tasks_in(tmp_path, 1))) as changes:
        while not (tmp_path / "s0" / ".mmccd_staging").exists():
            next(changes)
        (worker,) = set(psutil.Process().children()) - before
    assert not psutil.wait_procs([worker], timeout=10)[1]
    assert not (tmp_path / "s0" / ".mmccd_staging").exists()


def test_the_worker_ends_with_its_parent(tmp_path: Path) -> None:
    """However the parent ends: here it is killed."""
    supervised(tmp_path, "(task.output / 'pid').write_text(str(os.getpid()))\ntime.sleep(60)")
    (tmp_path / "s0").mkdir()
    code = f"""
from pathlib import Path
from mmccd.jobs import Supervised, Task, Input, Worker
task = Task(1, Input(Path("x"), "x"), Path({str(tmp_path / "s0")!r}), "x")
for change in Supervised(Worker("how:run"))([task]):
    pass
"""
    path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    pid = tmp_path / "s0" / "pid"
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = psutil.Process(int(pid.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert not psutil.wait_procs([worker], timeout=10)[1]


def test_where_the_kernel_does_not_end_it_a_thread_does() -> None:
    """As on macOS: it and what it has started end when the pipe does."""
    code = (
        "import subprocess, sys; from mmccd.jobs.runners.worker import _outlive;"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True); _outlive(int(sys.argv[1]))"
    )
    theirs, ours = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(theirs)],
        pass_fds=[theirs],
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        os.close(ours)
        assert process.wait(20) == -signal.SIGKILL
    end = time.monotonic() + 20
    with suppress(psutil.NoSuchProcess):
        while child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.02)
