"""mmccd.outputs.bids.scan: a result under its names of BIDS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.reports import content_of

from mmccd.outputs.bids.names import IMAGES, Scan
from mmccd.outputs.bids.scan import publish_scan


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    found = Scan.of(tmp_path / "raw/sub-01/anat/sub-01_FLAIR.nii.gz", "sub-01")
    assert found is not None
    return found


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    for name in (*IMAGES, "overview.png", "report.html"):
        (folder / name).write_text(name)
    (folder / "report.json").write_text(json.dumps(content_of(lesion_count=2)))
    return folder


def test_images_have_their_sidecars(tmp_path: Path, scan: Scan, result: Path) -> None:
    publish_scan(scan, result, tmp_path / "out")
    anat = tmp_path / "out" / "sub-01" / "anat"
    assert sorted(path.name for path in anat.iterdir()) == sorted(
        f"sub-01_{ending}{extension}"
        for ending in IMAGES.values()
        for extension in (".nii.gz", ".json")
    )
    mask = json.loads((anat / "sub-01_label-L_desc-anomaly_mask.json").read_text())
    assert mask["Sources"] == ["bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz"]
    assert mask["SpatialReference"] == mask["Sources"][0]
    assert (mask["Type"], mask["Threshold"], mask["Regions"]) == ("Lesion", 0.5, 2)
    assert mask["WeightsSHA256"] == {"forward": "ab" * 32, "backward": "cd" * 32}
    assert mask["Preset"] == "fast"
    brain = json.loads((anat / "sub-01_desc-brain_mask.json").read_text())
    assert (brain["Type"], brain["VolumeML"]) == ("Brain", 1400.0)
    figures = tmp_path / "out" / "sub-01" / "figures"
    assert (figures / "sub-01_report.html").read_text() == "report.html"


def test_what_a_new_result_does_not_have_is_removed(
    tmp_path: Path, scan: Scan, result: Path
) -> None:
    publish_scan(scan, result, tmp_path / "out")
    (result / "percentile_map.nii.gz").unlink()
    publish_scan(scan, result, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*percentile*"))
