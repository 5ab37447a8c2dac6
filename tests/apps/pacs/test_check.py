"""``--check`` says what works, a line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.apps.pacs.fakes import UID, FakeArchive
from tests.apps.pacs.orthanc import DICOMWEB, free_port, running_orthanc

from mmccd.apps.cli import cli
from mmccd.apps.pacs.run import run


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *words: None)


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is said of each thing: its state and more."""
    out = capsys.readouterr().out
    assert UID not in out
    found = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    return {line[:22].strip(): line[22:].strip() for line in found}


def test_all_works(archive: FakeArchive, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is stored unless it is asked for, and no state folder is needed."""
    assert run(["--check", "--url", archive.url, "--days", "0"], {}) == 0
    found = lines(capsys)
    assert [state.split()[0] for state in found.values()] == ["ok"] * 5 + ["skipped"]
    assert "1 MR studies" in found["QIDO-RS, studies"]
    assert "it tells modality, manufacturer" in found["QIDO-RS, series"]
    assert archive.fetched() == [], "one object, and not the series"
    assert not [path for path in archive.asked if path.startswith("store")]
    assert run(["--check", "--check-store", "--url", archive.url], {}) == 0
    assert lines(capsys)["STOW-RS"].startswith("ok")
    assert len([path for path in archive.asked if path.startswith("store")]) == 1


@pytest.mark.parametrize(
    ("status", "first", "code"),
    [("query_status", "authentication", 3), ("fetch_status", "WADO-RS, one object", 3)],
)
def test_what_is_not_allowed(
    archive: FakeArchive, capsys: pytest.CaptureFixture[str], status: str, first: str, code: int
) -> None:
    setattr(archive, status, 401)
    assert run(["--check", "--url", archive.url], {}) == code
    found = lines(capsys)
    assert found[first].startswith("FAILED")
    assert [name for name, more in found.items() if more.startswith("FAILED")] == [first]


def test_the_doctor_says_it_too(
    archive: FakeArchive,
    shared_bundles: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service's variables hold; the exit code is that of the archive."""
    monkeypatch.setenv("MMCCD_PACS_DAYS", "0")
    words = ["doctor", "--bundles", str(shared_bundles), "--archive", archive.url]
    assert cli.run(words) == 0
    assert lines(capsys)["QIDO-RS, studies"].startswith("ok       1 MR studies")
    archive.query_status = 401
    assert cli.run([*words, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["archive"]["exit_code"] == 3


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--check", "--url", f"http://127.0.0.1:{free_port()}"], {}) == 3
    found = lines(capsys)
    assert found["reach"].startswith("FAILED")
    assert "authentication" not in found


def test_a_second_archive(
    archive: FakeArchive, second: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    second.store_status = 403
    words = ["--check", "--check-store", "--url", archive.url, "--route-url", second.url]
    assert run(words, {}) == 5
    assert lines(capsys)["STOW-RS"].startswith("FAILED"), "of the second"


@pytest.mark.slow
def test_a_real_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is stored is an object that it can give back."""
    if not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)")
    settings = {"Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with running_orthanc(tmp_path / "archive", **settings) as archive:
        words = ["--check", "--check-store", "--url", archive.dicomweb, "--days", "0"]
        assert run(words, {}) == 0
        (stored,) = archive.ask("instances?expand")
    assert stored["MainDicomTags"]["SOPInstanceUID"].startswith("2.25.")
    assert lines(capsys)["STOW-RS"].startswith("ok")
