"""The scans that the server knows, each a folder with ``job.json``: what is there after a restart
is the queue. Ids are random; what the user called a scan stands in that file alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from mmccd.apps.serve.errors import RequestError
from mmccd.core import (
    InputError,
    MmccdError,
    OutputError,
    ResourceError,
    UsageError,
    lock_folder,
    make_folder,
    write_json,
    writing,
)
from mmccd.jobs import UNPACKED, Outcome, SeriesChoice, Stage, State

JOBS, INCOMING, TEMPORARY = "jobs", "incoming", "tmp"
RECORD, INPUT, RESULT, VIEW, ARCHIVE = "job.json", "input", "result", "view", "results.zip"
CHOICES = "series.json"
"""What a working process writes where somebody may choose the series; then in the record."""
SHOWN_DIGITS = 8
_VERSION = 1
_WAY_OUT = "free some space, or give another --folder"
_HISTORY = 5
_USUAL_S: Mapping[Stage, float] = {
    Stage.READ: 2.0,
    Stage.BRAIN: 10.0,
    Stage.CHECK: 3.0,
    Stage.SCORE: 30.0,
    Stage.WRITE: 12.0,
}
"""Of a volume of 1 mm on two cores, until this server has done one itself."""

logger = logging.getLogger(__name__)


def time_now() -> str:
    """The time in UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class Job:
    """A scan, and how it stands.

    Attributes:
        id: random.
        name: what its user calls it; shown to them, and in no path, no URL and no log line.
        file: the image in its folder ``input``; empty where that whole folder is a DICOM study.
        size: of the upload, in bytes.
        files: their number.
        created: time, UTC.
        unchecked: whether the checks may not refuse it.
        state: see :class:`~mmccd.jobs.State`.
        stage: in which it is, or ended.
        share: of the stage that is done, 0 to 1.
        began: when the stage began; None where it is not at work.
        ended: time, UTC; None until it is over.
        error: ``code``, ``exit_code`` and ``message``; None where there is none.
        seconds: how long it took.
        stage_seconds: of each stage.
        summary: of the report.
        warnings: of the report.
        choices: the series of the upload, where it was not clear which one is meant; see
            :class:`~mmccd.jobs.SeriesChoice`.
        series: id of the one that its user has chosen; "" where the usual rule chooses.
    """

    id: str
    name: str
    file: str
    size: int
    files: int
    created: str = field(default_factory=time_now)
    unchecked: bool = False
    state: State = State.WAITING
    stage: Stage | None = None
    share: float | None = None
    began: str | None = None
    ended: str | None = None
    error: Mapping[str, Any] | None = None
    seconds: float | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    summary: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    choices: tuple[Mapping[str, Any], ...] = ()
    series: str = ""

    @property
    def chosen(self) -> SeriesChoice | None:
        """The series that its user has chosen."""
        found = (SeriesChoice(**one) for one in self.choices if one["id"] == self.series)
        return next(found, None)

    @property
    def shown(self) -> str:
        """By which log and messages call it."""
        return f"scan {self.id[:SHOWN_DIGITS]}"

    def waiting(self) -> Job:
        """The same, as if it had just come."""
        return Job(
            *(self.id, self.name, self.file, self.size, self.files, self.created, self.unchecked),
            choices=self.choices,
            series=self.series,
        )

    def after(self, outcome: Outcome) -> Job:
        """How it stands when its task stands so."""
        same = self.state is outcome.state and self.stage is outcome.stage
        error = None
        if outcome.exit_code:
            error = _error(outcome.code, outcome.exit_code, outcome.error)
        return replace(
            self,
            state=outcome.state,
            stage=outcome.stage,
            share=outcome.share,
            began=None if outcome.state.is_over else self.began if same else time_now(),
            ended=time_now() if outcome.state.is_over else None,
            error=error,
            seconds=outcome.seconds,
            stage_seconds=dict(outcome.stage_seconds),
            summary=outcome.summary,
            warnings=outcome.warnings,
        )

    def failed(self, error: MmccdError) -> Job:
        """The same, ended by an error that is not its own."""
        return replace(
            self,
            state=State.FAILED,
            began=None,
            ended=time_now(),
            error=_error(error.code, error.exit_code, str(error)),
        )

    def cancelled(self) -> Job:
        """The same, cancelled by its user."""
        return replace(self, state=State.CANCELLED, share=None, began=None, ended=time_now())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """The way back from JSON."""
        known = {
            "state": State(values["state"]),
            "stage": Stage(values["stage"]) if values["stage"] else None,
            "warnings": tuple(values["warnings"]),
            "choices": tuple(values.get("choices", ())),
        }
        return cls(**{**values, **known})


