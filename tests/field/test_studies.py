"""Several patients, studies or visits in one folder: never judged as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from tests.io.dicom_files import AXIAL, save, save_all, single_frames, voxels

from mmccd.apps.cli import cli
from mmccd.core import InputError, MmccdError, Settings, UnsuitableInputError, Volume
from mmccd.io import read_volume, scan
from mmccd.io.dicom.origin import Origin, by_visit
from mmccd.io.dicom.visits import one_visit
from mmccd.jobs import Redactor, select_series
from mmccd.jobs.find import find_inputs, find_studies
from mmccd.jobs.view import view_of

SECRETS = ("alpha", "anna", "beta", "bert", "a-1", "b-2", "19700101", "1970-01-01")
FIRST = {
    "StudyInstanceUID": "1.2.31",
    "PatientName": "ALPHA^ANNA",
    "PatientID": "A-1",
    "PatientBirthDate": "19700101",
    "StudyDate": "20230105",
    "AcquisitionDate": "20230105",
    "StudyDescription": "Brain",
}
SECOND_VISIT = {
    "StudyInstanceUID": "1.2.32",
    "StudyDate": "20240611",
    "AcquisitionDate": "20240611",
    "StudyDescription": "Brain again",
}
OTHER_PATIENT = {"StudyInstanceUID": "1.2.33", "PatientName": "BETA^BERT", "PatientID": "B-2"}


def add(
    folder: Path,
    number: int = 3,
    description: str = "Ax T2 FLAIR",
    change: Callable[[list[Dataset]], object] | None = None,
    **header: object,
) -> str:
    """A series of 6 slices of the first patient's first visit, but for what is said."""
    values = {**FIRST, **header}
    uid = str(values.pop("SeriesInstanceUID", f"{values['StudyInstanceUID']}.{number}"))
    datasets = single_frames(voxels(seed=number), AXIAL, uid, number, description)
    for dataset in datasets:
        for name, value in values.items():
            if value is None:
                dataset.pop(name, None)
            else:
                setattr(dataset, name, value)
    if change:
        change(datasets)
    start = len(list(folder.glob("*"))) if folder.exists() else 0
    save_all(datasets, folder, start=start)
    return uid


def after(first: int, **header: object) -> Callable[[list[Dataset]], object]:
    """Other values from a slice on."""

    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets[first:]:
            for name, value in header.items():
                setattr(dataset, name, value)

    return change


def refused(folder: Path, *words: str, code: str = "dicom.several_studies") -> str:
    with pytest.raises(UnsuitableInputError) as caught:
        read_volume(folder)
    text = str(caught.value)
    assert caught.value.code == code
    assert not [secret for secret in SECRETS if secret in text.lower()]
    for word in words:
        assert word in text
    return text


SEVERAL = {
    "two patients": OTHER_PATIENT,
    "two visits": SECOND_VISIT,
    "two studies of one day": {"StudyInstanceUID": "1.2.34"},
    "a study UID used for two visits": {
        "StudyDate": "20240611",
        "AcquisitionDate": "20240611",
        "SeriesInstanceUID": "1.2.99",
    },
    "a study UID used for two patients": {
        **OTHER_PATIENT,
        "StudyInstanceUID": "1.2.31",
        "SeriesInstanceUID": "1.2.99",
    },
    "one name and number, two dates of birth": {
        "PatientBirthDate": "19710203",
        "SeriesInstanceUID": "1.2.99",
    },
    "one name, two numbers": {"PatientID": "A-2", "SeriesInstanceUID": "1.2.99"},
    "visits that an archive gave one date": {
        "AcquisitionDate": "20240611",
        "SeriesInstanceUID": "1.2.99",
    },
    "a series UID used in two studies": {**SECOND_VISIT, "SeriesInstanceUID": "1.2.31.3"},
}


