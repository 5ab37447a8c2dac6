"""``mmccd predict`` on DICOM: the same map as from NIfTI, on the series' own grid, and nothing of
the patient anywhere but in the DICOM objects.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from highdicom.seg import segread
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tests.io.dicom_files import (
    RAS_TO_LPS,
    SECRETS,
    assert_same_in_patient_space,
    multi_frame,
    save,
    save_all,
    single_frames,
)

from mmccd.apps.cli import cli
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.io.nifti import read_nifti
from mmccd.jobs import study_name
from mmccd.jobs.batch import predict_folder
from mmccd.phantom import Phantom
from mmccd.pipeline import AnomalyPipeline

pytestmark = pytest.mark.slow

MAPS = ("anomaly_map", "segmentation", "brain_mask")
Image = tuple[NDArray[np.uint16], NDArray[np.float64]]


@pytest.fixture(scope="module")
def head(lesion_phantom: Phantom) -> Image:
    """Whole numbers in 12 bits, as a scanner stores them."""
    flair = lesion_phantom.images["flair"]
    return np.rint(flair.data * (4000 / flair.data.max())).astype(np.uint16), flair.affine


def turned(image: Image) -> Image:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (9, -5, 12), degrees=True).as_matrix()
    return image[0], turn @ image[1]


def sagittal(image: Image) -> Image:
    return image[0].transpose(1, 2, 0), image[1][:, [1, 2, 0, 3]]


def words(source: Path, output: Path, bundles: Path, *more: str) -> list[str]:
    always = [
        "--bundles",
        str(bundles),
        "--preset",
        "fast",
        "--device",
        "cpu",
        "--threshold",
        "0.7",
    ]
    return ["predict", str(source), "--output", str(output), *always, *more]


def predict_both(image: Image, kind: str, folder: Path, bundles: Path) -> None:
    """An image as NIfTI and as a series of that kind, each predicted: ``from_nifti`` and
    ``from_dicom`` in the folder.
    """
    array, affine = {"oblique": turned, "sagittal": sagittal}.get(kind, lambda same: same)(image)
    nib.save(nib.Nifti1Image(array, affine), folder / "head.nii.gz")
    if kind == "multi-frame":
        save(multi_frame(array, affine), folder / "study" / "IM")
    else:
        save_all(single_frames(array, affine), folder / "study")
    assert cli.run(words(folder / "head.nii.gz", folder / "from_nifti", bundles)) == 0
    assert cli.run(words(folder / "study", folder / "from_dicom", bundles)) == 0


@pytest.mark.parametrize("kind", ["axial", "oblique", "sagittal", "multi-frame"])
def test_as_from_nifti(tmp_path: Path, head: Image, shared_bundles: Path, kind: str) -> None:
    predict_both(head, kind, tmp_path, shared_bundles)
    for name in MAPS:
        expected = read_nifti(tmp_path / "from_nifti" / f"{name}.nii.gz")
        found = read_nifti(tmp_path / "from_dicom" / f"{name}.nii.gz")
        atol = 1e-5 * float(expected.data.max()) if name == "anomaly_map" else 0.0
        assert_same_in_patient_space(found, expected.data, expected.affine, atol=atol)
        assert found.data.any()
    check_objects(tmp_path / "from_dicom")
    assert not (tmp_path / "from_nifti" / "dicom").exists()


def check_objects(output: Path) -> None:
    """The segmentation object holds the voxels of the NIfTI file, and the report lists what lies in
    the folder.
    """
    expected = read_nifti(output / "segmentation.nii.gz")
    volume = segread(output / "dicom" / "segmentation.dcm").get_volume(combine_segments=True)
    to_index = np.linalg.inv(expected.affine) @ RAS_TO_LPS @ volume.affine
    places = np.argwhere(volume.array) @ to_index[:3, :3].T + to_index[:3, 3]
    np.testing.assert_allclose(places, np.rint(places), atol=1e-3)
    placed = np.zeros(expected.shape)
    placed[tuple(np.rint(places).astype(int).T)] = 1
    np.testing.assert_array_equal(placed, expected.data)
    report = json.loads((output / "report.json").read_text())
    assert sorted(entry["file"] for entry in report["dicom"]) == sorted(
        f"dicom/{path.name}" for path in (output / "dicom").iterdir()
    )


def test_nothing_of_the_patient(
    tmp_path: Path, head: Image, shared_bundles: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In no file but the DICOM objects, no line, with --debug: the name stands in headers, folders
    and the description.
    """
    datasets = single_frames(*head, description="flair Mustermann ERIKA")
    save_all(datasets, tmp_path / "study" / "Mustermann_PID-4711")
    save_all(
        single_frames(*head, uid="1.2.3.9", number=9, description="flair PID-4711"),
        tmp_path / "study" / "Erika",
    )
    assert cli.run([*words(tmp_path / "study", tmp_path / "out", shared_bundles), "--debug"]) == 0
    captured = capfd.readouterr()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["input"]["file"] == 'DICOM series 5 "flair *** ***"'
    assert "2 series look like FLAIR" in report["warnings"][-1]
    assert "1.2.3" not in json.dumps(report["input"]) + json.dumps(report["warnings"]), (
        "no UID in the report"
    )
    texts = [captured.out, captured.err, *(path.name for path in (tmp_path / "out").rglob("*"))]
    contents = [path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()]
    for secret in SECRETS:
        assert all(secret.lower() not in text.lower() for text in texts)
        assert all(secret.encode() not in content for content in contents)


