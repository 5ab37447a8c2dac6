"""mmccd.outputs.bids.names: what the files of a scan are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.outputs.bids.names import MASK, Scan, relative_link


@pytest.mark.parametrize(
    ("stem", "subject", "session"),
    [
        ("sub-01", "sub-01", None),
        ("sub-01_ses-b", "sub-01", "ses-b"),
        ("sub-01_acq-3D_run-2", "sub-01", None),
        ("sub-01_ses-b_ce-gad_rec-norm", "sub-01", "ses-b"),
    ],
)
def test_names_of_bids(stem: str, subject: str, session: str | None) -> None:
    scan = Scan.of(Path("x.nii.gz"), stem)
    assert scan is not None
    assert (scan.subject, scan.session) == (subject, session)


@pytest.mark.parametrize("stem", ["FLAIR", "sub-", "sub-a b", "sub-01_final", "01_ses-1"])
def test_other_names(stem: str) -> None:
    assert Scan.of(Path("x.nii.gz"), stem) is None


def test_places() -> None:
    file = Path("/data/rawdata/sub-01/ses-b/anat/sub-01_ses-b_run-1_FLAIR.nii.gz")
    scan = Scan.of(file, "sub-01_ses-b_run-1")
    assert scan is not None
    assert scan.root == Path("/data/rawdata")
    assert scan.uri == "bids:raw:sub-01/ses-b/anat/sub-01_ses-b_run-1_FLAIR.nii.gz"
    assert scan.image(MASK).as_posix() == (
        "sub-01/ses-b/anat/sub-01_ses-b_run-1_label-L_desc-anomaly_mask.nii.gz"
    )
    assert scan.figure("report.html").as_posix() == (
        "sub-01/figures/sub-01_ses-b_run-1_report.html"
    )


def test_the_link_to_the_raw_data(tmp_path: Path) -> None:
    assert relative_link(tmp_path, tmp_path / "derivatives" / "mmccd") == "../.."
