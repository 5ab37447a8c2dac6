"""mmccd.jobs.redaction: texts without anything of the patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmccd.jobs.inputs import DICOM, NIFTI, Input
from mmccd.jobs.redaction import Redactor
from mmccd.jobs.task import Task, shown_in_a_list


def test_paths_of_a_mounted_input() -> None:
    studies = [
        Input(Path("/in"), "study-a", DICOM, files=(Path("/in/Mustermann/IM1"),)),
        Input(Path("/in/Erika"), "study-b", DICOM),
        Input(Path("/in/Erika/head.nii.gz"), "head", NIFTI),
    ]
    redact = Redactor.of(
        Task(number, one, Path("/out") / one.name, one.name, private=True)
        for number, one in enumerate(studies, 1)
    )
    assert redact("/in/Mustermann/IM1: bad") == "study-a: bad"
    assert redact("/in/Erika: bad") == "study-b: bad"
    assert redact("/in/Erika/head.nii.gz: bad") == "head: bad"
    assert redact("/in: holds nothing") == "/in: holds nothing"
    assert (
        redact.also("/tmp/mmccd-x/study-a", "study-a")("/tmp/mmccd-x/study-a: bad")
        == "study-a: bad"
    )


def test_a_study_of_a_cohort_is_called_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "Mustermann"
    one = Input(path, "Mustermann", DICOM)
    task = Task(3, one, tmp_path / "out" / "Mustermann", shown_in_a_list(3, one))
    text = Redactor.of([task])(f"{path}: no series\nin {task.output}")
    assert text == "DICOM study 3: no series in DICOM study 3"


def test_nifti_files_of_a_cohort_are_named(tmp_path: Path) -> None:
    one = Input(tmp_path / "head.nii", "head")
    task = Task(1, one, tmp_path / "out", shown_in_a_list(1, one))
    text = f"{one.path}: is damaged"
    assert Redactor.of([task])(text) == text
    assert Redactor.of([replace(task, private=True)])(text) == "head: is damaged"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('series 5 "flair" (UID 1.2.840.113619.2.5): small', 'series 5 "flair" (UID): small'),
        ("(UID 1.2.9)", "(UID)"),
        ("1.2.840.10008.1 is odd", "(UID) is odd"),
        ("torch 2.13.0 and 0.5 mm, 1.25e-3", "torch 2.13.0 and 0.5 mm, 1.25e-3"),
    ],
)
def test_uids(text: str, expected: str) -> None:
    assert Redactor({})(text) == expected
