"""mmccd.jobs.studies: names that have nothing of the patient."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.io.dicom_files import write_series

from mmccd.jobs.find import find_inputs
from mmccd.jobs.inputs import DICOM, Input
from mmccd.jobs.studies import study_name, without_patient
from mmccd.jobs.view import view_of

STUDY = study_name("1.2.3")


@pytest.mark.parametrize(
    ("folder", "name", "number", "expected"),
    [
        ("Mustermann_Erika", "Mustermann^Erika", "PID-4711", STUDY),
        ("2024 MUSTERMANN", "Mustermann^Erika", "PID-4711", STUDY),
        ("scan7", "Mustermann^Erika", "PID-4711", "scan7"),
        ("TCGA_CS_4942", "TCGA_CS_4942", "TCGA_CS_4942", "TCGA_CS_4942"),
        ("case001", "case001^", "1", "case001"),
        ("patient_2", "Patient^Anonymous", "", "patient_2"),
        ("flair", "", "", "flair"),
    ],
)
def test_without_patient(
    tmp_path: Path, folder: str, name: str, number: str, expected: str
) -> None:
    place = write_series(tmp_path / folder, PatientName=name, PatientID=number)
    assert without_patient(folder, place) == expected
    (one,), _ = find_inputs([str(place)], "flair")
    assert one.name == expected.replace(" ", "_")


def test_studies_of_a_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "Erika", StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.1")
    write_series(
        tmp_path / "in" / "b",
        StudyInstanceUID="1.2.6",
        SeriesInstanceUID="1.2.6.1",
        StudyDate="20200101",
        PatientID="another",
    )
    found, _ = find_inputs([str(tmp_path / "in")], "flair")
    assert {one.name for one in found} == {study_name("1.2.7"), "b"}


def test_links_have_no_names(tmp_path: Path) -> None:
    """What a study of many is read through."""
    source = write_series(tmp_path / "Mustermann")
    files = []
    for number, file in enumerate(sorted(source.iterdir())):
        files.append(file.rename(source / f"Erika{number}{'.dcm' if number else ''}"))
    (source / "DICOMDIR").write_bytes(b"")
    with view_of(Input(source, "study-a", DICOM, files=tuple(files))) as view:
        names = {path.name for path in view.rglob("*") if not path.is_dir()}
    assert names == {"IM", "IM.dcm", "DICOMDIR"}