class Store:
    """All jobs, in memory and in the folder; safe to use from several threads.

    Args:
        folder: of the server.
        max_queue: how many may wait.
    """

    def __init__(self, folder: Path, max_queue: int = 100) -> None:
        self.folder, self._max_queue = folder.absolute(), max_queue
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition(threading.RLock())
        self._lock: IO[str] | None = None
        self._incoming: set[str] = set()
        self.revision = 0

    def open(self) -> None:
        """Take the folder for this server alone and read what is there: what was at work waits
        again, what was being uploaded is removed.

        Raises:
            OutputError: it cannot be made or written to.
            UsageError: another server is at work with it.
        """
        for name in ("", JOBS, INCOMING, TEMPORARY):
            make_folder(self.folder / name, _WAY_OUT)
        with writing(self.folder, _WAY_OUT):
            self.folder.chmod(0o700)
        self._lock = lock_folder(
            self.folder, "'mmccd serve'", "stop that one, or give another --folder", _WAY_OUT
        )
        for left in (self.folder / INCOMING).iterdir():
            shutil.rmtree(left, ignore_errors=True)
        self.remove_temporary()
        found = [job for path in (self.folder / JOBS).iterdir() if (job := _read(path))]
        with self._changed:
            for job in sorted(found, key=lambda one: one.created):
                self._jobs[job.id] = job
                if job.state is State.RUNNING:
                    self._put(job.waiting())

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remove_temporary(self) -> None:
        """Remove what a working process that was killed has unpacked; nothing may be at work."""
        for left in (self.folder / TEMPORARY).iterdir():
            if left.name.startswith(UNPACKED):
                shutil.rmtree(left, ignore_errors=True)

    def place(self, job: Job) -> Path:
        """Its folder."""
        return self.folder / JOBS / job.id

    def jobs(self) -> list[Job]:
        """All of them, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """One of them.

        Raises:
            RequestError: there is none with this id.
        """
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None:
            raise RequestError(
                404,
                InputError(
                    "no scan has this id; it was deleted, or its time was over; upload it again",
                    code="serve.unknown",
                ),
            )
        return job

    @contextlib.contextmanager
    def receiving(self, size: int) -> Iterator[tuple[str, Path]]:
        """A new id, and a folder to write an upload into, which is removed unless :meth:`add` has
        taken it.

        Args:
            size: of the upload in bytes, as far as it is told; 0 where it is not.

        Raises:
            RequestError: the queue is full, or there is not so much space.
        """
        job_id = secrets.token_hex(16)
        with self._changed:
            open_jobs = [job for job in self._jobs.values() if not job.state.is_over]
            if len(open_jobs) + len(self._incoming) >= self._max_queue:
                raise RequestError(
                    429,
                    ResourceError(
                        f"{self._max_queue} scans wait already, which is as many as may; wait"
                        " until one is done, or cancel one",
                        code="serve.queue_full",
                    ),
                )
            if shutil.disk_usage(self.folder).free < size:
                raise RequestError(
                    507,
                    OutputError(
                        "the disk has no room for this upload; delete scans that are done, or give"
                        " another --folder",
                        code="serve.no_space",
                    ),
                )
            self._incoming.add(job_id)
        place = self.folder / INCOMING / job_id
        try:
            place.mkdir()
            yield job_id, place
        finally:
            with self._changed:
                self._incoming.discard(job_id)
            shutil.rmtree(place, ignore_errors=True)

    def add(self, job: Job) -> None:
        """Put a job whose upload is complete at the end of the queue.

        Raises:
            OutputError: the folder cannot be written.
        """
        with self._changed:
            place = self.place(job)
            write_json(self.folder / INCOMING / job.id / RECORD, _content(job), _WAY_OUT)
            (self.folder / INCOMING / job.id).rename(place)
            self._jobs[job.id] = job
            self._told()

    def next(self, seconds: float) -> Job | None:
        """The one that has waited longest; None where there is none for so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._first() is not None, seconds)
            return self._first()

    def change(
        self, job_id: str, how: Callable[[Job], Job], while_in: State | None = None
    ) -> Job | None:
        """Change a job where it is still there (and in a state): the changed one, or None.

        Raises:
            OutputError: the folder cannot be written.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or (while_in is not None and job.state is not while_in):
                return None
            changed = how(job)
            self._put(changed)
            return changed

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits or is at work; one that is over stays as it is.

        Raises:
            RequestError: there is none with this id.
        """
        with self._changed:
            job = self.get(job_id)
            if not job.state.is_over:
                job = job.cancelled()
                self._put(job)
            return job

    def again(self, job_id: str, unchecked: bool, series: str | None = None) -> Job:
        """Put a job that was refused, failed or cancelled at the end of the queue; one that is done
        only for another series.

        Args:
            job_id: of the job.
            unchecked: whether the checks may not refuse it.
            series: id of one of its choices; None: as it was.

        Raises:
            RequestError: there is none with this id, or no such series, or it is done, or not over.
        """
        with self._changed:
            job = self.get(job_id)
            if series is not None and series not in {one["id"] for one in job.choices}:
                raise RequestError(
                    404,
                    InputError(
                        "the scan has no such series to choose; see its choices",
                        code="serve.no_series",
                    ),
                )
            allowed = [State.REFUSED, State.FAILED, State.CANCELLED]
            if series not in (None, job.series):
                allowed.append(State.DONE)
            if job.state not in allowed:
                raise RequestError(
                    409,
                    UsageError(
                        f"the scan is {job.state}; only one that was refused, failed or cancelled"
                        " can be done again, or one that is done with another series",
                        code="serve.not_now",
                    ),
                )
            fresh = replace(
                job.waiting(),
                unchecked=unchecked,
                created=time_now(),
                series=job.series if series is None else series,
            )
            del self._jobs[job_id]  # to the end
            self._put(fresh)
            return fresh

    def delete(self, job_id: str) -> None:
        """Remove a job with its upload and its results, whatever its state.

        Raises:
            RequestError: there is none with this id.
        """
        with self._changed:
            place = self.place(self.get(job_id))
            del self._jobs[job_id]
            self._told()
        # Without its record, what a kill leaves of it here is no job after a restart.
        (place / RECORD).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)

    def expire(self, hours: float) -> None:
        """Delete what has been over for so long."""
        latest = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        for job in self.jobs():
            if job.state.is_over and job.ended is not None and job.ended < latest:
                with contextlib.suppress(RequestError):
                    self.delete(job.id)
                logger.info("deleted, its time was over", extra={"study": job.shown})

    def seconds_left(self, job: Job) -> float | None:
        """How long a job at work will take, about; None for any other."""
        if job.state is not State.RUNNING:
            return None
        usual = self._usual_seconds()
        stages = list(Stage)
        stage = job.stage or stages[0]
        later = sum(usual[one] for one in stages[stages.index(stage) + 1 :])
        began = datetime.fromisoformat(job.began) if job.began else datetime.now(UTC)
        spent = (datetime.now(UTC) - began).total_seconds()
        if job.share:
            return later + spent * (1.0 - job.share) / job.share
        return later + max(usual[stage] - spent, 0.0)

    def _usual_seconds(self) -> dict[Stage, float]:
        """Seconds of each stage: the mean of the last jobs that were done."""
        done = [job.stage_seconds for job in self.jobs() if job.state is State.DONE][-_HISTORY:]
        known = [one for one in done if all(stage in one for stage in Stage)]
        if not known:
            return dict(_USUAL_S)
        return {stage: sum(one[stage] for one in known) / len(known) for stage in Stage}

    def _first(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state is State.WAITING), None)

    def _put(self, job: Job) -> None:
        """Keep a job; how far a stage is stays in memory."""
        before = self._jobs.get(job.id)
        self._jobs[job.id] = job
        self._told()
        if before is None or replace(before, share=None) != replace(job, share=None):
            write_json(self.place(job) / RECORD, _content(job), _WAY_OUT)

    def _told(self) -> None:
        self.revision += 1
        self._changed.notify_all()


def _content(job: Job) -> dict[str, Any]:
    return {"version": _VERSION, **asdict(job)}


def _error(code: str | None, exit_code: int, message: str | None) -> dict[str, Any]:
    return {"code": code or "failed", "exit_code": exit_code, "message": message or ""}


def _read(place: Path) -> Job | None:
    """The job of a folder; None where it has none, and the folder is removed."""
    try:
        values = json.loads((place / RECORD).read_text())
        if values.pop("version") != _VERSION or values["id"] != place.name:
            raise ValueError
        return Job.from_dict(values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("a folder without a usable %s was removed", RECORD)
        shutil.rmtree(place, ignore_errors=True)
        return None
