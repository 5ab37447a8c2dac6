"""Heads as scanned: brain masks against trusted ones, wrong contrasts, half heads, wrong headers,
DICOM series. Real data; MMCCD_DATA says where.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.integration.test_predict_dicom import predict_both, words
from tests.io.dicom_files import assert_same_in_patient_space

from mmccd.apps.cli import cli
from mmccd.core.errors import UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.evaluation.metrics import dice
from mmccd.io.nifti import read_nifti
from mmccd.phantom import Acquisition, load_anatomy, make_phantom
from mmccd.pipeline import make_intake
from mmccd.quality import Intake

RAW = Path(os.environ.get("MMCCD_DATA", "/nowhere")) / "raw"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "MMCCD_DATA" not in os.environ, reason="MMCCD_DATA is not set: no real heads"
    ),
]
PATIENT = RAW / "FG6692"
FLAIR = PATIENT / "FG6692_flair.nii.gz"
HEADS = sorted(path for path in RAW.glob("*/*.nii.gz") if "brainmask" not in path.name)


@pytest.fixture(scope="module")
def intake() -> Intake:
    return make_intake()


@pytest.fixture(scope="module")
def flair() -> Volume:
    return read_nifti(FLAIR, "flair")


@pytest.mark.parametrize(("name", "least"), [("flair", 0.95), ("t1", 0.95), ("t2", 0.945)])
def test_brain_mask_against_a_trusted_one(intake: Intake, name: str, least: float) -> None:
    volume = read_nifti(PATIENT / f"FG6692_{name}.nii.gz")
    truth = read_nifti(PATIENT / f"FG6692_{name}_brainmask.nii.gz").data > 0.5
    assert dice(intake.extract(volume).mask, truth) > least


@pytest.mark.parametrize("number", [15, 16])
def test_phantoms_with_skull(intake: Intake, number: int) -> None:
    anatomy = load_anatomy(RAW.parent / "labels" / f"training_seg_{number}.nii.gz", True)
    phantom = make_phantom(
        number, "glioma", Acquisition(slice_mm=5.0, pixel_mm=1.2), anatomy, head=True
    )
    for name, image in phantom.images.items():
        least = 0.95 if name == "flair" else 0.9
        assert dice(intake.extract(image).mask, phantom.brain.data > 0) > least, name


@pytest.mark.parametrize("path", HEADS, ids=lambda path: path.name)
def test_contrast_of_real_heads(intake: Intake, path: Path) -> None:
    volume = read_nifti(path)
    if "flair" in path.name:
        found = intake.prepare(volume)
        assert found.brain.method == "extraction"
        assert found.figures["contrast_probabilities"]["flair"] > 0.5
    else:
        with pytest.raises(UnsuitableInputError, match="expected FLAIR"):
            intake.prepare(volume)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("blanked", [True, False], ids=["blanked", "cropped"])
def test_half_a_head_is_refused(intake: Intake, flair: Volume, axis: int, blanked: bool) -> None:
    """Half of the head is outside the field of view, or was blanked."""
    half = np.arange(flair.shape[axis]) < flair.shape[axis] // 2
    if blanked:
        shape = [-1 if other == axis else 1 for other in range(3)]
        volume = flair.with_data(np.where(half.reshape(shape), flair.data, 0).astype(np.float32))
    else:
        volume = Volume(np.ascontiguousarray(np.compress(half, flair.data, axis)), flair.affine)
    with pytest.raises(UnsuitableInputError):
        intake.prepare(volume)


@pytest.mark.parametrize(
    "path", [path for path in HEADS if "flair" in path.name], ids=lambda path: path.name
)
def test_wrong_headers_are_noticed(intake: Intake, path: Path) -> None:
    volume = read_nifti(path)
    for axis, code in ((2, "head.upside_down"), (1, "head.back_to_front")):
        flip = np.eye(4)
        flip[axis, axis] = -1
        found = intake.prepare(Volume(volume.data, flip @ volume.affine)).findings
        assert code in {finding.code for finding in found}
    found = intake.prepare(volume).findings
    assert not any(finding.code.startswith("head.") for finding in found)


@pytest.mark.parametrize("kind", ["axial", "oblique", "sagittal", "multi-frame"])
def test_dicom_series_of_a_head(
    tmp_path: Path, shared_bundles: Path, flair: Volume, kind: str
) -> None:
    """The same map and mask as from NIfTI."""
    predict_both(
        (np.rint(flair.data).astype(np.uint16), flair.affine), kind, tmp_path, shared_bundles
    )
    for name in ("brain_mask", "anomaly_map"):
        expected, found = (
            read_nifti(tmp_path / folder / f"{name}.nii.gz")
            for folder in ("from_nifti", "from_dicom")
        )
        atol = 1e-3 * float(expected.data.max()) if name == "anomaly_map" else 0.0
        assert_same_in_patient_space(found, expected.data, expected.affine, atol=atol)
    report = json.loads((tmp_path / "from_dicom" / "report.json").read_text())
    assert report["input"]["brain_found_by"] == "extraction"
    assert any("look at brain_mask" in text for text in report["warnings"])


def test_the_command_line_says_why(
    tmp_path: Path, shared_bundles: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = RAW / "OPENMS_L01" / "OPENMS_L01_t1.nii.gz"
    assert cli.run(words(source, tmp_path / "out", shared_bundles)) == 4
    error = capfd.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "OPENMS_L01_t1.nii.gz: the contrast looks like T1" in error[0]
    assert not (tmp_path / "out").exists()
    assert cli.run(words(source, tmp_path / "out", shared_bundles, "--unchecked")) == 0
    assert any(
        "looks like T1" in text
        for text in json.loads((tmp_path / "out" / "report.json").read_text())["warnings"]
    )