class TestSeveral:
    @pytest.mark.parametrize("other", SEVERAL.values(), ids=SEVERAL)
    @pytest.mark.parametrize("description", ["Ax T2 FLAIR", "Ax T1"])
    def test_refused(self, tmp_path: Path, other: dict[str, object], description: str) -> None:
        add(tmp_path)
        times = {"InversionTime": None, "RepetitionTime": 500.0, "EchoTime": 10.0}
        add(tmp_path, 3, description, **{**other, **(times if "T1" in description else {})})
        refused(tmp_path, "holds 2 studies", "series 3")

    def test_listed_newest_first(self, tmp_path: Path) -> None:
        add(tmp_path)
        add(tmp_path, 4)
        add(tmp_path, 7, **SECOND_VISIT)
        text = refused(tmp_path, "--study UID or --study DATE")
        assert (
            '"Brain again", series 7 (2024-06-11, UID 1.2.32); "Brain", series 3, 4 (2023-01-05,'
            " UID 1.2.31)"
        ) in text

    def test_patients_are_counted(self, tmp_path: Path) -> None:
        add(tmp_path)
        add(tmp_path, **OTHER_PATIENT)
        refused(tmp_path, "2 studies of 2 patients")

    def test_a_long_list_is_cut(self, tmp_path: Path) -> None:
        for number in range(14):
            add(tmp_path, number, StudyInstanceUID=f"1.2.40.{number}")
        refused(tmp_path, "holds 14 studies", "and 2 more")

    def test_account_and_log_have_neither_date_nor_uid(self, tmp_path: Path) -> None:
        add(tmp_path)
        add(tmp_path, 7, **SECOND_VISIT)
        text = Redactor({})(refused(tmp_path))
        assert "2024" not in text and "1.2.3" not in text
        assert "series 7 (UID)" in text


SAME = {
    "padding": {"PatientID": " A-1  ", "PatientName": "ALPHA^ANNA^^^ "},
    "capitals": {"PatientName": "Alpha^Anna", "PatientID": "a-1"},
    "another script": {"PatientName": "ALPHA^ANNA=\u5c71\u7530^\u82b1"},
    "nothing said": {
        "PatientName": "",
        "PatientID": None,
        "PatientBirthDate": "",
        "AcquisitionDate": None,
        "StudyDate": None,
    },
    "after midnight": {"AcquisitionDate": "20230106"},
    "derived later": {"ImageType": ["DERIVED", "SECONDARY"], "AcquisitionDate": "20230301"},
}


class TestOne:
    @pytest.mark.parametrize("header", SAME.values(), ids=SAME)
    def test_another_series_of_it(self, tmp_path: Path, header: dict[str, object]) -> None:
        uid = add(tmp_path)
        add(tmp_path, 9, "T2 FLAIR cor", **header)
        volume = read_volume(tmp_path)
        assert volume.headers[0].SeriesInstanceUID == uid

    @pytest.mark.parametrize("name", ["padding", "capitals", "another script", "nothing said"])
    def test_some_of_its_files(self, tmp_path: Path, name: str) -> None:
        header = {key: value or "" for key, value in SAME[name].items()}
        add(tmp_path, change=after(3, **header))
        assert read_volume(tmp_path).shape == (12, 10, 6)

    def test_numbers_padded_with_zeros(self, tmp_path: Path) -> None:
        add(tmp_path, PatientID="00042", change=after(3, PatientID="42"))
        assert read_volume(tmp_path).shape == (12, 10, 6)

    def test_what_is_no_image_belongs_to_no_study(self, tmp_path: Path) -> None:
        add(tmp_path)
        state = Dataset()
        state.update(OTHER_PATIENT)
        state.SOPClassUID, state.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.3.4.5"
        state.SeriesInstanceUID, state.Modality = "1.2.98", "PR"
        save(state, tmp_path / "PR")
        assert read_volume(tmp_path).findings == ()


MIXED = {
    "name and number": ({"PatientName": "BETA^BERT", "PatientID": "B-2"}, "slices of 2 patients"),
    "name": ({"PatientName": "ALPHA^BERT"}, "slices of 2 patients"),
    "number": ({"PatientID": "B-2"}, "slices of 2 patients"),
    "date of birth": ({"PatientBirthDate": "19800101"}, "slices of 2 patients"),
    "date of the study": ({"StudyDate": "20240611"}, "slices of 2 studies"),
    "date of acquisition": ({"AcquisitionDate": "20240611"}, "slices of 2 studies"),
}


