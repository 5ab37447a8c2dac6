"""mmccd.jobs.status: the file that says how a run is and how it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmccd.core.errors import OutputError
from mmccd.jobs import status
from mmccd.jobs.account import Account
from mmccd.jobs.inputs import Input
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.states import Stage, State
from mmccd.jobs.status import STATUS, StatusFile
from mmccd.jobs.task import Task


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / STATUS).read_text())
    return content


def test_written_in_one_step(tmp_path: Path) -> None:
    account = Account([Task(1, Input(tmp_path / "a.nii", "a"), tmp_path / "a", "a")])
    account.settings = {"preset": "fast"}
    account.note(Outcome(1, "a", State.RUNNING, stage=Stage.SCORE))
    StatusFile(tmp_path).write(account)
    assert [path.name for path in tmp_path.iterdir()] == [STATUS]
    content = read(tmp_path)
    assert (content["state"], content["exit_code"], content["settings"]) == (
        "running",
        None,
        {"preset": "fast"},
    )
    assert "not a medical device" in content["notice"].lower()
    assert {"mmccd", "python", "torch"} <= set(content["versions"])
    (study,) = content["studies"]
    assert (study["name"], study["output"], study["stage"]) == ("a", "a", "score")


def test_it_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account, file = Account(), StatusFile(tmp_path)
    file.write(account)
    (tmp_path / STATUS).unlink()
    file(account, None)
    assert not (tmp_path / STATUS).exists()
    monkeypatch.setattr(status, "HEARTBEAT_S", 0.0)
    file(account, None)
    assert (tmp_path / STATUS).exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        StatusFile(tmp_path / "none").write(Account())
