"""Works through the queue, one scan at a time, by a runner of :mod:`mmccd.jobs`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.store import ARCHIVE, CHOICES, INPUT, RESULT, TEMPORARY, VIEW, Job, Store
from mmccd.apps.serve.upload import ARCHIVE_ENDINGS
from mmccd.core import MmccdError
from mmccd.jobs import (
    DICOM,
    NIFTI,
    Account,
    Input,
    Limits,
    Outcome,
    Runner,
    State,
    Supervised,
    Task,
    Worker,
    log_change,
    run_tasks,
)

HOW = "mmccd.apps.serve.worker:run_for_the_page"
_LOOK_EVERY_S = 1.0
_SWEEP_EVERY_S = 60.0

logger = logging.getLogger(__name__)


class _WithdrawnError(Exception):
    """The scan was cancelled or deleted, or the server ends."""


def working_process(options: ServeOptions) -> Supervised:
    """The runner that is used: one process that keeps its models, and unpacks archives in the
    server's own folder, where what it leaves behind when it is killed is found.
    """
    environment = {**os.environ, "TMPDIR": str(options.folder.absolute() / TEMPORARY)}
    worker = Worker(HOW, environment=environment, tells_progress=True)
    return Supervised(worker, Limits(options.timeout_s, raised_by="--timeout-s"))


class Engine:
    """A thread that takes one scan after the other from the store.

    Args:
        store: open.
        options: of the server.
        run: works on a task.
    """

    def __init__(self, store: Store, options: ServeOptions, run: Runner) -> None:
        self._store, self._options, self._run = store, options, run
        self._ends = threading.Event()
        self._swept = float("-inf")
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a scan at work waits again, for the next start."""
        self._ends.set()
        self._thread.join()
        self._close()

    def _work(self) -> None:
        while not self._ends.is_set():
            try:
                self._sweep()
                job = self._store.next(_LOOK_EVERY_S)
                if job is not None:
                    self._do(job)
            except Exception as error:  # the thread must not end; a text may quote the patient
                logger.error("defect: %s; please report it", type(error).__name__)
                self._ends.wait(_LOOK_EVERY_S)

    def _do(self, job: Job) -> None:
        """Work on a scan to its end."""
        place = self._store.place(job)
        for name in (RESULT, VIEW):
            shutil.rmtree(place / name, ignore_errors=True)
        for name in (ARCHIVE, CHOICES):
            (place / name).unlink(missing_ok=True)
        account = Account([self._task(job)])
        try:
            run_tasks(account, self._run, self._watch(job))
        except _WithdrawnError:
            if self._store.change(job.id, Job.waiting, State.RUNNING) is None:  # the server ends
                self._remove_rest(place)
            return
        except MmccdError as error:
            self._close()
            reason = error
            self._store.change(job.id, lambda one: one.failed(reason))
            logger.error("%s", error, extra={"study": job.shown, "exit_code": error.exit_code})
        except Exception as error:
            self._close()
            defect = MmccdError(f"defect: {type(error).__name__}; please report it")
            self._store.change(job.id, lambda one: one.failed(defect))
            raise
        finally:
            self._store.remove_temporary()

    def _remove_rest(self, place: Path) -> None:
        """What a scan that was deleted at work has written since then."""
        if place.name not in {job.id for job in self._store.jobs()}:
            shutil.rmtree(place, ignore_errors=True)

    def _task(self, job: Job) -> Task:
        folder = self._store.place(job) / INPUT
        path = folder / job.file
        # Of an archive the content decides; as DICOM the chosen series of it is looked for.
        is_file = job.file and not job.file.endswith(ARCHIVE_ENDINGS)
        kind = NIFTI if is_file else DICOM
        settings = self._options.settings
        own: dict[str, Any] = dict(job.chosen.settings) if job.chosen else {}
        own["unchecked"] = job.unchecked or settings.unchecked
        return Task(
            1,
            Input(path, job.id, kind),
            self._store.place(job) / RESULT,
            job.shown,
            settings.model_copy(update=own),
            private=True,
        )

    def _watch(self, job: Job) -> Callable[[Account, Outcome | None], None]:
        def watch(account: Account, change: Outcome | None) -> None:
            log_change(account, change)
            if change is not None:
                self._note(job, change)
            if self._ends.is_set() or not self._is_wanted(job):
                raise _WithdrawnError

        return watch

    def _is_wanted(self, job: Job) -> bool:
        """Whether the scan is still there, not cancelled, and not put into the queue anew."""
        now = next((one for one in self._store.jobs() if one.id == job.id), None)
        return now is not None and now.state is not State.CANCELLED and now.created == job.created

    def _note(self, job: Job, change: Outcome) -> None:
        """Keep how the scan stands, as long as it is wanted."""
        offered = self._offered(job) if change.state.is_over else ()
        for state in (State.WAITING, State.RUNNING):
            noted = self._store.change(
                job.id, lambda one: _after(one, change, offered, job.created), state
            )
            if noted is not None:
                return

    def _offered(self, job: Job) -> tuple[dict[str, Any], ...]:
        """The series that the working process has found to choose from."""
        try:
            content = json.loads((self._store.place(job) / CHOICES).read_text())
        except (OSError, ValueError):
            return ()
        return tuple(content)

    def _sweep(self) -> None:
        if time.monotonic() - self._swept > _SWEEP_EVERY_S:
            self._swept = time.monotonic()
            self._store.expire(self._options.keep_h)

    def _close(self) -> None:
        """End the working process."""
        close = getattr(self._run, "close", None)
        if close is not None:
            with contextlib.suppress(OSError):
                close()


def _after(job: Job, change: Outcome, offered: tuple[dict[str, Any], ...], created: str) -> Job:
    """How a scan stands when its task stands so; another run of it than that of the task stays."""
    if job.created != created:
        return job
    return replace(job.after(change), choices=offered or job.choices)