class TestOneSeries:
    @pytest.mark.parametrize(("header", "says"), MIXED.values(), ids=MIXED)
    @pytest.mark.parametrize("first", [1, 3, 5])
    def test_of_two(self, tmp_path: Path, header: dict[str, object], says: str, first: int) -> None:
        add(tmp_path, change=after(first, **header))
        code = "dicom.several_patients" if "patients" in says else "dicom.several_studies"
        refused(tmp_path, 'series 3 "Ax T2 FLAIR"', says, code=code)
        with pytest.raises(UnsuitableInputError, match=says):
            read_volume(tmp_path, series_uid="1.2.31.3")
        # The application does not tear it apart either.
        (study,) = find_studies(tmp_path)
        assert study.path == tmp_path

    def test_beside_a_good_one(self, tmp_path: Path) -> None:
        add(tmp_path, 9, "Ax T1", change=after(3, PatientName="BETA^BERT"))
        uid = add(tmp_path)
        refused(tmp_path, "series 9", code="dicom.several_patients")
        assert read_volume(tmp_path, series_uid=uid).shape == (12, 10, 6)


class TestChoice:
    @pytest.fixture
    def both(self, tmp_path: Path) -> Path:
        add(tmp_path)
        add(tmp_path, 7, **SECOND_VISIT)
        return tmp_path

    @pytest.mark.parametrize(
        ("given", "number"),
        [
            ("1.2.31", 3),
            ("uid=1.2.32", 7),
            ("2023-01-05", 3),
            ("20240611", 7),
            ("date=2024-06-11", 7),
        ],
    )
    def test_by_uid_and_date(self, both: Path, given: str, number: int) -> None:
        volume = read_volume(both, visit=Settings(study=given).study)
        assert volume.provenance["series_number"] == number
        uids = {header.StudyInstanceUID for header in volume.headers}
        assert len(uids) == 1

    def test_a_series_names_its_study(self, both: Path) -> None:
        assert read_volume(both, series_uid="1.2.32.7").provenance["series_number"] == 7

    def test_with_a_rule_for_the_series(self, both: Path) -> None:
        add(both, 7, "again")
        assert select_series(both, "number=7", 0, "uid=1.2.32") == "1.2.32.7"
        with pytest.raises(UnsuitableInputError, match="holds 2 studies"):
            select_series(both, "number=7", 0)

    def test_none_of_that_name(self, both: Path) -> None:
        with pytest.raises(InputError, match="no study that --study names; found") as caught:
            read_volume(both, visit="date=20200101")
        assert caught.value.code == "dicom.no_such_study"

    def test_a_date_of_two_patients(self, tmp_path: Path) -> None:
        add(tmp_path)
        add(tmp_path, **OTHER_PATIENT)
        study = scan(tmp_path)
        with pytest.raises(UnsuitableInputError, match=r"--study names 2 studies.*--study UID"):
            one_visit(study, tmp_path, "date=20230105")
        assert len(one_visit(study, tmp_path, "uid=1.2.33").series) == 1

    def test_nothing_tells_two_apart(self, tmp_path: Path) -> None:
        add(tmp_path)
        add(tmp_path, SeriesInstanceUID="1.2.99", PatientID="A-2")
        assert "--study" not in refused(tmp_path, "give a folder that holds one alone")

    @pytest.mark.parametrize("text", ["newest", "2024-6-1", "date=now", "uid=x"])
    def test_other_words_are_wrong_usage(self, both: Path, text: str) -> None:
        assert cli.run(["predict", str(both), "--study", text]) == 2

    def test_in_one_line(self, both: Path, capfd: pytest.CaptureFixture[str]) -> None:
        words = ["predict", str(both), "--output", str(both.parent / "out")]
        assert cli.run(words) == 4
        assert cli.run([*words, "--study", "2020-01-01"]) == 3
        assert cli.run([*words, str(both), str(both / "IM0000"), "--study", "1.2.31"]) == 2
        assert len(capfd.readouterr().err.splitlines()) == 3
        assert not (both.parent / "out").exists()


def volumes(inputs: list[object]) -> dict[str, Volume | str]:
    """What is read of each, or the code of its error."""
    found: dict[str, Volume | str] = {}
    for one in inputs:
        with view_of(one) as path:  # type: ignore[arg-type]
            try:
                found[one.name] = read_volume(path)  # type: ignore[attr-defined]
            except MmccdError as error:
                found[one.name] = error.code  # type: ignore[attr-defined]
    return found


