"""Objects for real series: a head as scanned, and files as scanners and archives write them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from tests.io.dicom_files import RAS_TO_LPS, as_archived, save_all, single_frames
from tests.outputs.dicom.results import result_of, result_on

from mmccd.core.result import Result
from mmccd.io.dicom.starts import looks_like_dicom
from mmccd.io.read import read_volume
from mmccd.outputs.dicom.write import write_dicom

SERIES = [
    "siemens_flair3d_4slices",
    "philips_4slices",
    "philips_enhanced_multiframe",
    "compressed_rle",
    "compressed_j2k",
]


def check(result: Result, output: Path) -> None:
    """The objects hold the segmentation, and dciodvfy finds no error in them."""
    output.mkdir()
    report = write_dicom(result, output).report
    assert len(report.dicom or ()) >= 3
    volume = highdicom.seg.segread(output / "dicom" / "segmentation.dcm").get_volume(
        combine_segments=True, rtol=0.05
    )
    to_index = np.linalg.inv(result.image.affine) @ RAS_TO_LPS @ volume.affine
    places = np.argwhere(volume.array) @ to_index[:3, :3].T + to_index[:3, 3]
    placed = np.zeros(result.image.shape)
    placed[tuple(np.rint(places).astype(int).T)] = 1
    np.testing.assert_allclose(places, np.rint(places), atol=0.02)
    np.testing.assert_array_equal(placed, result.segmentation.data)
    if shutil.which("dciodvfy"):
        for entry in report.dicom or ():
            done = subprocess.run(
                ["dciodvfy", str(output / entry.file)],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "Error" not in done.stderr + done.stdout, done.stderr


@pytest.mark.parametrize("case", ["FG6692", "OPENMS_L01"])
def test_a_head_as_scanned(tmp_path: Path, real_data: Path, case: str) -> None:
    """An oblique stack of a patient, with a mask that somebody has checked."""
    folder = real_data / "raw" / case
    paths = sorted(folder.glob("*_flair.nii.gz"))
    if not paths:
        pytest.skip(f"{case} has no FLAIR here")
    image = nib.load(paths[0])
    data = image.get_fdata(dtype=np.float32)
    datasets = single_frames(np.rint(data * (4095 / data.max())).astype(np.uint16), image.affine)
    as_archived(datasets)
    check(result_on(save_all(datasets, tmp_path / "source")), tmp_path / "out")


def completed(folder: Path, target: Path) -> str:
    """Copies of a series with the frame of reference that whoever made it anonymous took away; its
    series UID.
    """
    target.mkdir()
    uid = ""
    for number, path in enumerate(
        path for path in sorted(folder.rglob("*")) if path.is_file() and looks_like_dicom(path)
    ):
        dataset = pydicom.dcmread(path)
        uid = str(dataset.SeriesInstanceUID)
        dataset.FrameOfReferenceUID = dataset.get("FrameOfReferenceUID") or f"{uid}.1"
        dataset.save_as(target / f"IM{number}")
    return uid


@pytest.mark.parametrize("name", SERIES)
def test_series_of_scanners(tmp_path: Path, real_data: Path, name: str) -> None:
    """Headers as scanners write them, with whatever they leave out."""
    uid = completed(real_data / "dicom" / name, tmp_path / "source")
    check(result_of(read_volume(tmp_path / "source", "flair", uid)), tmp_path / "out")


def test_no_frame_of_reference(tmp_path: Path, real_data: Path) -> None:
    """The files as they came have none: a warning, no object."""
    report = write_dicom(result_on(real_data / "dicom" / SERIES[0]), tmp_path).report
    assert report.dicom == ()
    assert "no valid frame of reference UID" in report.warnings[-1]
