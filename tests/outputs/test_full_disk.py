"""A disk that is full: an error with its exit code, and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.io.dicom_files import as_archived, write_series
from tests.outputs.dicom.results import result_on

from mmccd.core import OutputChoice, OutputError, write_json
from mmccd.core.result import Result
from mmccd.jobs import Account, StatusFile
from mmccd.outputs import STAGING, staged_output, write_outputs

ALL = OutputChoice(objects=("segmentation", "pictures", "report", "pdf"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(
        "mmccd.outputs.report.write.write_page", lambda result, path: path.write_text("page")
    )
    return result_on(write_series(tmp_path / "source", as_archived))


def fill(disk: Path, but: int) -> None:
    """Leave so many bytes free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "others").write_bytes(bytes(max(free - but, 0)))


@pytest.mark.parametrize("free", [0, 4096, 16384, 65536])
def test_a_run(small_disk: Path, result: Result, free: int) -> None:
    """Whatever was written last."""
    fill(small_disk, free)
    with (
        pytest.raises(OutputError) as caught,
        staged_output(small_disk / "out") as staging,
    ):
        write_outputs(result, staging, ALL)
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert [path.name for path in small_disk.iterdir()] == ["others"]


def test_a_run_over_an_earlier_one(small_disk: Path, result: Result) -> None:
    """What was there stays."""
    (small_disk / "report.json").write_text("earlier")
    fill(small_disk, 4096)
    with pytest.raises(OutputError), staged_output(small_disk, force=True) as staging:
        write_outputs(result, staging, ALL)
    assert {path.name for path in small_disk.iterdir()} == {"others", "report.json"}
    assert (small_disk / "report.json").read_text() == "earlier"


def test_the_status(small_disk: Path) -> None:
    """The old file stays whole, and its hidden successor is removed."""
    status = StatusFile(small_disk)
    status.write(Account())
    before = (small_disk / "status.json").read_text()
    fill(small_disk, 0)
    with pytest.raises(OutputError):
        status.write(Account(settings={str(n): "x" * 1000 for n in range(20)}))
    assert (small_disk / "status.json").read_text() == before
    assert {path.name for path in small_disk.iterdir()} == {"others", "status.json"}


def test_without_a_disk_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where nobody may mount."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        write_json(tmp_path / "status.json", {})
    assert list(tmp_path.iterdir()) == []


def test_between_two_files_that_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mixture of two runs is left, and nothing that is not ours is touched."""
    for name in ("overview.png", "report.json", "others.txt"):
        (tmp_path / name).write_text("earlier")
    moved = []
    replace = Path.replace

    def move_once(path: Path, target: Path) -> Path:
        if moved:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        moved.append(path.name)
        return replace(path, target)

    with pytest.raises(OutputError), staged_output(tmp_path, force=True) as staging:
        for name in ("overview.png", "segmentation.nii.gz", "report.json"):
            (staging / name).write_text("new")
        monkeypatch.setattr(Path, "replace", move_once)
    assert [path.name for path in tmp_path.iterdir()] == ["others.txt"]
    assert not (tmp_path / STAGING).exists()
