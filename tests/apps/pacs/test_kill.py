"""A service that is killed: nothing of it stays, and the next one does exactly what was open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.apps.pacs.fakes import UID, FakeArchive, record

from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.jobs import study_name

SERVICE = """
import os, sys
from functools import partial
from mmccd.apps.pacs import application
from mmccd.apps.pacs.run import run
from mmccd.jobs import Worker
application.Worker = partial(Worker, "how:run")
sys.exit(run(sys.argv[1:], os.environ))
"""
HOW = """
import ctypes, json, os, subprocess
from pathlib import Path
from mmccd.jobs.outcome import waiting

def run(task, make_pipeline, console):
    place = Path(os.environ["PLACE"])
    with (place / "begun").open("a") as file:
        file.write(task.shown + "\\n")
    if not (place / "go").exists():
        child = subprocess.Popen(["sleep", "100"])
        (place / "pids.tmp").write_text(json.dumps([os.getpid(), child.pid, str(task.input.path)]))
        (place / "pids.tmp").rename(place / "pids")
        ctypes.PyDLL(None).sleep(100)  # with the interpreter's lock: no thread of ours runs
    (task.output / "dicom").mkdir(parents=True)
    (task.output / "dicom" / "segmentation.dcm").write_bytes(b"an object")
    return waiting(task).ended(0)
"""
PATIENCE_S = 30.0
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, archive: FakeArchive) -> Iterator[Start]:
    """Starts the service, whose prediction hangs until there is a file ``go``."""
    (tmp_path / "how.py").write_text(HOW)
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MMCCD_")},
        "PYTHONPATH": path,
        "PLACE": str(tmp_path),
        "TMPDIR": str(tmp_path / "tmp"),
        "MMCCD_PACS_URL": archive.url,
        "MMCCD_PACS_STATE": str(tmp_path / "state"),
        "MMCCD_PACS_SETTLE_S": "0",
        "MMCCD_PACS_DAYS": "0",
    }
    started: list[subprocess.Popen[bytes]] = []

    def service() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", SERVICE, "--once"]
        started.append(subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL))
        return started[-1]

    yield service
    for process in started:
        process.kill()
        process.wait()


def wait_for(path: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name}"
        time.sleep(0.05)


def is_over(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
def test_a_kill_and_a_restart(tmp_path: Path, archive: FakeArchive, start: Start) -> None:
    """The working process ends, even where it hangs in a library, with what it has started. The
    next service does the study that was open, and no other, and the kill is counted once.
    """
    service = start()
    wait_for(tmp_path / "pids")
    worker, child, folder = json.loads((tmp_path / "pids").read_text())
    assert not is_over(worker)
    assert not is_over(child)
    assert len(list(Path(folder).iterdir())) == 6
    service.send_signal(signal.SIGKILL)
    service.wait()
    end = time.monotonic() + PATIENCE_S
    while not (is_over(worker) and is_over(child)):
        assert time.monotonic() < end, "an orphan"
        time.sleep(0.02)
    (tmp_path / "go").touch()
    assert start().wait(PATIENCE_S) == 0
    assert (record(tmp_path)["state"], record(tmp_path)["attempts"]) == ("done", 0)
    assert not list((tmp_path / "tmp").glob("mmccd-pacs-*")), "the images are gone"
    assert (tmp_path / "begun").read_text().split() == [study_name(UID)] * 2
    assert len(archive.studies[UID].stored) == 1


def test_the_state_folder_is_not_taken_while_a_working_process_runs(tmp_path: Path) -> None:
    """So nothing is deleted under one that is slow to end."""
    settings = PacsSettings(url="http://127.0.0.1", state=tmp_path)
    former = Ledger(settings)
    former.open()
    (held,) = (os.dup(descriptor) for descriptor in former.held)
    former.close()
    threading.Timer(1.0, os.close, [held]).start()
    began = time.monotonic()
    following = Ledger(settings)
    following.open()
    assert 0.9 < time.monotonic() - began < 8
    following.close()