def test_the_series_that_is_asked_for(tmp_path: Path, head: Image, shared_bundles: Path) -> None:
    save_all(single_frames(*head), tmp_path / "study" / "a")
    save_all(
        single_frames(*head, uid="1.2.3.9", number=9, description="flair fs"),
        tmp_path / "study" / "b",
    )
    assert (
        cli.run(words(tmp_path / "study", tmp_path / "out", shared_bundles, "--series", "1.2.3.9"))
        == 0
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["input"]["series_number"] == 9
    assert not [text for text in report["warnings"] if "series" in text]


def test_a_mask_in_the_axes_of_a_converter(
    tmp_path: Path, head: Image, shared_bundles: Path
) -> None:
    """Converters to NIfTI reverse the rows; a mask made there fits a DICOM series all the same."""
    array, affine = head
    mask = (array > 0)[:, ::-1].astype(np.uint8)
    flip = np.array([[1, 0, 0, 0], [0, -1, 0, array.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(mask, affine @ flip), tmp_path / "mask.nii.gz")
    save_all(single_frames(array, affine), tmp_path / "study")
    assert (
        cli.run(
            words(
                tmp_path / "study",
                tmp_path / "out",
                shared_bundles,
                "--brain-mask",
                str(tmp_path / "mask.nii.gz"),
            )
        )
        == 0
    )
    assert_same_in_patient_space(
        read_nifti(tmp_path / "out" / "brain_mask.nii.gz"), mask, affine @ flip
    )


class TestCohort:
    """A folder of cases: BraTS layout, DICOM studies, or both."""

    @pytest.fixture
    def pipeline(self, shared_bundles: Path) -> AnomalyPipeline:
        return AnomalyPipeline.from_bundles(
            shared_bundles, preset="fast", device="cpu", threshold=0.7
        )

    def test_both(
        self,
        tmp_path: Path,
        head: Image,
        pipeline: AnomalyPipeline,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO, "mmccd")
        save_all(single_frames(*head), tmp_path / "data" / "study_of_Mustermann" / "deep")
        (tmp_path / "data" / "case").mkdir()
        nib.save(
            nib.Nifti1Image(head[0], head[1]), tmp_path / "data" / "case" / "case_flair.nii.gz"
        )
        (tmp_path / "data" / "empty").mkdir()
        folders = predict_folder(pipeline, tmp_path / "data", tmp_path / "out")
        assert folders == [tmp_path / "out" / "case", tmp_path / "out" / study_name("1.2.3")]
        maps = [read_nifti(folder / "anomaly_map.nii.gz") for folder in folders]
        assert_same_in_patient_space(
            maps[1], maps[0].data, maps[0].affine, atol=1e-5 * float(maps[0].data.max())
        )
        assert "1 of 2: case" in caplog.text
        assert "2 of 2: DICOM study 2" in caplog.text
        assert "Mustermann" not in caplog.text

    def test_a_study_that_fails(
        self, tmp_path: Path, head: Image, pipeline: AnomalyPipeline
    ) -> None:
        datasets = single_frames(head[0][:, :, :2], head[1])
        save_all(datasets, tmp_path / "data" / "Mustermann")
        with pytest.raises(
            UnsuitableInputError, match="DICOM study 1: no series can be used"
        ) as caught:
            predict_folder(pipeline, tmp_path / "data", tmp_path / "out")
        assert str(caught.value).startswith(str(tmp_path / "data"))
        assert "Mustermann" not in str(caught.value)

    def test_neither(self, tmp_path: Path, pipeline: AnomalyPipeline) -> None:
        (tmp_path / "data" / "empty").mkdir(parents=True)
        with pytest.raises(InputError, match="no case found"):
            predict_folder(pipeline, tmp_path / "data", tmp_path / "out")


@pytest.mark.parametrize("plane", ["as scanned", "sagittal"])
def test_real_head(tmp_path: Path, real_data: Path, shared_bundles: Path, plane: str) -> None:
    """A patient as scanned, with the trusted mask: the map from DICOM is the map from NIfTI."""
    case = real_data / "raw" / "FG6692"
    image = nib.load(case / "FG6692_flair.nii.gz")
    data = image.get_fdata(dtype=np.float32)
    real: Image = (np.rint(data * (4095 / data.max())).astype(np.uint16), image.affine)
    array, affine = sagittal(real) if plane == "sagittal" else real
    nib.save(nib.Nifti1Image(real[0], real[1]), tmp_path / "head.nii.gz")
    save_all(single_frames(array, affine), tmp_path / "study")
    mask = ("--brain-mask", str(case / "FG6692_flair_brainmask.nii.gz"))
    assert (
        cli.run(words(tmp_path / "head.nii.gz", tmp_path / "from_nifti", shared_bundles, *mask))
        == 0
    )
    assert cli.run(words(tmp_path / "study", tmp_path / "from_dicom", shared_bundles, *mask)) == 0
    expected, found = (
        read_nifti(tmp_path / name / "anomaly_map.nii.gz") for name in ("from_nifti", "from_dicom")
    )
    assert_same_in_patient_space(
        found, expected.data, expected.affine, atol=1e-5 * float(expected.data.max())
    )
