"""mmccd.jobs.account, states and outcome: how tasks and a run stand, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmccd.core.errors import InputError
from mmccd.jobs.account import Account
from mmccd.jobs.cohort import cohort_content, summary
from mmccd.jobs.inputs import Input
from mmccd.jobs.outcome import Outcome, explain, waiting
from mmccd.jobs.states import Stage, State, state_of, state_of_run
from mmccd.jobs.status import status_content
from mmccd.jobs.task import Task


def account_of(*codes: int | None) -> Account:
    """A run whose tasks have ended with these exit codes; None: they are at work."""
    tasks = [
        Task(number, Input(Path(f"{number}.nii"), str(number)), Path(str(number)), str(number))
        for number in range(1, len(codes) + 1)
    ]
    account = Account(tasks)
    for task, code in zip(tasks, codes, strict=True):
        running = Outcome(task.number, task.shown, State.RUNNING)
        account.note(running if code is None else running.ended(code))
    return account


@pytest.mark.parametrize(
    ("codes", "expected", "state"),
    [
        ([0, 0], 0, State.DONE),
        ([0, 4], 4, State.FAILED),
        ([4, 3, 5], 5, State.FAILED),
        ([5, 7], 7, State.FAILED),
        ([7, 6], 6, State.FAILED),
        ([6, 1, 0], 1, State.FAILED),
    ],
)
def test_the_worst_task_counts(codes: list[int], expected: int, state: State) -> None:
    account = account_of(*codes)
    assert (account.end(), account.state) == (expected, state)
    assert len(account.failures) == sum(code != 0 for code in codes)


def test_ended_from_outside() -> None:
    account = account_of(0, None)
    assert account.end(143, "ended by SIGTERM") == 143
    assert account.state is State.CANCELLED
    assert [one.state for one in account.outcomes.values()] == [State.DONE, State.CANCELLED]


@pytest.mark.parametrize(
    ("code", "of_a_task", "of_a_run"),
    [
        (0, State.DONE, State.DONE),
        (3, State.REFUSED, State.FAILED),
        (4, State.REFUSED, State.FAILED),
        (7, State.FAILED, State.FAILED),
        (130, State.CANCELLED, State.CANCELLED),
        (143, State.CANCELLED, State.CANCELLED),
    ],
)
def test_states_of_exit_codes(code: int, of_a_task: State, of_a_run: State) -> None:
    assert (state_of(code), state_of_run(code)) == (of_a_task, of_a_run)


class TestFiles:
    """What is refused is ``failed`` in version 1 of both files."""

    def test_cohort(self) -> None:
        account = account_of(0, 4, None)
        content = cohort_content(account)
        assert (content["status"], content["exit_code"]) == ("running", None)
        assert [case["status"] for case in content["cases"]] == ["done", "failed", "unfinished"]
        assert content["counts"] == {"done": 1, "skipped": 0, "failed": 1, "unfinished": 1}
        assert summary(account) == "3 cases: 1 done, 1 failed, 1 unfinished"

    def test_status(self) -> None:
        account = account_of(4)
        account.end()
        content = status_content(account, Path())
        assert (content["state"], content["exit_code"]) == ("failed", 4)
        (study,) = content["studies"]
        assert (study["state"], study["output"], study["kind"]) == ("failed", "1", "NIfTI")


class TestOutcome:
    def test_there_and_back(self) -> None:
        one = Outcome(3, "a", State.RUNNING, stage=Stage.SCORE, stage_seconds={"read": 1.0})
        over = one.ended(4, "no FLAIR", "input.no_flair", warnings=("look",), seconds=2.0)
        assert Outcome.from_dict(json.loads(json.dumps(over.as_dict()))) == over

    def test_lines(self) -> None:
        one = Outcome(1, "a")
        summary = {"volumes_ml": {"anomalous": 2.04}}
        assert one.ended(4, "no FLAIR").line() == "a: no FLAIR (exit code 4)"
        done = one.ended(0, seconds=61.2, summary=summary)
        assert done.line() == "a: done, 2.0 mL above the threshold, 61 s"
        skipped = one.ended(0, summary=summary, skipped=True)
        assert skipped.line() == "a: already complete, 2.0 mL above the threshold"

    def test_waiting(self) -> None:
        task = account_of(0).tasks[0]
        assert waiting(task) == Outcome(1, "1")


def test_explain() -> None:
    assert explain(InputError("a: damaged"))[:2] == (3, "a: damaged")
    assert explain(MemoryError())[0] == 7
    assert explain(torch.OutOfMemoryError("CUDA"))[0] == 7
    try:
        raise KeyError("Mustermann")
    except KeyError as error:
        code, text, _ = explain(error)
    assert code == 1
    assert "KeyError at test_account.py:" in text
    assert "Mustermann" not in text
