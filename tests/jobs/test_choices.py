"""mmccd.jobs.choices: which series of a DICOM input can be chosen, and how they are called."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tests.field.test_studies import FIRST, OTHER_PATIENT, SECOND_VISIT, SECRETS, add

from mmccd.io import read_volume
from mmccd.jobs import DICOM, NIFTI, Input, SeriesChoice, series_to_choose


def choices(path: Path) -> list[SeriesChoice]:
    return series_to_choose(Input(path, "one", DICOM if path.is_dir() else NIFTI))


def test_studies_newest_first_and_in_each_the_flair_first(tmp_path: Path) -> None:
    add(tmp_path, 2, "Ax SWAN")
    flair = add(tmp_path, 3)
    again = add(tmp_path, 4, **SECOND_VISIT)
    found = choices(tmp_path)
    assert [(one.study, one.date, one.number, one.images) for one in found] == [
        (1, "2024-06-11", 4, 6),
        (2, "2023-01-05", 3, 6),
        (2, "2023-01-05", 2, 6),
    ]
    assert [one.uid for one in found[:2]] == [again, flair]
    assert [one.patient for one in found] == [None] * 3
    assert [bool(one.doubt) for one in found] == [False, False, True]
    assert (found[1].plane, found[1].study_description) == ("axial", "Brain")
    assert len({one.id for one in found}) == 3


def test_what_is_chosen_is_read(tmp_path: Path) -> None:
    add(tmp_path, 3)
    add(tmp_path, 4, **SECOND_VISIT)
    for one in choices(tmp_path):
        assert one.settings == {"series": f"uid={one.uid}"}
        assert read_volume(tmp_path, "flair", one.uid).provenance["series_number"] == one.number


def test_a_uid_that_two_studies_share(tmp_path: Path) -> None:
    for header in (FIRST, SECOND_VISIT):
        add(tmp_path, 3, SeriesInstanceUID="1.2.99", **header)
    found = choices(tmp_path)
    assert [one.settings for one in found] == [
        {"series": "uid=1.2.99", "study": "uid=1.2.32"},
        {"series": "uid=1.2.99", "study": "uid=1.2.31"},
    ]
    assert found[0].id != found[1].id


def test_patients_have_numbers_and_no_names(tmp_path: Path) -> None:
    add(tmp_path, 3)
    add(tmp_path, 4, **OTHER_PATIENT)
    found = choices(tmp_path)
    assert {one.patient for one in found} == {1, 2}
    assert not [word for word in SECRETS if word in json.dumps([one.as_dict() for one in found])]


def test_what_cannot_be_read_is_not_offered(tmp_path: Path) -> None:
    add(tmp_path, 3)
    add(tmp_path, 7, change=lambda datasets: datasets.__delitem__(slice(2, 4)))
    assert [one.number for one in choices(tmp_path)] == [3]


def test_an_archive_and_a_file_that_is_no_dicom(tmp_path: Path) -> None:
    add(tmp_path / "study", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as content:
        for file in (tmp_path / "study").iterdir():
            content.write(file, file.name)
    assert [one.number for one in choices(tmp_path / "a.zip")] == [3]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as content:
        content.writestr("a.nii", b"no image")
    assert choices(tmp_path / "b.zip") == []
