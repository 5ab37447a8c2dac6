"""The words for how a task stands, and for what is being done with it."""

from __future__ import annotations

from enum import StrEnum

from mmccd.core import CancelledError, InputError, UnsuitableInputError

INTERRUPTED = 130
"""Exit code of a run that Ctrl-C ended."""
ENDED_FROM_OUTSIDE = (CancelledError.exit_code, INTERRUPTED)


class State(StrEnum):
    """How a task, or a whole run, stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """The fault is the input's: missing or unreadable (exit code 3), or unsuitable (4)."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (State.WAITING, State.RUNNING)


class Stage(StrEnum):
    """What is being done with a task, in this order."""

    READ = "read"
    BRAIN = "brain"
    CHECK = "check"
    SCORE = "score"
    WRITE = "write"


def state_of(exit_code: int) -> State:
    """How a task stands that ended with an exit code."""
    if exit_code == 0:
        return State.DONE
    if exit_code in ENDED_FROM_OUTSIDE:
        return State.CANCELLED
    if exit_code in (InputError.exit_code, UnsuitableInputError.exit_code):
        return State.REFUSED
    return State.FAILED


def state_of_run(exit_code: int) -> State:
    """How a whole run stands that ended with an exit code: that some of its tasks were refused is a
    failure of the run.
    """
    state = state_of(exit_code)
    return State.FAILED if state is State.REFUSED else state


def in_files(state: State) -> str:
    """The word for a state in version 1 of ``cohort.json`` and ``status.json``, which know no
    ``refused``: who reads them counts on ``failed``, and finds the difference in ``exit_code``.
    """
    return str(State.FAILED if state is State.REFUSED else state)
