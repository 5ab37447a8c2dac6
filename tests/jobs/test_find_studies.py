"""mmccd.jobs.find and view: which studies a mounted input holds, and how one of many is read."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from tests.io.dicom_files import SECRETS, write_series

from mmccd.core.errors import InputError
from mmccd.io.read import read_volume
from mmccd.jobs.find import UNREADABLE, find_studies
from mmccd.jobs.inputs import DICOM, NIFTI, Input
from mmccd.jobs.studies import study_name
from mmccd.jobs.view import view_of


def of_study(uid: str, series: str = "1.2.3.5") -> object:
    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, series
            dataset.SOPInstanceUID = f"{uid}.{dataset.SOPInstanceUID}"

    return change


class TestNifti:
    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "head.nii.gz").touch()
        assert find_studies(tmp_path / "head.nii.gz") == [Input(tmp_path / "head.nii.gz", "head")]

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

    def test_names_can_be_folders(self, tmp_path: Path) -> None:
        for name in ("A b.NII.GZ", "..nii", ".hidden.nii.gz"):
            (tmp_path / name).touch()
        assert {study.name for study in find_studies(tmp_path)} == {"A_b", "case", "hidden"}


class TestDicom:
    def test_one_study_alone_is_its_folder(self, tmp_path: Path) -> None:
        write_series(tmp_path / "Mustermann" / "s1")
        (study,) = find_studies(tmp_path)
        assert study == Input(tmp_path, study_name("1.2.3"), DICOM)
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
            assert Input.from_dict(study.as_dict()) == study
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


def packed(archive: Path, *files: Path) -> Path:
    """A zip of some files; without any it holds one small text."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as target:
        for number, file in enumerate(files):
            target.write(file, f"{number}/{file.name}")
        if not files:
            target.writestr("word/document.xml", "text")
    return archive


class TestArchives:
    """As ``mmccd predict`` reads them; an archive's name may be the patient's."""

    @pytest.fixture
    def study(self, tmp_path: Path) -> Path:
        write_series(tmp_path / "series")
        return packed(tmp_path / "in" / "Mustermann.zip", *sorted((tmp_path / "series").iterdir()))

    @pytest.mark.parametrize("mounted", ["file", "folder"])
    def test_one_alone(self, study: Path, mounted: str) -> None:
        found = find_studies(study if mounted == "file" else study.parent)
        assert found == [Input(study, "archive", DICOM)]
        with view_of(found[0]) as path:
            assert read_volume(path).shape == (12, 10, 6)
            assert "Mustermann" not in str(path)

    def test_among_others(self, study: Path) -> None:
        packed(study.parent / "b" / "second.ZIP")
        packed(study.parent / "letter.docx")
        write_series(study.parent / "c", of_study("1.2.8"))
        (study.parent / "head.nii").touch()
        names = [one.name for one in find_studies(study.parent)]
        assert names == sorted(["archive", "archive-2", "head", study_name("1.2.8")])

    def test_no_image_in_it(self, tmp_path: Path) -> None:
        (one,) = find_studies(packed(tmp_path / "in" / "letter.docx").parent)
        with view_of(one) as path, pytest.raises(InputError, match=r"not a NIfTI|is no NIfTI"):
            read_volume(path)
