"""mmccd.apps.map.status: the file that says how the run is and how it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmccd.apps.map.status import CANCELLED, DONE, FAILED, NAME, RUNNING, RunStatus, StudyStatus
from mmccd.core.errors import OutputError


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / NAME).read_text())
    return content


def study(code: int | None) -> StudyStatus:
    return StudyStatus(
        "s", "NIfTI", ".", exit_code=code, state=DONE if code == 0 else FAILED if code else RUNNING
    )


def test_written_in_one_step(tmp_path: Path) -> None:
    status = RunStatus({"preset": "fast"}, [study(None)])
    status.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    content = read(tmp_path)
    assert (content["state"], content["exit_code"], content["settings"]) == (
        RUNNING,
        None,
        {"preset": "fast"},
    )
    assert "not a medical device" in content["notice"].lower()
    assert {"mmccd", "python", "torch"} <= set(content["versions"])


@pytest.mark.parametrize(
    ("codes", "expected", "state"),
    [
        ([0, 0], 0, DONE),
        ([0, 4], 4, FAILED),
        ([4, 3, 5], 5, FAILED),
        ([5, 7], 7, FAILED),
        ([7, 6], 6, FAILED),
        ([6, 1, 0], 1, FAILED),
    ],
)
def test_the_worst_study_counts(codes: list[int], expected: int, state: str) -> None:
    status = RunStatus({}, [study(code) for code in codes])
    assert (status.end(), status.state) == (expected, state)


def test_ended_from_outside(tmp_path: Path) -> None:
    status = RunStatus({}, [study(0), study(None)])
    assert status.end(143, "ended by SIGTERM") == 143
    status.write(tmp_path)
    assert (read(tmp_path)["state"], [entry["state"] for entry in read(tmp_path)["studies"]]) == (
        CANCELLED,
        [DONE, CANCELLED],
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        RunStatus({}).write(tmp_path / "none")
