"""mmccd.jobs.bids, from the command line: a BIDS data set to BIDS derivatives."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmccd.apps.cli import cli
from mmccd.core import InputError, UsageError
from mmccd.jobs.bids import BidsDataset, acquisition_day


@dataclass
class Bids:
    """A raw data set of three participants, one of whose images is cut off, and a place for
    derivatives.
    """

    raw: Path
    bundles: Path

    @property
    def output(self) -> Path:
        return self.raw / "derivatives" / "mmccd"

    def run(self, *more: str, level: str = "participant") -> int:
        quick = ("--bundles", str(self.bundles), "--preset", "fast", "--device", "cpu")
        words = ["bids", str(self.raw), str(self.output), level]
        return cli.run([*words, *quick, "--threshold", "0.7", *more])

    def table(self, name: str) -> list[dict[str, str]]:
        lines = (self.output / f"{name}.tsv").read_text().splitlines()
        return list(csv.DictReader(lines, dialect="excel-tab"))


@pytest.fixture
def bids(tmp_path: Path, tiny_bundles: Path, phantom_data: Path) -> Bids:
    raw = tmp_path / "raw"
    for stem, name in (
        ("sub-01/ses-a", "healthy"),
        ("sub-01/ses-b", "lesion"),
        ("sub-02/ses-a", "lesion"),
        ("sub-03/ses-a", "healthy"),
    ):
        subject, session = stem.split("/")
        anat = raw / stem / "anat"
        anat.mkdir(parents=True)
        image = anat / f"{subject}_{session}_FLAIR.nii.gz"
        shutil.copy(phantom_data / name / f"{name}_flair.nii.gz", image)
        if subject == "sub-03":
            image.write_bytes(image.read_bytes()[:2000])
    (raw / "dataset_description.json").write_text(
        json.dumps({"Name": "phantoms", "BIDSVersion": "1.10.0"})
    )
    return Bids(raw, tiny_bundles)


def issues(folder: Path) -> list[dict[str, Any]]:
    """What a validator of BIDS says of a data set."""
    own = Path(sys.executable).with_name("bids-validator-deno")
    program = shutil.which("bids-validator-deno") or (str(own) if own.exists() else None)
    if program is None:
        pytest.skip("the package bids-validator-deno is not installed")
    done = subprocess.run(
        [program, str(folder), "--format", "json"], capture_output=True, text=True, timeout=300
    )
    return list(json.loads(done.stdout)["issues"]["issues"])


@pytest.mark.slow
def test_a_data_set(bids: Bids, capsys: pytest.CaptureFixture[str]) -> None:
    """One image fails, the others are written; the same command goes on; the validator is content;
    group makes the tables anew.
    """
    assert bids.run() == 3
    assert "4 cases: 3 done, 1 failed" in capsys.readouterr().out
    rows = {row["bids_name"]: row for row in bids.table("group_FLAIR")}
    assert [row["status"] for row in rows.values()] == ["done", "done", "done", "failed"]
    report = json.loads((bids.output / "sub-01/figures/sub-01_ses-b_report.json").read_text())
    assert float(rows["sub-01_ses-b"]["volume_ml"]) == report["volumes_ml"]["anomalous"]
    assert int(rows["sub-01_ses-b"]["lesions"]) == report["lesion_count"]
    people = {row["participant_id"]: row for row in bids.table("participants")}
    assert list(people) == ["sub-01", "sub-02"]
    assert people["sub-01"]["flair_images"] == people["sub-01"]["judged"] == "2"
    change = float(rows["sub-01_ses-b"]["volume_ml"]) - float(rows["sub-01_ses-a"]["volume_ml"])
    assert float(people["sub-01"]["anomaly_change_ml"]) == pytest.approx(change, abs=0.001)
    mask = bids.output / "sub-01/ses-b/anat/sub-01_ses-b_label-L_desc-anomaly_mask.nii.gz"
    before = mask.stat().st_mtime_ns
    assert bids.run("--participant-label", "01", "sub-02") == 0
    assert "3 cases: 3 skipped" in capsys.readouterr().out
    assert mask.stat().st_mtime_ns == before
    assert len(list((bids.output / "logs").glob("*.json"))) >= 1
    (bids.output / "participants.tsv").unlink()
    assert bids.run(level="group") == 0
    assert [row["status"] for row in bids.table("group_FLAIR")] == [*["done"] * 3, "failed"]
    assert bids.table("group_FLAIR")[-1]["error"] == rows["sub-03_ses-a"]["error"]
    assert bids.table("participants")
    page = (bids.output / "index.html").read_text()
    assert "Anomaly segmentation of phantoms" in page
    assert 'href="sub-01/figures/sub-01_ses-b_report.html"' in page
    assert "<polyline" in page, "sub-01 came twice"
    found = [one for one in issues(bids.output) if one.get("severity") == "error"]
    assert found == []


def test_a_choice(bids: Bids) -> None:
    dataset = BidsDataset.of(bids.raw, bids.output)
    assert [one.stem for one in dataset.chosen(["sub-01"], ["b"])] == ["sub-01_ses-b"]
    assert len(dataset.chosen()) == 4
    with pytest.raises(UsageError, match=r"sub-99: .*some of sub-01, sub-02, sub-03"):
        dataset.chosen(["01", "99"])
    with pytest.raises(UsageError, match="no FLAIR has both"):
        dataset.chosen(["02"], ["b"])


def test_one_file_under_two_names(bids: Bids) -> None:
    """As git-annex keeps equal files: links to one content are two scans."""
    anat = bids.raw / "sub-01" / "ses-c" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_ses-c_FLAIR.nii.gz").symlink_to(
        bids.raw / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_FLAIR.nii.gz"
    )
    dataset = BidsDataset.of(bids.raw, bids.output)
    assert len({one.name for one in dataset.inputs.values()}) == len(dataset.scans) == 5


@pytest.mark.parametrize(
    ("table", "day"),
    [
        ("filename\tacq_time\nanat/sub-01_ses-a_FLAIR.nii.gz\t2020-03-05T10:00:00\n", "2020-03-05"),
        ("acq_time\tfilename\nn/a\tanat/sub-01_ses-a_FLAIR.nii.gz\n", ""),
        ("filename\tacq_time\nanat/sub-01_ses-a_T1w.nii.gz\t2020-03-05\n", ""),
        ("filename\n", ""),
        ("", ""),
    ],
)
def test_the_day_of_a_scan(bids: Bids, table: str, day: str) -> None:
    (bids.raw / "sub-01" / "ses-a" / "sub-01_ses-a_scans.tsv").write_text(table)
    first, second, *_ = BidsDataset.of(bids.raw, bids.output).scans
    assert acquisition_day(first) == day
    assert acquisition_day(second) == ""


def test_derivatives_are_no_input(bids: Bids) -> None:
    there = bids.output / "sub-09" / "anat"
    there.mkdir(parents=True)
    (there / "sub-09_FLAIR.nii.gz").touch()
    assert len(BidsDataset.of(bids.raw, bids.output).scans) == 4


def test_folders_keep_their_names(bids: Bids) -> None:
    dataset = BidsDataset.of(bids.raw, bids.output)
    scan = dataset.chosen(["02"])[0]
    assert dataset.folder(scan) == bids.output / ".mmccd" / "sub-02_ses-a"


@pytest.mark.parametrize("level", ["participant", "group"])
def test_no_bids(tmp_path: Path, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a_flair.nii.gz").touch()
    assert cli.run(["bids", str(tmp_path), str(tmp_path / "out"), level]) == 3
    assert "holds no FLAIR of BIDS" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_group_needs_results(bids: Bids, capsys: pytest.CaptureFixture[str]) -> None:
    assert bids.run(level="group") == 3
    assert "run that first" in capsys.readouterr().err
    assert not bids.output.exists()


def test_levels(bids: Bids, capsys: pytest.CaptureFixture[str]) -> None:
    assert bids.run(level="session") == 2
    assert "participant, group" in capsys.readouterr().err


def test_models_that_are_not_there_leave_nothing(bids: Bids) -> None:
    assert bids.run("--target", "t1") == 6
    assert not (bids.output / "dataset_description.json").exists()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        BidsDataset.of(tmp_path / "none", tmp_path / "out")
