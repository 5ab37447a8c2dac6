"""Orthanc on this machine alone, for tests that need an archive (Debian: orthanc, orthanc-dicomweb,
dcmtk).
"""

from __future__ import annotations

import base64
import contextlib
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

START_S = 30.0
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Orthanc:
    """An archive on free ports of this machine, its files in a folder.

    Args:
        folder: for its files; must be there.
        settings: of Orthanc; the ones that bind it to this machine and this folder win.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.http, self.dicom = free_port(), free_port()
        local = {
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "RemoteAccessAllowed": False,
        }
        self.users: dict[str, str] = settings.get("RegisteredUsers", {})
        (folder / "orthanc.json").write_text(json.dumps({**settings, **local}))
        self.log = (folder / "log").open("wb")
        self.settings = folder / "orthanc.json"
        self.start()

    def start(self) -> None:
        """Start it, or start it again, on the same ports with the same files."""
        self.process = subprocess.Popen(
            ["Orthanc", str(self.settings)], stdout=self.log, stderr=self.log
        )

    @property
    def dicomweb(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def ask(self, path: str) -> Any:
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        return self._send(path, "GET")

    def delete(self, path: str) -> None:
        self._send(path, "DELETE")

    def _send(self, path: str, method: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/{path}", method=method)
        for user, password in self.users.items():
            request.add_header(
                "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def wait(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ask("system")
                return
            except OSError:
                time.sleep(0.2)
        pytest.fail("Orthanc does not answer")

    def send(self, folder: Path) -> None:
        subprocess.run(
            [
                "dcmsend",
                "--scan-directories",
                "--recurse",
                "127.0.0.1",
                str(self.dicom),
                str(folder),
            ],
            check=True,
            timeout=60,
        )

    def close(self) -> None:
        self.stop()
        self.log.close()

    def stop(self) -> None:
        """End it; its files stay."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running_orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """An archive that runs until the block ends; the test is skipped where the programs are not
    installed.
    """
    for program, package in (("Orthanc", "orthanc"), ("dcmsend", "dcmtk")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: {package})")
    folder.mkdir()
    archive = Orthanc(
        folder,
        {"AuthenticationEnabled": False, "DicomAlwaysAllowStore": True, "Plugins": [], **settings},
    )
    try:
        archive.wait()
        yield archive
    finally:
        archive.close()
