"""mmccd.jobs.cohort in one process: what runs, is skipped or fails, and the account."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.conftest import Cohort

from mmccd.apps.cli import cli
from mmccd.pipeline import AnomalyPipeline


def account(cohort: Cohort) -> dict[str, Any]:
    return dict(json.loads((cohort.output / "cohort.json").read_text()))


def states(cohort: Cohort) -> dict[str, tuple[str, int | None]]:
    return {case["name"]: (case["status"], case["exit_code"]) for case in account(cohort)["cases"]}


def test_a_bad_file_among_good_ones(cohort: Cohort, capsys: pytest.CaptureFixture[str]) -> None:
    """It fails alone; the account names it; a second run skips what is there and tries it again."""
    cohort.spoil()
    assert cli.run(cohort.words()) == 3
    captured = capsys.readouterr()
    assert states(cohort) == {"bad": ("failed", 3), "healthy": ("done", 0), "lesion": ("done", 0)}
    assert "3 cases: 2 done, 1 failed" in captured.out
    assert captured.err.splitlines()[-1].startswith("mmccd: bad: ")
    assert "\r" not in captured.err
    found = account(cohort)
    assert (found["status"], found["exit_code"], found["counts"]["failed"]) == ("failed", 3, 1)
    rows = list(csv.DictReader((cohort.output / "cohort.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["bad", "healthy", "lesion"]
    assert list(rows[0]) == list(found["cases"][0])
    report = json.loads((cohort.output / "lesion" / "report.json").read_text())
    assert float(rows[2]["volume_ml"]) == report["volumes_ml"]["anomalous"]
    assert int(rows[2]["lesions"]) == report["lesion_count"]
    assert float(rows[2]["ood_score"]) == report["input"]["checks"]["strangeness"]
    page = (cohort.output / "index.html").read_text()
    assert 'src="lesion/thumbnail.jpg"' in page
    assert (cohort.output / "lesion" / "thumbnail.jpg").stat().st_size < 20_000
    assert "3 cases: 2 done, 1 failed" in page
    assert not (cohort.output / "bad").exists()
    before = (cohort.output / "lesion" / "report.json").stat().st_mtime_ns
    (cohort.scans / "bad.nii.gz").unlink()
    assert cli.run(cohort.words()) == 0
    assert states(cohort) == {"healthy": ("skipped", 0), "lesion": ("skipped", 0)}
    assert (cohort.output / "lesion" / "report.json").stat().st_mtime_ns == before
    assert account(cohort)["cases"][1]["volume_ml"] == report["volumes_ml"]["anomalous"]


def test_what_makes_a_case_run_again(cohort: Cohort, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort.scans / "lesion.nii.gz").unlink()
    assert cli.run(cohort.words()) == 0
    folder, scan = cohort.output / "healthy", cohort.scans / "healthy.nii.gz"
    capsys.readouterr()
    assert cli.run(cohort.words("--seed", "1")) == 5
    assert "other: seed" in capsys.readouterr().err
    assert cli.run(cohort.words("--bias-correction")) == 5
    assert cli.run(cohort.words("--seed", "1", "--force")) == 0
    assert json.loads((folder / "report.json").read_text())["settings"]["seed"] == 1
    os.utime(scan, ns=(0, 0))
    assert cli.run(cohort.words("--seed", "1")) == 5, "another input"
    assert "other: input" in capsys.readouterr().err
    (folder / "report.json").unlink()
    assert cli.run(cohort.words("--seed", "1")) == 0, (
        "what is not complete is made again, without --force"
    )
    assert states(cohort) == {"healthy": ("done", 0)}
    (folder / "segmentation.nii.gz").unlink()
    assert cli.run(cohort.words("--seed", "1", "--force")) == 0
    assert (folder / "segmentation.nii.gz").exists()


def test_json(cohort: Cohort, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort.scans / "lesion.nii.gz").unlink()
    cohort.spoil()
    assert cli.run(cohort.words("--json")) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == account(cohort)["cases"]
    assert found["exit_code"] == 3
    assert all(Path(file).exists() for file in found["files"])


def test_what_is_made_is_opened(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several inputs the index, of one its report; ``-o`` is ``--output``."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: opened.append(page) or True)
    (cohort.scans / "lesion.nii.gz").unlink()
    assert cli.run(cohort.words("--open")) == 0
    words = [word if word != "--output" else "-o" for word in cohort.words("--open")]
    words[1], words[words.index("-o") + 1] = str(cohort.scans / "healthy.nii.gz"), "one"
    monkeypatch.chdir(cohort.folder)
    assert cli.run(words) == 0
    pages = (cohort.output / "index.html", cohort.folder / "one" / "report.html")
    assert opened == [page.resolve().as_uri() for page in pages]
    assert cli.run(words) == 5
    assert len(opened) == 2, "nothing is opened of a run that failed"


def test_models_that_are_not_there_end_the_run(cohort: Cohort) -> None:
    """Nothing of any case is written, and the code is not that of a case."""
    assert cli.run([*cohort.words(), "--target", "t1"]) == 6
    assert not (cohort.output / "healthy").exists()


def test_output_is_a_file(cohort: Cohort) -> None:
    cohort.output.touch()
    assert cli.run(cohort.words()) == 5


@pytest.mark.parametrize("flag", [("--brain-mask", "mask.nii"), ("--series", "1.2.3")])
def test_flags_for_one_input(cohort: Cohort, flag: tuple[str, str]) -> None:
    assert cli.run(cohort.words(*flag)) == 2
    assert not cohort.output.exists()


def test_a_defect_does_not_stop_the_others(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = AnomalyPipeline.run

    def run(self: AnomalyPipeline, volume: Any, *more: Any, **named: Any) -> Any:
        if volume.provenance["file"] == "healthy.nii.gz":
            raise ZeroDivisionError("the name of a patient")
        return whole(self, volume, *more, **named)

    monkeypatch.setattr(AnomalyPipeline, "run", run)
    assert cli.run(cohort.words()) == 1
    assert states(cohort) == {"healthy": ("failed", 1), "lesion": ("done", 0)}
    assert "patient" not in (cohort.output / "cohort.json").read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ended_from_outside(cohort: Cohort, number: signal.Signals, code: int) -> None:
    """What is complete stays, nothing half-written; the account says so."""
    for copy in range(6):
        (cohort.scans / f"more{copy}.nii.gz").write_bytes(
            (cohort.scans / "lesion.nii.gz").read_bytes()
        )
    process = cohort.start()
    try:
        deadline = time.monotonic() + 300
        # The second case's folder: then the first is complete, and in the account.
        while (
            not (cohort.output / "lesion").exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code
    assert "of 8 cases are complete" in errors.splitlines()[-1]
    found = account(cohort)
    assert (found["status"], found["exit_code"]) == ("cancelled", None)
    assert states(cohort)["healthy"] == ("done", 0)
    assert found["counts"]["unfinished"] > 0
    for folder in cohort.output.iterdir():
        assert folder.is_file() or (folder / "report.json").exists()
    assert not list(cohort.output.rglob(".*"))
