"""mmccd.jobs.find: which images a command line means."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.io.dicom_files import save_all, single_frames

from mmccd.core.errors import InputError
from mmccd.jobs.find import find_inputs
from mmccd.jobs.inputs import DICOM

UIDS = ("1.2.3.100", "1.2.3.200")


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def study(folder: Path, study_uid: str = UIDS[0], series: str = "1.2.3.5") -> None:
    """A tiny DICOM series."""
    datasets = single_frames(np.ones((4, 4, 2), dtype=np.uint16), np.eye(4), uid=series)
    for dataset in datasets:
        dataset.StudyInstanceUID = study_uid
    save_all(datasets, folder)


def found(*words: object) -> tuple[list[tuple[str, str]], bool]:
    """Names with the last part of the paths, and whether it is a cohort."""
    inputs, is_cohort = find_inputs([str(word) for word in words], "flair")
    return [(one.name, one.path.name) for one in inputs], is_cohort


class TestOneInput:
    def test_a_file(self, tmp_path: Path) -> None:
        touch(tmp_path / "head.nii.gz")
        assert found(tmp_path / "head.nii.gz") == ([("head", "head.nii.gz")], False)

    def test_what_is_not_there_is_left_to_the_reader(self, tmp_path: Path) -> None:
        assert found(tmp_path / "head.nii") == ([("head", "head.nii")], False)

    def test_a_study_with_a_folder_for_each_series(self, tmp_path: Path) -> None:
        study(tmp_path / "patient" / "t1", series="1.2.3.6")
        study(tmp_path / "patient" / "flair")
        touch(tmp_path / "patient" / "converted.nii.gz")
        assert found(tmp_path / "patient") == ([("patient", "patient")], False)
        assert find_inputs([str(tmp_path / "patient")], "flair")[0][0].kind == DICOM

    def test_a_study_without_folders(self, tmp_path: Path) -> None:
        study(tmp_path / "patient")
        assert found(tmp_path / "patient") == ([("patient", "patient")], False)

    def test_a_case_of_brats_layout_brings_its_mask(self, tmp_path: Path) -> None:
        touch(*(tmp_path / "A" / f"A_{name}.nii.gz" for name in ("flair", "t1", "brain")))
        (one,), is_cohort = find_inputs([str(tmp_path / "A")], "flair")
        assert not is_cohort
        assert (one.path.name, one.brain) == (
            "A_flair.nii.gz",
            tmp_path / "A" / "A_brain.nii.gz",
        )

    def test_a_pattern_with_one_match(self, tmp_path: Path) -> None:
        touch(tmp_path / "a.nii")
        assert found(tmp_path / "*.nii") == ([("a", "a.nii")], False)

    def test_a_name_with_brackets_is_no_pattern(self, tmp_path: Path) -> None:
        touch(tmp_path / "scan[1].nii")
        assert found(tmp_path / "scan[1].nii") == ([("scan_1", "scan[1].nii")], False)

    def test_a_file_of_a_study_is_called_by_no_name_of_its_own(self, tmp_path: Path) -> None:
        study(tmp_path / "s")
        path = next((tmp_path / "s").iterdir()).rename(tmp_path / "Mustermann")
        assert find_inputs([str(path)], "flair")[0][0].kind == DICOM

    def test_each_once(self, tmp_path: Path) -> None:
        touch(tmp_path / "x" / "head.nii", tmp_path / "y" / "head.nii")
        words = [str(tmp_path / part) for part in ("x/head.nii", "y/head.nii", "x/../x/head.nii")]
        assert [one.name for one in find_inputs(words, "flair")[0]] == ["x_head", "y_head"]

    def test_no_name_is_a_file_of_the_cohort(self, tmp_path: Path) -> None:
        touch(tmp_path / "cohort.nii")
        assert found(tmp_path / "cohort.nii") == ([("cohort-2", "cohort.nii")], False)


class TestCohort:
    def test_several_files(self, tmp_path: Path) -> None:
        touch(tmp_path / "b.nii", tmp_path / "a.nii")
        assert found(tmp_path / "b.nii", tmp_path / "a.nii") == (
            [("b", "b.nii"), ("a", "a.nii")],
            True,
        )

    def test_a_pattern(self, tmp_path: Path) -> None:
        touch(tmp_path / "x" / "b.nii", tmp_path / "y" / "a.nii.gz", tmp_path / "y" / "notes.txt")
        assert found(tmp_path / "**" / "*.nii*") == ([("b", "b.nii"), ("a", "a.nii.gz")], True)

    def test_a_pattern_that_nothing_fits(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nothing fits"):
            find_inputs([str(tmp_path / "*.nii")], "flair")

    def test_brats_layout_and_studies(self, tmp_path: Path) -> None:
        touch(
            tmp_path / "A" / "A_flair.nii.gz",
            tmp_path / "B" / "B-t2f.nii.gz",
            tmp_path / "C" / "C_t1.nii.gz",
        )
        study(tmp_path / "Mustermann" / "deep")
        named = "study-3bb3c02a2f7e"  # not after the patient
        expected = [("A", "A_flair.nii.gz"), ("B", "B-t2f.nii.gz"), (named, "Mustermann")]
        assert found(tmp_path) == (expected, True)

    def test_studies(self, tmp_path: Path) -> None:
        for name, uid in zip("ab", UIDS, strict=True):
            study(tmp_path / name / "series", uid)
        assert found(tmp_path) == ([("a", "a"), ("b", "b")], True)

    def test_files_in_a_folder(self, tmp_path: Path) -> None:
        touch(
            tmp_path / "a.nii.gz", tmp_path / "b.nii", tmp_path / "._b.nii", tmp_path / "notes.txt"
        )
        assert found(tmp_path) == ([("a", "a.nii.gz"), ("b", "b.nii")], True)

    def test_only_flair_where_some_say_so(self, tmp_path: Path) -> None:
        touch(
            *(
                tmp_path / f"{name}.nii.gz"
                for name in ("a_flair", "a_t1", "b-t2f", "a_flair_brainmask")
            )
        )
        assert found(tmp_path) == ([("a_flair", "a_flair.nii.gz"), ("b-t2f", "b-t2f.nii.gz")], True)

    def test_a_datalist(self, tmp_path: Path) -> None:
        touch(tmp_path / "x.nii.gz", tmp_path / "m.nii.gz")
        entry = {"name": "one", "patient": "one", "flair": "x.nii.gz", "brain": "m.nii.gz"}
        (tmp_path / "list.json").write_text(json.dumps({"test": [entry]}))
        inputs, is_cohort = find_inputs([str(tmp_path / "list.json")], "flair")
        assert is_cohort
        assert [(one.name, one.path.name, one.brain and one.brain.name) for one in inputs] == [
            ("one", "x.nii.gz", "m.nii.gz")
        ]

    def test_cases_without_flair(self, tmp_path: Path) -> None:
        touch(tmp_path / "A" / "A_t1.nii.gz")
        with pytest.raises(InputError, match="no case has flair"):
            find_inputs([str(tmp_path)], "flair")
