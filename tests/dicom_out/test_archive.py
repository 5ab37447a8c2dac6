"""An archive takes the objects, twice, and files them under the study of their source."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dicom_out.results import result_on
from tests.io.dicom_files import as_archived, write_series

from mmccd.dicom_out.write import write_dicom

START_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Archive:
    """Orthanc on free ports of this machine, its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.http, self.dicom = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "Plugins": [],
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=10) as answer:
            return json.load(answer)

    def wait(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                self.ask("system")
                return
            except OSError:
                time.sleep(0.2)
        pytest.fail("Orthanc does not answer")

    def send(self, folder: Path) -> None:
        subprocess.run(["dcmsend", "--scan-directories", "127.0.0.1", str(self.dicom), str(folder)], check=True, timeout=60)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    for program, package in (("Orthanc", "orthanc"), ("dcmsend", "dcmtk")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: {package})")
    (tmp_path / "archive").mkdir()
    running = Archive(tmp_path / "archive")
    try:
        running.wait()
        yield running
    finally:
        running.close()


def test_the_objects_join_their_study(tmp_path: Path, archive: Archive) -> None:
    write_series(tmp_path / "source", as_archived)
    result = write_dicom(result_on(tmp_path / "source"), tmp_path)
    for folder in ("source", "dicom", "dicom"):
        archive.send(tmp_path / folder)
    assert [len(archive.ask(kind)) for kind in ("patients", "studies", "series")] == [1, 1, 4]
    assert len(archive.ask("instances")) == 6 + len(result.report["dicom"]), "objects of a second run are the same ones"
    series = {entry["MainDicomTags"]["Modality"]: entry["MainDicomTags"]["SeriesNumber"] for entry in archive.ask("series?expand")}
    assert series == {"MR": "5", "SEG": "5001", "OT": "5002", "SR": "5003"}
