"""mmccd.apps.map.studies and view: which studies an input holds, and how one of many is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from tests.io.dicom_files import SECRETS, write_series

from mmccd.apps.map.studies import (
    DICOM,
    NIFTI,
    UNREADABLE,
    Study,
    find_studies,
    safe_name,
    study_name,
)
from mmccd.apps.map.view import view_of
from mmccd.core.errors import InputError
from mmccd.io.read import read_volume


def of_study(uid: str, series: str = "1.2.3.5") -> object:
    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, series
            dataset.SOPInstanceUID = f"{uid}.{dataset.SOPInstanceUID}"

    return change


class TestNifti:
    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "head.nii.gz").touch()
        assert find_studies(tmp_path / "head.nii.gz") == [
            Study("head", NIFTI, tmp_path / "head.nii.gz")
        ]

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        for name in ("one.nii", "b/one.nii.gz", "b/ONE.NII.GZ", "b/note.txt"):
            (tmp_path / name).touch()
        assert [study.name for study in find_studies(tmp_path)] == ["ONE", "one-2", "one-3"]

    def test_brats(self, tmp_path: Path) -> None:
        for name in ("a_flair.nii.gz", "a_t1.nii.gz", "a_seg.nii.gz", "b-t2f.nii.gz"):
            (tmp_path / name).touch()
        assert [study.name for study in find_studies(tmp_path)] == ["a_flair", "b-t2f"]

    def test_any_other_file_is_left_to_the_reader(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("hello")
        assert find_studies(tmp_path / "a.txt")[0].kind == NIFTI

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a b/ä.nii", "study"),
            ("A b_ä.NII.GZ", "A_b"),
            ("..nii", "study"),
            ("x" * 80 + ".nii", "x" * 64),
            (".hidden.nii.gz", "hidden"),
        ],
    )
    def test_names(self, name: str, expected: str) -> None:
        assert safe_name(Path(name)) == expected


class TestDicom:
    def test_one_study_alone_is_its_folder(self, tmp_path: Path) -> None:
        write_series(tmp_path / "Mustermann" / "s1")
        (study,) = find_studies(tmp_path)
        assert study == Study(study_name("1.2.3"), DICOM, tmp_path)
        with view_of(study) as path:
            assert path == tmp_path

    def test_two_studies_in_one_folder(self, tmp_path: Path) -> None:
        write_series(tmp_path / "in" / "Mustermann", of_study("1.2.8"))
        write_series(tmp_path / "in" / "PID-4711", of_study("1.2.9"))
        studies = find_studies(tmp_path / "in")
        assert {study.name for study in studies} == {study_name("1.2.8"), study_name("1.2.9")}
        for study in studies:
            assert len(study.files) == 6
            assert not any(secret in study.name for secret in SECRETS)
            assert Study.from_dict(study.as_dict()) == study
            with view_of(study) as path:
                assert read_volume(path).shape == (12, 10, 6)
                assert "Mustermann" not in str(path)
            assert not path.exists()

    def test_a_damaged_file_goes_to_the_study_beside_it(self, tmp_path: Path) -> None:
        good, bad = tmp_path / "in" / "a", tmp_path / "in" / "b"
        write_series(good, of_study("1.2.8"))
        write_series(bad, of_study("1.2.9"))
        os.truncate(bad / "IM0003", 140)
        studies = {study.name: study for study in find_studies(tmp_path / "in")}
        assert len(studies) == 2
        with view_of(studies[study_name("1.2.8")]) as path:
            read_volume(path)
        with (
            view_of(studies[study_name("1.2.9")]) as path,
            pytest.raises(InputError, match="damaged or cut off"),
        ):
            read_volume(path)

    def test_files_of_no_study(self, tmp_path: Path) -> None:
        write_series(tmp_path / "in" / "a", of_study("1.2.8"))
        (tmp_path / "in" / "b").mkdir()
        (tmp_path / "in" / "b" / "IM1.dcm").touch()
        assert [study.name for study in find_studies(tmp_path / "in")] == [study_name("1.2.8")], (
            "a single study is read as mmccd predict reads it"
        )
        write_series(tmp_path / "in" / "c", of_study("1.2.9"))
        assert UNREADABLE in [study.name for study in find_studies(tmp_path / "in")]

    def test_beside_nifti(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a")
        (tmp_path / "head.nii").touch()
        assert [study.kind for study in find_studies(tmp_path)] == [NIFTI, DICOM]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        find_studies(tmp_path / "none")
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="holds no NIfTI and no DICOM file"):
        find_studies(tmp_path)
