"""Names and places of files: what is an input, and what its results are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.field.test_studies import add

from mmccd.core import InputError, UnsuitableInputError, write_text
from mmccd.data import patient_of
from mmccd.io import read_nifti, read_volume
from mmccd.jobs.find import find_inputs, find_studies


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def names(*words: Path) -> list[str]:
    return [one.name for one in find_inputs([str(word) for word in words], "flair")[0]]


@pytest.mark.parametrize("ending", ["nrrd", "mha", "mgz", "nii.gz"])
def test_volumes_of_any_format_in_a_folder(tmp_path: Path, ending: str) -> None:
    touch(
        tmp_path / f"p1_FLAIR.{ending}",
        tmp_path / f"p1_T1.{ending}",
        tmp_path / f"p1_FLAIR_mask.{ending}",
    )
    assert names(tmp_path) == ["p1_FLAIR"]
    assert [one.name for one in find_studies(tmp_path)] == ["p1_FLAIR"]


def test_results_of_ours_are_no_images(tmp_path: Path) -> None:
    touch(*(tmp_path / f"{name}.nii.gz" for name in ("anomaly_map", "segmentation", "brain_mask")))
    touch(tmp_path / "report.json")
    with pytest.raises(InputError, match="results of ours"):
        names(tmp_path)
    touch(tmp_path / "in" / "head.nii.gz")
    assert [one.name for one in find_studies(tmp_path)] == ["head"]


def test_a_t1_flair_is_no_flair(tmp_path: Path) -> None:
    touch(*(tmp_path / f"p_{name}.nii.gz" for name in ("T1_FLAIR", "T2_FLAIR", "T2")))
    assert names(tmp_path) == ["p_T2_FLAIR"]


def test_labels_beside_images_are_not_judged(tmp_path: Path) -> None:
    touch(tmp_path / "imagesTr" / "c_001.nii.gz", tmp_path / "labelsTr" / "c_001.nii.gz")
    assert [one.path.parent.name for one in find_studies(tmp_path)] == ["imagesTr"]
    with pytest.raises(InputError, match=r"imagesTr/\*\.nii\.gz"):
        names(tmp_path)


def test_one_name_in_two_folders(tmp_path: Path) -> None:
    first, second = tmp_path / "p1" / "FLAIR.nii.gz", tmp_path / "p2" / "FLAIR.nii.gz"
    touch(first, second)
    assert names(first, second, first) == ["p1_FLAIR", "p2_FLAIR"]


def test_bytes_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.html", os.fsdecode(b"b\xff.nii.gz"))
    assert (tmp_path / "a.html").read_text() == r"b\udcff.nii.gz"


@pytest.mark.parametrize(
    ("content", "said", "code"),
    [
        (b"/annex/objects/MD5E-s1--x.nii.gz", "placeholder of git-annex", "input.absent"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "input.absent"),
        (b"<!DOCTYPE html><html>", "is a web page", "nifti.other_format"),
    ],
)
def test_what_stands_in_the_place_of_a_file(
    tmp_path: Path, content: bytes, said: str, code: str
) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_volume(tmp_path / "a.nii.gz")
    assert caught.value.code == code


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="is a pipe"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    "visits",
    [
        ("P01V1", "P01V2"),
        ("S01_6months", "S01_12months"),
        ("S01_1y", "S01_2y"),
        ("101_Jan2019", "101_Mar2021"),
        ("101_1st", "101_2nd"),
        ("101_I", "101_II"),
        ("p01_rescan", "p01"),
        ("p01_test", "p01_retest"),
        ("p01-acq1", "p01-acq2"),
        ("P14_T1_FLAIR", "P14_T2_FLAIR"),
        ("101(1)", "101(2)"),
    ],
)
def test_visits_of_one_patient(visits: tuple[str, str]) -> None:
    assert len({patient_of(name) for name in visits}) == 1


@pytest.mark.parametrize(
    "others",
    [("1.2.840.1", "1.2.840.2"), ("scan_1", "scan_2"), ("HC3T01", "HC3T02"), ("A_1", "A_2")],
)
def test_patients_stay_apart(others: tuple[str, str]) -> None:
    assert len({patient_of(name) for name in others}) == 2


class TestSeries:
    def test_original_before_what_is_called_a_reformat(self, tmp_path: Path) -> None:
        add(tmp_path, 3, "Sag 3D FLAIR")
        add(tmp_path, 4, "3D FLAIR Ax Reformat")
        assert read_volume(tmp_path).provenance["series_number"] == 3

    @pytest.mark.parametrize(
        ("description", "header", "code"),
        [
            ("FLAIR", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "dicom.not_mr"),
            ("FLAIR", {"ImageType": ["DERIVED", "SECONDARY", "SUB"]}, "dicom.derived"),
            ("FLAIR subtraction", {}, "dicom.not_flair"),
            ("FLAIR MIP", {}, "dicom.not_flair"),
        ],
    )
    def test_refused(
        self, tmp_path: Path, description: str, header: dict[str, object], code: str
    ) -> None:
        add(tmp_path, 3, description, **header)
        with pytest.raises(UnsuitableInputError) as caught:
            read_volume(tmp_path)
        assert caught.value.code == code
