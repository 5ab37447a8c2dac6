"""What was done with which study, in ``STATE/status.json``: it outlives the service, says how it
goes, and names nobody.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from mmccd.apps.pacs import clock
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import MmccdError, ResourceError, lock_folder, make_folder
from mmccd.jobs import HEARTBEAT_S, STATUS, STATUS_VERSION, State, replace_status

logger = logging.getLogger(__name__)

STORING, GIVEN_UP = "storing", "given up"
STATES = (
    State.WAITING,
    State.RUNNING,
    STORING,
    State.DONE,
    State.REFUSED,
    State.FAILED,
    GIVEN_UP,
)
PREDICTING = "predict"
_ENDING_S = 10.0
"""A service that was killed holds its lock until its working processes have ended, too."""
_MOST_TROUBLE_S = 3600.0
_LOOKS = 2


@dataclass
class Record:
    """One study.

    Attributes:
        state: waiting (to be complete, or for the archive), running, storing (its results are
            made), done, refused (it is unsuitable), failed (to be tried again) or given up.
        instances: number of objects when it was last looked at; a study that was refused, given
            up or done is looked at again when this changes.
        due: not before this time, UTC; empty: never, until it changes.
        attempts: how often its prediction has failed.
        exit_code: of the last attempt.
        code: stable code of its error.
        message: why it failed, or waits; one line.
        updated: time of the last change, UTC.
        looks: how often in a row it had this number of objects.
        stage: of a running study: fetch, predict or store.
        kills: how often the service was killed while it was predicted.
        troubles: how often in a row an archive, or this machine, has failed it.
        images: the series that were fetched for the last results, by the hash of their UIDs, and
            the number of objects in each.
        used: the hash of the UID of the series that the results were made of.
    """

    state: str = State.WAITING
    instances: int = -1
    due: str = ""
    attempts: int = 0
    exit_code: int | None = None
    code: str | None = None
    message: str | None = None
    updated: str = field(default_factory=clock.now)
    looks: int = 0
    stage: str | None = None
    kills: int = 0
    troubles: int = 0
    images: dict[str, int] = field(default_factory=dict)
    used: str | None = None


class Ledger:
    """The records by the studies' names, and the file that keeps them. Several threads may use it.

    Args:
        settings: of the service.

    Attributes:
        records: by name.
        state: of the service.
        exit_code: of the service, once it has ended.
        message: why looking or storing fails, or None.
        looked: whether the archive has listed its studies since the service was started.
        killed: names of studies that were given up when the folder was opened.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self.settings = settings
        self.records: dict[str, Record] = {}
        self.state = State.RUNNING
        self.exit_code: int | None = None
        self.message: str | None = None
        self.looked = False
        self.killed: list[str] = []
        self._started, self._written = clock.now(), 0.0
        self._lock: IO[str] | None = None
        self._one = threading.RLock()

    def open(self) -> None:
        """Take the folder for this service alone, and read what is there.

        Raises:
            OutputError: it cannot be written.
            UsageError: another service is at work with it.
        """
        folder = self.settings.state
        make_folder(folder)
        self._lock = lock_folder(
            folder,
            "service",
            "expected one for each state folder; wait for it or end it",
            "expected a writable folder; change its owner",
            _ENDING_S,
        )
        self.records = _read(folder / STATUS)
        for name, record in self.records.items():
            if record.state == State.RUNNING:
                self._killed(name, record)
            if record.state in (GIVEN_UP, State.REFUSED) and self.settings.retry:
                _forgive(record)
                record.state, record.due = State.FAILED, clock.now()
        self.write()

    def close(self) -> None:
        """Let others take the folder."""
        if self._lock is not None:
            self._lock.close()

    @property
    def held(self) -> tuple[int, ...]:
        """Descriptors that a working process holds for its life, so that nobody takes the folder
        while it runs.
        """
        return () if self._lock is None else (self._lock.fileno(),)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget studies that are no longer listed."""
        wanted = set(names)
        with self._one:
            self.records = {name: one for name, one in self.records.items() if name in wanted}

    def is_due(self, name: str, instances: int) -> bool:
        """Whether a study has to be worked on, or looked at, now.

        Args:
            name: of the study.
            instances: number of objects in it; while that changes the study is not complete.
        """
        with self._one:
            record = self.records.setdefault(name, Record())
            if record.state in (STORING, State.RUNNING):
                return False
            if instances != record.instances or not record.looks:
                self._changed(record, instances)
            else:
                record.looks += 1
            return self._is_ready(record)

    def is_suspect(self, name: str) -> bool:
        """Whether the service was killed while it worked on a study, which is better done alone."""
        return self.records[name].kills > 0

    def begin(self, name: str, stage: str) -> None:
        """A study is being worked on."""
        self._note(name, state=State.RUNNING, stage=stage)

    def kept(self, name: str, error: MmccdError | None = None) -> None:
        """A study's results are made, and wait to be stored.

        Args:
            name: of the study.
            error: why they are not stored yet.
        """
        values: dict[str, Any] = {"exit_code": 0, "code": None, "message": None}
        if error is not None:
            values = {"exit_code": error.exit_code, "code": error.code, "message": str(error)}
        with self._one:
            self.records.setdefault(name, Record(looks=1))
            self._note(name, state=STORING, stage=None, kills=0, **values)

    def done(self, name: str, images: Mapping[str, int], used: str | None) -> None:
        """A study's results are in the archive.

        Args:
            name: of the study.
            images: see :class:`Record`.
            used: see :class:`Record`.
        """
        with self._one:
            self.records.setdefault(name, Record(looks=1))
            _forgive(self.records[name])
            values = {"images": dict(images), "used": used, "exit_code": 0, "due": ""}
            self._note(name, state=State.DONE, **values)

    def put_back(self, name: str, error: MmccdError | None = None) -> None:
        """A study was not finished for a reason that is not its own.

        Args:
            name: of the study.
            error: the trouble: it is tried again later, and the others before it; None: it is due
                at once.
        """
        with self._one:
            record = self.records[name]
            values: dict[str, Any] = {"due": clock.now()}
            if error is not None:
                record.troubles += 1
                wait = min(self.settings.retry_s * 2 ** (record.troubles - 1), _MOST_TROUBLE_S)
                values = {"due": clock.later(wait), "exit_code": error.exit_code}
                values |= {"code": error.code, "message": str(error)}
            # One that was only looked at stays done.
            state = State.DONE if record.state == State.DONE else State.WAITING
            self._note(name, state=state, stage=None, **values)

    def refuse(self, name: str, error: MmccdError) -> None:
        """A study is unsuitable, and stays that until it changes."""
        self._ended(name, State.REFUSED, error, "")

    def fail(self, name: str, error: MmccdError) -> None:
        """A study's prediction has failed; it is tried again later, or given up."""
        with self._one:
            record = self.records[name]
            record.attempts += 1
            over = record.attempts >= self.settings.attempts
            due = clock.later(self.settings.retry_s * 2 ** (record.attempts - 1))
            self._ended(name, GIVEN_UP if over else State.FAILED, error, "" if over else due)

    def counts(self) -> dict[str, int]:
        """The number of studies in each state."""
        with self._one:
            states = [record.state for record in self.records.values()]
        return {str(state): states.count(state) for state in STATES}

    def beat(self) -> None:
        """Write the file again where it is old, so that who watches it sees that the service
        lives.
        """
        if self.silence_s > HEARTBEAT_S:
            self.write()

    @property
    def silence_s(self) -> float:
        """Seconds since the file was written."""
        return time.monotonic() - self._written

    def write(self) -> None:
        """Replace the file in one step.

        Raises:
            OutputError: it cannot be written.
        """
        with self._one:
            content = {
                "state": self.state,
                "exit_code": self.exit_code,
                "message": self.message,
                "started": self._started,
                "archive": self.settings.place,
                "counts": self.counts(),
                "studies": {name: asdict(record) for name, record in sorted(self.records.items())},
            }
            replace_status(self.settings.state, content)
            self._written = time.monotonic()

    def _changed(self, record: Record, instances: int) -> None:
        """A study is new, or has other objects than before; what is done stays done meanwhile."""
        _forgive(record)
        if record.state != State.DONE:
            record.state, record.exit_code = State.WAITING, None
        record.instances, record.looks, record.updated = instances, 1, clock.now()
        wait = self.settings.settle_s if self.settings.settled == "quiet" else 0.0
        record.due = clock.later(wait)

    def _is_ready(self, record: Record) -> bool:
        looked = self.settings.settled == "quiet" or record.looks >= _LOOKS
        return bool(record.due) and record.due <= clock.now() and looked

    def _killed(self, name: str, record: Record) -> None:
        """The service was killed while it worked on a study: it counts only where the study may be
        the reason, and is due at once.
        """
        predicting = record.stage == PREDICTING
        record.kills += predicting
        record.state, record.stage, record.due = State.WAITING, None, clock.now()
        record.updated = clock.now()
        if predicting and record.kills >= self.settings.attempts:
            error = ResourceError(
                f"the service was killed {record.kills} times while it predicted this study; give"
                " it more memory, then --retry",
                code="study.killed",
            )
            record.state, record.due = GIVEN_UP, ""
            record.exit_code, record.code = error.exit_code, error.code
            record.message = str(error)
            self.killed.append(name)

    def _ended(self, name: str, state: str, error: MmccdError, due: str) -> None:
        values = {"exit_code": error.exit_code, "code": error.code, "message": str(error)}
        self._note(name, state=state, stage=None, due=due, troubles=0, kills=0, **values)

    def _note(self, name: str, **values: Any) -> None:
        with self._one:
            self.records[name] = replace(self.records[name], **values, updated=clock.now())
            self.write()


def _forgive(record: Record) -> None:
    """Forget what went wrong."""
    record.attempts = record.kills = record.troubles = 0
    record.code = record.message = record.stage = None


def _read(path: Path) -> dict[str, Record]:
    """The records in a file; none where it cannot be read: studies that are done are then
    recognised by what the archive has.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
        if content["status_version"] != STATUS_VERSION:
            raise ValueError("another version")
        return {str(name): Record(**values) for name, values in content["studies"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning(
            "%s: cannot be used (%s); beginning anew, with what the archive says",
            path,
            type(error).__name__,
        )
        return {}
