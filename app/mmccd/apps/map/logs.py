"""Log lines for people or for machines, without anything of the patient."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping

from mmccd.apps.map.studies import DICOM, Study

_UID = re.compile(r"\(UID [0-9.]+\)|\b\d+(?:\.\d+){4,}\b")
"""What is marked as a UID, and what has five parts or more: versions have fewer."""
_EXTRAS = ("study", "stage", "seconds", "exit_code")


class Redactor:
    """Takes out of a text what may name a patient: paths of studies (archives name folders after
    patients) and UIDs.

    Args:
        names: what stands for each path.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = sorted(names.items(), key=lambda item: -len(item[0]))

    @classmethod
    def for_studies(cls, studies: Iterable[Study]) -> Redactor:
        """One that knows the files of all studies by the studies' names."""
        names: dict[str, str] = {}
        for study in studies:
            paths = [
                *study.files,
                *(() if study.kind == DICOM and study.files else (study.source,)),
            ]
            names |= {str(path): study.name for path in paths}
        return cls(names)

    def also(self, path: object, name: str) -> Redactor:
        """One that knows another path as well."""
        return Redactor({**dict(self.names), str(path): name})

    def __call__(self, text: str) -> str:
        """The text on one line, cleaned."""
        for path, name in self.names:
            text = text.replace(path, name)
        return " ".join(_UID.sub("(UID)", text).split())


class Formatter(logging.Formatter):
    """A line of text or of JSON; never a traceback, whose values may be a patient's, but the place
    of the error instead.

    Args:
        kind: ``text`` or ``json``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.redact = Redactor({})

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        stamp = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z"
        )
        message = self.redact(record.getMessage())
        extras = {
            name: value for name in _EXTRAS if (value := getattr(record, name, None)) is not None
        }
        if self.kind == "json":
            content = {
                "time": stamp,
                "level": record.levelname.lower(),
                "logger": record.name,
                **extras,
                "message": message,
            }
            return json.dumps(content)
        study = f" {extras['study']}:" if "study" in extras else ""
        return f"{stamp} {record.levelname} {record.name}:{study} {message}"


def set_up_logging(kind: str, level: str) -> Formatter:
    """Send all log lines to stderr, ours from ``level`` on and those of libraries from warnings on.

    Returns:
        The formatter, whose ``redact`` the caller replaces once the studies are known.
    """
    formatter = Formatter(kind)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)  # they quote what they warn of
    for name in ("pydicom", "highdicom", "nibabel"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("mmccd").setLevel(level.upper())
    return formatter