class TestOneResultEach:
    """Cohorts and the application."""

    @pytest.mark.parametrize("other", SEVERAL.values(), ids=SEVERAL)
    def test_application(self, tmp_path: Path, other: dict[str, object]) -> None:
        add(tmp_path / "in")
        add(tmp_path / "in", 3, "Ax T2 FLAIR", **other)
        read = volumes(find_studies(tmp_path / "in"))  # type: ignore[arg-type]
        assert len(read) == 2
        for volume in read.values():
            assert isinstance(volume, Volume)
            assert len(volume.headers) == 6
            assert not any(secret in name.lower() for secret in SECRETS for name in read)

    def test_a_folder_of_patients(self, tmp_path: Path) -> None:
        add(tmp_path / "a" / "flair")
        add(tmp_path / "a" / "t1", 5, "Ax T1", InversionTime=None)
        add(tmp_path / "b", **OTHER_PATIENT)
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert is_cohort
        assert [(one.name, one.files) for one in inputs] == [("a", ()), ("b", ())]

    def test_patients_with_one_study_uid(self, tmp_path: Path) -> None:
        add(tmp_path / "a")
        add(tmp_path / "b", **{**OTHER_PATIENT, "StudyInstanceUID": "1.2.31"})
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert is_cohort
        assert [one.name for one in inputs] == ["a", "b"]

    def test_a_patient_with_two_visits(self, tmp_path: Path) -> None:
        add(tmp_path / "a" / "2023")
        add(tmp_path / "a" / "2024", 7, **SECOND_VISIT)
        add(tmp_path / "b", 8, **OTHER_PATIENT)
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert is_cohort
        assert len(inputs) == 3
        read = volumes(inputs)  # type: ignore[arg-type]
        assert sorted(one.provenance["series_number"] for one in read.values()) == [3, 7, 8]  # type: ignore[union-attr]

    def test_a_folder_for_each_series_of_two_visits(self, tmp_path: Path) -> None:
        for name, other in (("old", {}), ("new", SECOND_VISIT)):
            add(tmp_path / f"{name}_flair", 3, **other)
            add(tmp_path / f"{name}_t1", 4, "Ax T1", InversionTime=None, **other)
        inputs, _ = find_inputs([str(tmp_path)], "flair")
        read = volumes(inputs)  # type: ignore[arg-type]
        assert [one.provenance["series_number"] for one in read.values()] == [3, 3]  # type: ignore[union-attr]

    def test_discs_with_a_directory_each(self, tmp_path: Path) -> None:
        for name, other in (("a", {}), ("b", OTHER_PATIENT)):
            add(tmp_path / name / "IMAGES", 3, **other)
            directory = Dataset()
            directory.SOPClassUID, directory.DirectoryRecordSequence = "1.2.840.10008.1.3.10", []
            save(directory, tmp_path / name / "DICOMDIR")
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert is_cohort
        assert [one.name for one in inputs] == ["a", "b"]

    def test_two_studies_side_by_side_in_one_of_them(self, tmp_path: Path) -> None:
        add(tmp_path / "a")
        add(tmp_path / "a", 7, **SECOND_VISIT)
        add(tmp_path / "b", 8, **OTHER_PATIENT)
        inputs, _ = find_inputs([str(tmp_path)], "flair")
        assert volumes(inputs)["a"] == "dicom.several_studies"  # type: ignore[arg-type]


class TestOrigins:
    def test_what_is_not_said_goes_with_either(self) -> None:
        full = Origin("1.2", "x", "1", "19700101", "20230105")
        assert len(by_visit([full, Origin("1.2"), Origin("", "x")])) == 1

    def test_what_is_not_said_goes_with_none_of_two(self) -> None:
        one, two = Origin("1.2", "x"), Origin("1.2", "y")
        assert len(by_visit([one, two, Origin("1.2")])) == 3

    def test_nothing_is_shown(self) -> None:
        assert "secret" not in repr(Origin("1.2", "secret", "secret", "secret"))
