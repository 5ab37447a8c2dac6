"""dcmqi, which others read such objects with, finds in them what was written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.outputs.dicom.results import result_on, with_lesions
from tests.outputs.dicom.test_objects import write_kind

from mmccd.core import OutputChoice, Result
from mmccd.outputs.dicom.segments import segments_of
from mmccd.outputs.dicom.write import write_dicom

KINDS = ["axial", "oblique", "sagittal", "coronal", "multi-frame", "compressed"]


def dcmqi(program: str, *words: str | Path) -> None:
    """Run one of its programs."""
    beside = Path(sys.executable).with_name(program)
    place = str(beside) if beside.is_file() else shutil.which(program)
    if place is None:
        pytest.skip("dcmqi is not installed")
    done = subprocess.run([place, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def places(data: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of all voxels that are set, in mm, RAS, sorted."""
    found = np.argwhere(data > 0) @ affine[:3, :3].T + affine[:3, 3]
    return found[np.lexsort(np.round(found, 2).T)]


@pytest.fixture(params=KINDS)
def result(request: pytest.FixtureRequest, tmp_path: Path) -> Result:
    return with_lesions(result_on(write_kind(request.param, tmp_path / "source")))


@pytest.mark.parametrize("each_lesion", [False, True])
def test_it_reads_both(result: Result, tmp_path: Path, each_lesion: bool) -> None:
    """Every voxel of every segment where it was, and the figures of the report."""
    choice = OutputChoice(objects=("segmentation", "report"), segment_each_lesion=each_lesion)
    write_dicom(result, tmp_path, choice)
    (tmp_path / "read").mkdir()
    dcmqi(
        "segimage2itkimage",
        *("--inputDICOM", tmp_path / "dicom" / "segmentation.dcm"),
        *("--outputDirectory", tmp_path / "read", "--outputType", "nii", "--prefix", "segment"),
    )
    segments = segments_of(result, each_lesion)
    assert len(list((tmp_path / "read").glob("*.nii.gz"))) == len(segments)
    for one in segments:
        image = nib.load(tmp_path / "read" / f"segment-{one.number}.nii.gz")
        found = places(np.asarray(image.dataobj), image.affine)
        expected = places(one.inside, result.segmentation.affine)
        np.testing.assert_allclose(found, expected, atol=0.01)
    labels = {
        one["labelID"]: one["SegmentLabel"]
        for group in json.loads((tmp_path / "read" / "segment-meta.json").read_text())[
            "segmentAttributes"
        ]
        for one in group
    }
    assert sorted(labels.values()) == sorted(one.label for one in segments)
    assert measured(tmp_path) == {
        **({"MMCCD anomaly": result.report.volumes_ml.anomalous} if each_lesion else {}),
        **{
            one.tracking_id: pytest.approx(one.inside.sum() * result.image.voxel_ml, abs=1e-3)
            for one in segments
        },
        "MMCCD whole brain": result.report.volumes_ml.brain,
    }


def measured(folder: Path) -> dict[str, float]:
    """Volumes in the structured report, by what they are of."""
    read = folder / "report.json"
    dcmqi(
        "tid1500reader",
        *("--inputDICOM", folder / "dicom" / "report.dcm", "--outputMetadata", read),
    )
    return {
        group["TrackingIdentifier"]: float(item["value"])
        for group in json.loads(read.read_text())["Measurements"]
        for item in group["measurementItems"]
        if item["quantity"]["CodeMeaning"] == "Volume"
    }
