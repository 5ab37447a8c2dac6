"""mmccd.core.logs and mmccd.jobs.logs: lines without anything of the patient, of one format."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mmccd.core.logs import LogFormatter
from mmccd.jobs.account import Account
from mmccd.jobs.inputs import Input
from mmccd.jobs.logs import kept_logging, log_change
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.redaction import Redactor
from mmccd.jobs.states import Stage, State
from mmccd.jobs.task import Task


def line(kind: str, message: str, **extra: object) -> str:
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
    return LogFormatter(kind, Redactor({})).format(record)


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


def test_how_a_task_is_told(caplog: pytest.LogCaptureFixture) -> None:
    account = Account([Task(1, Input(Path("a.nii"), "a"), Path("a"), "a")])
    begun = Outcome(1, "a", State.RUNNING)
    caplog.set_level(logging.INFO)
    with caplog.at_level(logging.INFO, "mmccd"):
        for change in (
            begun,
            Outcome(1, "a", State.RUNNING, stage=Stage.READ),
            None,
            begun.ended(0, warnings=("look",), seconds=2.04),
            begun.ended(4, "no FLAIR", stage=Stage.READ),
        ):
            log_change(account, change)
    assert [record.getMessage() for record in caplog.records] == [
        "begins (1 of 1, NIfTI)",
        "look",
        "done in 2.0 s",
        "no FLAIR (exit code 4)",
    ]
    last = caplog.records[-1]
    assert (last.study, last.stage, last.exit_code) == ("a", "read", 4)  # type: ignore[attr-defined]


def test_what_a_library_does_to_the_log_is_undone() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with kept_logging():
        root.handlers = [logging.NullHandler()]
        root.setLevel(logging.DEBUG)
    assert (root.handlers, root.level) == before
