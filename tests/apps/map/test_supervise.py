"""mmccd.apps.map.supervise: what a study leaves behind that was ended in the middle, and a worker
that dies.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmccd.apps.map import supervise
from mmccd.apps.map.status import RunStatus, StudyStatus
from mmccd.apps.map.studies import NIFTI, Study
from mmccd.apps.map.supervise import Plan, Supervisor, remove_unfinished
from mmccd.core import Settings
from mmccd.core.errors import MmccdError
from mmccd.outputs.folder import DICOM, MARKER, NAMES, STAGING


class TestRemoveUnfinished:
    def test_half_written(self, tmp_path: Path) -> None:
        output = tmp_path / "study"
        (output / STAGING).mkdir(parents=True)
        (output / STAGING / "x").touch()
        (output / NAMES[0]).touch()
        remove_unfinished(output, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_half_written_objects(self, tmp_path: Path) -> None:
        """Nothing is left of the folder for the archive's objects, either."""
        output = tmp_path / "study"
        (output / DICOM).mkdir(parents=True)
        (output / DICOM / "segmentation.dcm").touch()
        remove_unfinished(output, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_complete_results_and_other_files_stay(self, tmp_path: Path) -> None:
        for name in (*NAMES[:2], MARKER, "status.json"):
            (tmp_path / name).touch()
        (tmp_path / STAGING).mkdir()
        remove_unfinished(tmp_path, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {*NAMES[:2], MARKER, "status.json"}

    def test_nothing_there(self, tmp_path: Path) -> None:
        remove_unfinished(tmp_path / "none", tmp_path)


def run_with(
    worker: str, folder: Path, monkeypatch: pytest.MonkeyPatch, studies: int = 2, **settings: float
) -> RunStatus:
    """Supervise a worker that is a few lines of Python; ``tell`` writes an event, ``plan`` is the
    plan.
    """
    text = "import json, os, sys, time\nplan = json.loads(sys.stdin.readline())\n"
    text += "def tell(**event):\n    print(json.dumps(event), flush=True)\n"
    text += (
        "def start(i):\n    tell(event='start', study=i); tell(event='stage', study=i,"
        " stage='volume')\n"
    )
    text += (
        "def done(i):\n    tell(event='done', study=i, exit_code=0, timings_s={}, memory_mib=1.0)\n"
    )
    script = folder / "worker.py"
    script.write_text(text + worker)
    original = supervise.subprocess.Popen
    monkeypatch.setattr(
        supervise.subprocess,
        "Popen",
        lambda command, **rest: original([sys.executable, str(script)], **rest),
    )
    names = [f"s{number}" for number in range(studies)]
    plan = Plan(
        [Study(name, NIFTI, folder) for name in names],
        [folder / name for name in names],
        folder,
        None,
        Settings(**settings),  # type: ignore[arg-type]
    )
    status = RunStatus({}, [StudyStatus(name, NIFTI, name) for name in names])
    Supervisor(plan, status).run()
    return status


def codes(status: RunStatus) -> list[int | None]:
    return [study.exit_code for study in status.studies]


def test_all_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = run_with("for i in plan['indices']:\n    start(i); done(i)\n", tmp_path, monkeypatch)
    assert codes(status) == [0, 0]


def test_a_study_that_hangs_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = (
        "for i in plan['indices']:\n    start(i)\n    i == 0 and (os.makedirs(plan['outputs'][0] +"
        " '/.mmccd_staging'), time.sleep(60))\n    done(i)\n"
    )
    status = run_with(worker, tmp_path, monkeypatch, timeout_s=1.0)
    assert codes(status) == [7, 0]
    assert "took longer than 1 s, in the stage volume" in str(status.studies[0].message)
    assert not (tmp_path / "s0").exists()


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("os.kill(os.getpid(), 9)", 7, "want of memory"),
        ("os.abort()", 1, "SIGABRT"),
        ("sys.exit(5)", 1, "exit code 5"),
    ],
)
def test_a_worker_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, code: int, words: str
) -> None:
    status = run_with(
        f"for i in plan['indices']:\n    start(i)\n    if i == 0: {end}\n    done(i)\n",
        tmp_path,
        monkeypatch,
    )
    assert codes(status) == [code, 0]
    assert words in str(status.studies[0].message)


def test_a_worker_that_never_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MmccdError, match="ended before it began"):
        run_with("sys.exit(3)", tmp_path, monkeypatch)


def test_an_error_that_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MmccdError, match="no such device") as caught:
        run_with(
            "tell(event='fatal', exit_code=2, message='no such device')", tmp_path, monkeypatch
        )
    assert caught.value.exit_code == 2
