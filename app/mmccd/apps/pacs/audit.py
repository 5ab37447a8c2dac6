"""The audit log: what went where, and who asked, as lines of JSON without anybody's name."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mmccd.apps.pacs import clock
from mmccd.apps.pacs.events import Event, Kind
from mmccd.core import UsageError

_PASSED_OVER = {Kind.LOOKED}
"""What happens every half minute and moves nothing."""
_KEYS = (
    "archive",
    "peer",
    "request",
    "status",
    "stage",
    "objects",
    "series",
    "bytes",
    "seconds",
    "exit_code",
    "code",
    "version",
)
"""What stands in a line; messages do not, because programs read codes."""


class Audit:
    """Appends a line for each event to a file that only this user may read. Whoever moves the file
    away (logrotate) need not tell: each line is written to whatever the path names.

    Args:
        path: of the file; its folder must be there.
        user: who runs the service, or whom it asks for.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, user: str) -> None:
        self._path, self._user = path, user
        try:
            self._append("")
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be written ({error.strerror or error}); expected a file for the"
                " audit log in a writable folder; correct MMCCD_PACS_AUDIT"
            ) from error

    def __call__(self, event: Event) -> None:
        """Note an event."""
        if event.kind in _PASSED_OVER:
            return
        values = {key: event.values[key] for key in _KEYS if event.values.get(key) is not None}
        line = {"time": clock.now(), "event": event.kind, "user": self._user}
        study = {} if event.study is None else {"study": event.study}
        self._append(json.dumps({**line, **study, **values}) + "\n")

    def _append(self, text: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, mode=0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
