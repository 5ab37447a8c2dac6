"""The working process of :mod:`mmccd.jobs.runners.supervised`.

It is a process of its own so that a task that hangs, or that the system ends for want of memory,
ends neither the others nor the account of the run. Its first line on stdin is an order (``how`` to
run a task, ``log_format``, ``log_level``, ``tells_progress``); each further one is a task. It
tells, line by line, that a task begins, each stage, how far it is where that is wanted, and the
outcome.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import psutil

from mmccd.core import Console, MmccdError
from mmccd.jobs.logs import log_to_stderr
from mmccd.jobs.outcome import Outcome, explain
from mmccd.jobs.pipelines import Pipelines
from mmccd.jobs.redaction import Redactor
from mmccd.jobs.task import Task

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)

How = Callable[[Task, Callable[[], "AnomalyPipeline"], Console], Outcome]
Tell = Callable[..., None]
_CHUNK = 65536
_PROGRESS_EVERY_S = 0.5


class EventConsole(Console):
    """Tells the parent of each stage.

    Args:
        tell: writes an event.
        tells_progress: whether it also tells, at most twice a second, how far the stage is.
    """

    def __init__(self, tell: Tell, tells_progress: bool = False) -> None:
        self._tell, self._tells_progress, self._told = tell, tells_progress, 0.0

    def stage(self, name: str) -> None:
        """See :class:`~mmccd.core.Console`."""
        self._tell("stage", stage=name)

    def progress(self, done: int, total: int) -> None:
        """See :class:`~mmccd.core.Console`."""
        now = time.monotonic()
        if self._tells_progress and total and (now - self._told > _PROGRESS_EVERY_S):
            self._told = now
            self._tell("progress", share=round(done / total, 3))


def main() -> int:
    """Work on tasks until stdin, or the pipe that the first word names, ends, which ends the
    process at once with all that it has started: the parent is gone, however it went.

    Returns:
        0 where it cannot work at all (why stands in the events), 7 where memory ran out while it
        was loaded, 1 for a defect.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    if len(sys.argv) > 1:
        _end_with_the_parent(int(sys.argv[1]))
    tell = _teller(os.fdopen(os.dup(1), "w", buffering=1))
    os.dup2(2, 1)  # what libraries print must not be taken for events
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    order = json.loads(lines.get())
    log_to_stderr(order["log_format"], order["log_level"])
    try:
        how = _function(order["how"])
        pipelines = Pipelines()
        while True:
            _work(Task.from_dict(json.loads(lines.get())), how, pipelines, order, tell)
    except MmccdError as error:
        tell("fatal", exit_code=error.exit_code, message=str(error))
    except Exception as error:  # a traceback may quote the patient's data
        code, text, _ = explain(error)
        logger.error("%s", text)
        return code
    return 0


def _work(task: Task, how: How, pipelines: Pipelines, order: dict[str, Any], tell: Tell) -> None:
    """Run one task and tell how it ended."""
    log_to_stderr(order["log_format"], order["log_level"], Redactor.of([task]))
    tell("begin")
    outcome = how(
        task, partial(pipelines.get, task.settings), EventConsole(tell, order["tells_progress"])
    )
    memory = round(psutil.Process().memory_info().rss / 2**20, 1)
    tell("done", outcome=replace(outcome, memory_mib=memory).as_dict())


def _function(name: str) -> How:
    """The function that ``module:function`` names."""
    module, _, function = name.partition(":")
    found: How = getattr(importlib.import_module(module), function)
    return found


def _teller(events: IO[str]) -> Tell:
    def tell(event: str, **values: Any) -> None:
        events.write(json.dumps({"event": event, **values}) + "\n")
        events.flush()

    return tell


def _end_with_the_parent(life: int) -> None:
    """See to it that this process and its children end when nobody holds the other end of a pipe.

    On Linux the kernel does it, even where a library holds the interpreter's lock for ever; a
    thread does elsewhere, and where the kernel was too late.
    """
    threading.Thread(target=_outlive, args=(life,), daemon=True).start()
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def _outlive(life: int) -> None:
    while os.read(life, 1):
        pass
    _end_all()


def _end_all() -> None:
    if os.getpgrp() == os.getpid():  # it was started in a session of its own
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    rest = b""
    while chunk := os.read(0, _CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            lines.put(line)
    _end_all()
