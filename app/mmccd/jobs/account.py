"""The account of a run: all its tasks, how each stands, and how the whole has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mmccd.core import worst_exit_code
from mmccd.jobs.outcome import Outcome, waiting
from mmccd.jobs.states import State, state_of_run
from mmccd.jobs.task import Task


@dataclass
class Account:
    """All tasks of a run; nothing of a patient stands in it.

    Attributes:
        tasks: in the order of work.
        settings: of the run, as plain values.
        outcomes: how each task stands, by its number.
        state: running, done (exit code 0), failed or cancelled.
        exit_code: None while it is running.
        message: an error that ended the whole run.
        started: time, UTC.
    """

    tasks: Sequence[Task] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(init=False)
    state: State = State.RUNNING
    exit_code: int | None = None
    message: str | None = None
    started: str = field(default_factory=lambda: now())

    def __post_init__(self) -> None:
        self.expect(self.tasks)

    def expect(self, tasks: Sequence[Task]) -> None:
        """These are the tasks."""
        self.tasks = tasks
        self.outcomes = {task.number: waiting(task) for task in tasks}

    def note(self, outcome: Outcome) -> None:
        """A task now stands like this."""
        self.outcomes[outcome.number] = outcome

    def end(self, exit_code: int | None = None, message: str | None = None) -> int:
        """Note that the run has ended; tasks that are not over are cancelled.

        Args:
            exit_code: where the whole run failed; None: the worst of the tasks counts
                (:func:`~mmccd.core.errors.worst_exit_code`).
            message: why it failed.

        Returns:
            The exit code.
        """
        codes = [one.exit_code for one in self.outcomes.values() if one.exit_code is not None]
        self.exit_code = worst_exit_code(codes) if exit_code is None else exit_code
        self.message, self.state = message, state_of_run(self.exit_code)
        for number, one in self.outcomes.items():
            if not one.state.is_over:
                self.outcomes[number] = one.cancelled()
        return self.exit_code

    @property
    def failures(self) -> list[Outcome]:
        """The tasks that failed or were refused."""
        return [one for one in self.outcomes.values() if one.state in (State.FAILED, State.REFUSED)]


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
