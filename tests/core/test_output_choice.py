"""mmccd.core.output_choice: what a user may choose of what is written."""

from __future__ import annotations

import pytest

from mmccd.core import OutputChoice, Settings, UsageError
from mmccd.core.settings import as_flag


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("report", "report"),
        ("pdf, Report", "report,pdf"),
        ("segmentation,segmentation", "segmentation"),
        (["pdf", "segmentation"], "segmentation,pdf"),
    ],
)
def test_objects(value: object, expected: str) -> None:
    """In any order, also as the list of a YAML file."""
    assert Settings.read({"dicom_objects": value}).dicom_objects == expected


@pytest.mark.parametrize("value", ["reports", ",", "report;pdf", []])
def test_objects_that_do_not_exist(value: object) -> None:
    with pytest.raises(UsageError, match="--dicom-objects .*: cannot be used; expected some of"):
        Settings.read({"dicom_objects": value}, as_flag)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OutputChoice()),
        ({"outputs": "images"}, OutputChoice(objects=())),
        ({"outputs": "dicom"}, OutputChoice(images=False)),
        (
            {"dicom_objects": "report", "dicom_segments": "lesions"},
            OutputChoice(objects=("report",), segment_each_lesion=True),
        ),
    ],
)
def test_choice(given: dict[str, str], expected: OutputChoice) -> None:
    assert Settings.read(given).output_choice == expected


def test_modalities() -> None:
    assert OutputChoice().modalities == {"SEG", "OT", "SR"}
    assert OutputChoice(objects=("pdf",)).modalities == {"DOC"}
