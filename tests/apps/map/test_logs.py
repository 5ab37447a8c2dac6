"""mmccd.apps.map.logs: lines without anything of the patient."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mmccd.apps.map.logs import Formatter, Redactor
from mmccd.apps.map.studies import DICOM, NIFTI, Study


def line(kind: str, message: str, redact: Redactor | None = None, **extra: object) -> str:
    record = logging.makeLogRecord(
        {
            "name": "mmccd.apps.map",
            "levelname": "INFO",
            "msg": message,
            "created": 0.25,
            "msecs": 250.0,
            **extra,
        }
    )
    formatter = Formatter(kind)
    formatter.redact = redact or Redactor({})
    return formatter.format(record)


def test_text() -> None:
    assert (
        line("text", "done\nin 2 s", study="study-1")
        == "1970-01-01T00:00:00.250Z INFO mmccd.apps.map: study-1: done in 2 s"
    )


def test_json() -> None:
    content = json.loads(line("json", 'a "quoted" text', study="study-1", seconds=1.5))
    expected = {
        "level": "info",
        "logger": "mmccd.apps.map",
        "study": "study-1",
        "seconds": 1.5,
        "message": 'a "quoted" text',
    }
    assert content == {"time": "1970-01-01T00:00:00.250Z", **expected}


def test_an_error_has_no_traceback() -> None:
    try:
        raise ValueError("Mustermann")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    assert "Mustermann" not in line("text", "failed", exc_info=info)


class TestRedactor:
    def test_paths(self) -> None:
        studies = [
            Study("study-a", DICOM, Path("/in"), (Path("/in/Mustermann/IM1"),)),
            Study("study-b", DICOM, Path("/in/Erika")),
            Study("head", NIFTI, Path("/in/Erika/head.nii.gz")),
        ]
        redact = Redactor.for_studies(studies)
        assert redact("/in/Mustermann/IM1: bad") == "study-a: bad"
        assert redact("/in/Erika: bad") == "study-b: bad"
        assert redact("/in/Erika/head.nii.gz: bad") == "head: bad"
        assert redact("/in: holds nothing") == "/in: holds nothing"
        assert (
            redact.also("/tmp/mmccd-x/study-a", "study-a")("/tmp/mmccd-x/study-a: bad")
            == "study-a: bad"
        )

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('series 5 "flair" (UID 1.2.840.113619.2.5): small', 'series 5 "flair" (UID): small'),
            ("(UID 1.2.9)", "(UID)"),
            ("1.2.840.10008.1 is odd", "(UID) is odd"),
            ("torch 2.13.0 and 0.5 mm, 1.25e-3", "torch 2.13.0 and 0.5 mm, 1.25e-3"),
        ],
    )
    def test_uids(self, text: str, expected: str) -> None:
        assert Redactor({})(text) == expected
