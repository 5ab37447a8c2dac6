"""How a log line looks to machines, and to people where nothing of a patient may stand in it."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable

TEXT, JSON = "text", "json"
LOG_FORMATS = (TEXT, JSON)
FIELDS = (
    "event",
    "case",
    "study",
    "status",
    "stage",
    "done",
    "total",
    "seconds",
    "seconds_left",
    "exit_code",
    "code",
)
"""What a record may carry beside its message (``extra`` of the logging calls), in this order."""


class LogFormatter(logging.Formatter):
    """A record as one line: of JSON, with ``time`` (UTC), ``level``, ``logger``, those of
    :data:`FIELDS` that it carries, and ``message``; or of text.

    Args:
        log_format: ``text`` or ``json``.
        redact: cleans each message. With it no traceback is shown, whose values may be a patient's.
    """

    def __init__(self, log_format: str = JSON, redact: Callable[[str], str] | None = None) -> None:
        super().__init__()
        self.log_format, self.redact = log_format, redact

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        stamp = f"{seconds}.{int(record.msecs):03d}Z"
        message = record.getMessage()
        message = self.redact(message) if self.redact is not None else message
        fields = {
            name: value for name in FIELDS if (value := getattr(record, name, None)) is not None
        }
        if self.log_format == TEXT:
            study = f" {fields['study']}:" if "study" in fields else ""
            return f"{stamp} {record.levelname} {record.name}:{study} {message}"
        if self.redact is None and record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        level = record.levelname.lower()
        return json.dumps(
            {"time": stamp, "level": level, "logger": record.name, **fields, "message": message}
        )
