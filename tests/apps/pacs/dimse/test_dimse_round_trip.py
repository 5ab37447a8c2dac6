"""The service as a process, over DIMSE alone, with a real archive and a few lines that stand for
the prediction.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.pacs.dimse.parties import HERE, STUDY, storescu, study, until
from tests.apps.pacs.orthanc import Orthanc, free_port, running_orthanc
from tests.io.dicom_files import SECRETS

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
import hashlib, os, time
from pathlib import Path
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from mmccd.jobs.outcome import waiting

KINDS = {"SEG": "1.2.840.10008.5.1.4.1.1.66.4", "SR": "1.2.840.10008.5.1.4.1.1.88.34",
         "OT": "1.2.840.10008.5.1.4.1.1.7"}

def run(task, make_pipeline, console):
    place = Path(os.environ["PLACE"])
    (place / "begun").touch()
    while (place / "wait").exists():
        time.sleep(0.05)
    files = [pydicom.dcmread(path) for path in sorted(task.input.path.iterdir())]
    (task.output / "dicom").mkdir(parents=True)
    seen = hashlib.sha256(b"".join(sorted(one.PixelData for one in files))).hexdigest()
    for number, (modality, kind) in enumerate(KINDS.items(), 1):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = kind
        one.SOPInstanceUID = f"{files[0].StudyInstanceUID}.7{number}.1"
        one.StudyInstanceUID = files[0].StudyInstanceUID
        one.SeriesInstanceUID = f"{files[0].StudyInstanceUID}.7{number}"
        one.PatientID, one.PatientName = files[0].PatientID, files[0].PatientName
        one.Modality, one.Manufacturer = modality, "MMCCD"
        one.SeriesDescription = f"{len(files)} {seen[:32]}"
        one.save_as(task.output / "dicom" / f"{modality}.dcm", enforce_file_format=True)
    return waiting(task).ended(0)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the service with its own folders and these words."""
    (tmp_path / "how.py").write_text(HOW)
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MMCCD_")},
        "PYTHONPATH": path,
        "PLACE": str(tmp_path),
        "TMPDIR": str(tmp_path / "tmp"),
        "MMCCD_PACS_STATE": str(tmp_path / "state"),
        "MMCCD_PACS_SETTLE_S": "0",
        "MMCCD_PACS_POLL_S": "1",
        "MMCCD_PACS_DAYS": "0",
        "MMCCD_PACS_KEEP_FREE_MIB": "0",
    }
    started: list[subprocess.Popen[str]] = []

    def service(*words: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", SERVICE, *words]
        started.append(
            subprocess.Popen(
                program,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield service
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    assert not [path for path in (tmp_path / "tmp").iterdir() if path.name.startswith("mmccd-")]


@pytest.fixture
def listen() -> int:
    return free_port()


@pytest.fixture
def archive(tmp_path: Path, listen: int) -> Iterator[Orthanc]:
    modality = {"AET": "MMCCD", "Host": HERE, "Port": listen, "AllowStorageCommitment": True}
    words = {"DicomAet": "PACS", "DicomModalities": {"mmccd": modality}}
    with running_orthanc(tmp_path / "archive", **words) as running:
        yield running


def series(archive: Orthanc) -> dict[str, tuple[int, str]]:
    """Number of objects and description, by modality and number."""
    found = archive.ask("series?expand")
    return {
        one["MainDicomTags"]["Modality"]: (
            len(one["Instances"]),
            one["MainDicomTags"].get("SeriesDescription", ""),
        )
        for one in found
    }


def record(folder: Path, uid: str = STUDY) -> dict[str, Any]:
    content = json.loads((folder / "state" / "status.json").read_text())
    return dict(content["studies"].get(study_name(uid), {}))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["move", "get"])
def test_once(tmp_path: Path, start: Start, archive: Orthanc, listen: int, way: str) -> None:
    """Asked and fetched over DIMSE, stored and committed; the second time there is nothing to
    do.
    """
    study(tmp_path / "sent", slices=20)
    archive.send(tmp_path / "sent")
    peer = f"PACS@{HERE}:{archive.dicom}"
    words = ["--source", way, "--peer", peer, "--store", peer, "--commit"]
    words += ["--listen", f"{HERE}:{listen}", "--once"]
    process = start(*words)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    found = series(archive)
    assert {name: count for name, (count, _) in found.items()} == {
        "MR": 20,
        "SEG": 1,
        "SR": 1,
        "OT": 1,
    }
    assert found["SEG"][1].startswith("20 ")
    assert record(tmp_path)["state"] == "done"
    content = json.loads((tmp_path / "state" / "status.json").read_text())
    assert content["archive"] == peer
    again = start(*words)
    _, second = again.communicate(timeout=120)
    assert again.returncode == 0, second
    assert "has results in the archive" in second
    assert "fetched" not in second
    assert not any(secret in log + second for secret in (*SECRETS, STUDY))


@pytest.mark.slow
def test_receive(tmp_path: Path, start: Start, archive: Orthanc, listen: int) -> None:
    """A study is sent; its results are in the archive, and its images are gone here. Nothing is
    lost by kill -9 in the middle of the prediction.
    """
    sent = study(tmp_path / "sent", slices=20)
    peer = f"PACS@{HERE}:{archive.dicom}"
    words = ["--source", "receive", "--listen", f"{HERE}:{listen}", "--allow", "SCANNER"]
    words += ["--store", peer, "--commit"]
    (tmp_path / "wait").touch()
    first = start(*words)
    until(lambda: storescu(listen, *sent).returncode == 0, 60)
    until(lambda: (tmp_path / "begun").exists(), 60)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert len(list((tmp_path / "state" / "incoming").rglob("*.dcm"))) == 20
    time.sleep(1)
    (tmp_path / "wait").unlink()
    second = start(*words)
    until(lambda: {"SEG", "SR", "OT"} <= set(series(archive)), 90)
    until(lambda: list((tmp_path / "state" / "incoming").rglob(".done")) != [], 30)
    (done,) = (tmp_path / "state" / "incoming").rglob(".done")
    os.utime(done, (time.time() - 601,) * 2)
    until(lambda: not list((tmp_path / "state" / "incoming").rglob("*.dcm")), 30)
    second.send_signal(signal.SIGTERM)
    _, log = second.communicate(timeout=30)
    assert second.returncode == 143, log
    assert series(archive)["SEG"][1].startswith("20 ")
    assert "removed 20 received objects, which are done" in log
    assert not any(secret in log for secret in (*SECRETS, STUDY))


def test_check(tmp_path: Path, start: Start, archive: Orthanc, listen: int) -> None:
    """The words that an engineer types first."""
    peer = f"PACS@{HERE}:{archive.dicom}"
    words = ["--source", "move", "--peer", peer, "--store", peer, "--commit", "--check"]
    process = start(*words, "--listen", f"{HERE}:{listen}")
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, out + log
    lines = out.splitlines()
    assert len(lines) == 11
    assert all(" ok " in line for line in lines), out
