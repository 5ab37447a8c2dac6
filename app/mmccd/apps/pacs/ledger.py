"""What was done with which study, in ``STATE/status.json``: it outlives the service, says how it
goes, and names nobody.
"""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import MmccdError, OutputError, UsageError, make_folder
from mmccd.jobs import HEARTBEAT_S, STATUS, STATUS_VERSION, State, now, replace_status

logger = logging.getLogger(__name__)

GIVEN_UP = "given up"
_LOCK = ".lock"
_MOST_WAIT_S = 86_400.0


@dataclass
class Record:
    """One study.

    Attributes:
        state: waiting (for the study to be complete), running, done, failed (to be tried again) or
            given up.
        instances: number of objects when it was last looked at; a study that was given up is new
            when this changes.
        due: not before this time, UTC.
        attempts: how often it has failed.
        exit_code: of the last attempt.
        message: why it failed; one line.
        updated: time of the last change, UTC.
    """

    state: str = State.WAITING
    instances: int = -1
    due: str = ""
    attempts: int = 0
    exit_code: int | None = None
    message: str | None = None
    updated: str = field(default_factory=now)


class Ledger:
    """The records by the studies' names, and the file that keeps them.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self.settings = settings
        self.records: dict[str, Record] = {}
        self.state = State.RUNNING
        self.exit_code: int | None = None
        self.message: str | None = None
        self._started, self._written = now(), 0.0
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Take the folder for this service alone, and read what is there.

        Raises:
            OutputError: it cannot be written.
            UsageError: another service is at work with it.
        """
        folder = self.settings.state
        make_folder(folder)
        try:
            self._lock = (folder / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(
                f"{folder}: another service works with it; expected one for each state folder; wait"
                " for it or end it"
            ) from None
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror or error}); expected a writable"
                " folder; change its owner"
            ) from error
        self.records = _read(folder / STATUS)
        for record in self.records.values():
            if (
                record.state == State.RUNNING
                # killed in the middle: that counts, because the study may be the reason
            ):
                self._failed(record, 1, "the service was killed while it worked on this study")
            if record.state == GIVEN_UP and self.settings.retry:
                record.state, record.attempts, record.due = State.FAILED, 0, now()
        self.write()

    def close(self) -> None:
        """Let others take the folder."""
        if self._lock is not None:
            self._lock.close()

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget studies that are no longer listed."""
        wanted = set(names)
        self.records = {name: record for name, record in self.records.items() if name in wanted}

    def is_due(self, name: str, instances: int) -> bool:
        """Whether a study has to be worked on now.

        Args:
            name: of the study.
            instances: number of objects in it; while that changes the study is not complete.
        """
        record = self.records.setdefault(name, Record())
        if record.state == State.DONE:
            return False
        if instances != record.instances or not record.due:
            settled = _in(self.settings.settle_s)
            self.records[name] = Record(instances=instances, due=settled)
        elif record.state == GIVEN_UP:
            return False
        return self.records[name].due <= now()

    def begin(self, name: str) -> None:
        """A study is being worked on."""
        self._note(name, state=State.RUNNING)

    def done(self, name: str) -> None:
        """A study's results are in the archive."""
        self._note(name, state=State.DONE, exit_code=0, message=None)

    def put_back(self, name: str) -> None:
        """A study was not finished for a reason that is not its own; it is due at once."""
        self._note(name, state=State.WAITING, due=now())

    def fail(self, name: str, error: MmccdError, final: bool) -> None:
        """A study has failed; it is tried again later, or given up.

        Args:
            name: of the study.
            error: why.
            final: whether another attempt makes no sense.
        """
        self._failed(self.records[name], error.exit_code, str(error), final)
        self.write()

    def beat(self) -> None:
        """Write the file again where it is old, so that who watches it sees that the service
        lives.
        """
        if time.monotonic() - self._written > HEARTBEAT_S:
            self.write()

    def write(self) -> None:
        """Replace the file in one step.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "state": self.state,
            "exit_code": self.exit_code,
            "message": self.message,
            "started": self._started,
            "archive": self.settings.url,
            "studies": {name: asdict(record) for name, record in sorted(self.records.items())},
        }
        replace_status(self.settings.state, content)
        self._written = time.monotonic()

    def _note(self, name: str, **values: Any) -> None:
        for key, value in {**values, "updated": now()}.items():
            setattr(self.records[name], key, value)
        self.write()

    def _failed(self, record: Record, exit_code: int, message: str, final: bool = False) -> None:
        record.attempts += 1
        over = final or record.attempts >= self.settings.attempts
        record.state = GIVEN_UP if over else State.FAILED
        record.exit_code, record.message, record.updated = exit_code, message, now()
        record.due = _in(self.settings.retry_s * 2 ** (record.attempts - 1))


def _in(seconds: float) -> str:
    """That time from now, UTC, at most a day; in texts that sort by time."""
    return (datetime.now(UTC) + timedelta(seconds=min(seconds, _MOST_WAIT_S))).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


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
