"""One task after the other in a process that is watched: too slow, too large, or dead, it takes
only its task with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from mmccd.core import ResourceError, UsageError, error_class
from mmccd.jobs.outcome import DEFECT, OUT_OF_MEMORY, Outcome, waiting
from mmccd.jobs.run import Changes
from mmccd.jobs.runners.process import WorkerProcess
from mmccd.jobs.states import Stage, State
from mmccd.jobs.task import Task

IN_THE_WORKER = "mmccd.jobs.run_task:run_task"
OUT_OF_TIME = "resource.time"
_TICK_S = 0.5
_FOR_WANT_OF_MEMORY = (ResourceError.exit_code, -signal.SIGKILL)
"""How a working process ends that has none left: by itself, or by the system."""


@dataclass(frozen=True)
class Limits:
    """What a task may use.

    Attributes:
        timeout_s: seconds for one task, for the first one the models' loading included; 0: no
            limit.
        memory_mib: memory of the working process in MiB, looked at twice a second; 0: no limit.
        raised_by: what a user gives to have more time.
    """

    timeout_s: float = 0.0
    memory_mib: float = 0.0
    raised_by: str = "MMCCD_TIMEOUT_S"


@dataclass(frozen=True)
class Worker:
    """How the working process works.

    Attributes:
        how: ``module:function``, a function such as :func:`~mmccd.jobs.run_task.run_task`.
        log_format: of its log lines, text or json.
        log_level: debug, info, warning or error.
        environment: its variables; None: those of this process.
        held: file descriptors that it keeps open for its life, such as that of a lock.
        tells_progress: whether it also tells, now and then, how far a stage is.
    """

    how: str = IN_THE_WORKER
    log_format: str = "text"
    log_level: str = "info"
    environment: Mapping[str, str] | None = None
    held: tuple[int, ...] = ()
    tells_progress: bool = False


class Supervised:
    """A runner whose working process stays, with its models, from one task and one run to the next,
    until it is closed. A task that takes too much is ended with the process, and a new one goes on
    with the others; the same where the process dies.

    Args:
        worker: how it works.
        limits: of each task.

    Raises:
        MmccdError: from the runs: wrong usage, such as a device that is not there; a working
            process that ends before it begins.
    """

    def __init__(self, worker: Worker = Worker(), limits: Limits = Limits()) -> None:
        self._worker, self._limits = worker, limits
        self._process: WorkerProcess | None = None

    def __enter__(self) -> Supervised:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the working process."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def __call__(self, tasks: Sequence[Task]) -> Changes:
        """Work on tasks, see :data:`~mmccd.jobs.run.Runner`."""
        for task in tasks:
            now = waiting(task)
            try:
                for change in self._follow(task):
                    now = change or now
                    yield change
            finally:
                if not now.state.is_over:
                    self._give_up(task)

    def _follow(self, task: Task) -> Changes:
        """How the task stands, until it is over."""
        process = self._ready()
        process.send(task.as_dict())
        now, began = waiting(task), 0.0
        while not now.state.is_over:
            events, exit_code = process.events(_TICK_S)
            for event in events:
                now = _after(event, now)
                began = began or time.monotonic()
                yield now
            if now.state.is_over:
                return
            end = self._end_of(now, exit_code, time.monotonic() - began)
            if end is not None:
                self._give_up(task)
                yield end
                return
            yield None

    def _ready(self) -> WorkerProcess:
        """The working process; a new one where there is none."""
        if self._process is not None and not self._process.is_alive:
            self.close()
        if self._process is None:
            worker = self._worker
            order = {
                "how": worker.how,
                "log_format": worker.log_format,
                "log_level": worker.log_level,
                "tells_progress": worker.tells_progress,
            }
            environment = os.environ if worker.environment is None else worker.environment
            self._process = WorkerProcess(order, environment, worker.held)
        return self._process

    def _end_of(self, now: Outcome, exit_code: int | None, seconds: float) -> Outcome | None:
        """How the task ends whose process has died or has taken too much; None where it goes on.

        Raises:
            MmccdError: the process has died before the task began.
        """
        if now.state is State.WAITING:
            if exit_code is None:
                return None
            if exit_code in _FOR_WANT_OF_MEMORY:
                return now.ended(
                    ResourceError.exit_code,
                    "the working process ended while it was loaded, probably for want of memory;"
                    " give it more",
                    OUT_OF_MEMORY,
                )
            raise error_class(1)(
                f"the working process ended before it began (exit code {exit_code}); see the lines"
                " above"
            )
        over = replace(now, seconds=round(seconds, 3))
        if exit_code is not None:
            return _buried(over, exit_code)
        limits = self._limits
        if limits.timeout_s and seconds >= limits.timeout_s:
            return over.ended(
                ResourceError.exit_code,
                f"took longer than {limits.timeout_s:g} s, in the stage {now.stage}; raise"
                f" {limits.raised_by}, or take a GPU or a quicker preset",
                OUT_OF_TIME,
            )
        memory = self._process.memory_mib if limits.memory_mib and self._process else 0.0
        if memory > limits.memory_mib:
            return over.ended(
                ResourceError.exit_code,
                f"took {memory:.0f} MiB of memory in the stage {now.stage}, expected at most"
                f" {limits.memory_mib:.0f}; allow more, or take a smaller volume",
                OUT_OF_MEMORY,
            )
        return None

    def _give_up(self, task: Task) -> None:
        """End the process, and remove what it has left half-written."""
        from mmccd.outputs import remove_unfinished

        self.close()
        with contextlib.suppress(OSError):
            remove_unfinished(task.output)


def _after(event: Mapping[str, Any], now: Outcome) -> Outcome:
    """How a task stands after an event of :mod:`mmccd.jobs.runners.worker`.

    Raises:
        MmccdError: the worker cannot work at all, or not with these settings.
    """
    if event["event"] == "fatal":
        raise error_class(event["exit_code"])(event["message"])
    if event["event"] == "begin":
        return replace(now, state=State.RUNNING)
    if event["event"] == "stage":
        return replace(now, stage=Stage(event["stage"]), share=None)
    if event["event"] == "progress":
        return replace(now, share=event["share"])
    outcome = Outcome.from_dict(event["outcome"])
    if outcome.exit_code == UsageError.exit_code:  # it would be the same for every task
        raise UsageError(outcome.error or "wrong usage")
    return outcome


def _buried(now: Outcome, exit_code: int) -> Outcome:
    """The outcome of a task whose process has died."""
    killed = exit_code in _FOR_WANT_OF_MEMORY
    reason = (
        "probably for want of memory; give it more, or a smaller volume"
        if killed
        else "please report it"
    )
    name = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    return now.ended(
        ResourceError.exit_code if killed else 1,
        f"the working process ended by {name} in the stage {now.stage}; {reason}",
        OUT_OF_MEMORY if killed else DEFECT,
    )
