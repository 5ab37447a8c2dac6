"""What a command tells its user while it works: bars on a terminal, lines of JSON for machines,
else log lines alone.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmccd.core.logs import JSON, TEXT, LogFormatter

_EVERY_S = 1.0
RED, YELLOW = "31", "33"

logger = logging.getLogger(__name__)


class Console:
    """Takes what a run tells; this one is silent."""

    def stage(self, name: str) -> None:
        """A stage begins; the one before it is over."""

    def progress(self, done: int, total: int) -> None:
        """How far the stage is."""

    def note(self, text: str, **values: Any) -> None:
        """Something ended that is worth a line: text for people, values for machines."""

    def close(self) -> None:
        """The run is over, however it ended."""


class LineConsole(Console):
    """A log line for each note."""

    def note(self, text: str, **values: Any) -> None:
        """See :class:`Console`."""
        logger.info(text)


class BarConsole(Console):
    """One bar a stage, with the time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def stage(self, name: str) -> None:
        """See :class:`Console`."""
        from tqdm import tqdm

        self._finish()
        self._bar = tqdm(desc=name, total=1, file=sys.stderr, dynamic_ncols=True)

    def progress(self, done: int, total: int) -> None:
        """See :class:`Console`."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def note(self, text: str, **values: Any) -> None:
        """See :class:`Console`."""
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """See :class:`Console`."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _finish(self) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.total - self._bar.n)
            self.close()


class JsonConsole(Console):
    """A line of JSON for each stage and note, and for the progress of a stage at most once a
    second.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._told = 0.0

    def stage(self, name: str) -> None:
        """See :class:`Console`."""
        self._stage, self._began = name, time.monotonic()
        self._told = self._began
        _event("stage", stage=name)

    def progress(self, done: int, total: int) -> None:
        """See :class:`Console`."""
        now = time.monotonic()
        if now - self._told < _EVERY_S and done < total:
            return
        self._told = now
        left = (now - self._began) * (total - done) / done if done else None
        _event(
            "progress",
            stage=self._stage,
            done=done,
            total=total,
            seconds_left=round(left, 1) if left is not None else None,
        )

    def note(self, text: str, **values: Any) -> None:
        """See :class:`Console`."""
        _event(str(values.pop("kind", "note")), message=text, **values)


def _event(kind: str, message: str = "", **values: Any) -> None:
    logger.info(message or kind, extra={"event": kind, **values})


@dataclass
class _Mode:
    quiet: bool = False
    log_format: str = TEXT


_MODE = _Mode()


@contextmanager
def open_console(stage: str | None = None) -> Iterator[Console]:
    """The console that fits: bars on a terminal, JSON where it was asked for, nothing with
    ``--quiet``.

    Args:
        stage: begins at once.
    """
    console = _choose()
    try:
        if stage is not None:
            console.stage(stage)
        yield console
    finally:
        console.close()


def _choose() -> Console:
    if _MODE.quiet:
        return Console()
    if _MODE.log_format == JSON:
        return JsonConsole()
    return BarConsole() if sys.stderr.isatty() else LineConsole()


@contextmanager
def logging_as(level: int, quiet: bool, log_format: str) -> Iterator[None]:
    """Log to stderr, ours from a level on and those of libraries from warnings on."""
    _MODE.quiet, _MODE.log_format = quiet, log_format
    logging.getLogger("mmccd").setLevel(level)
    if log_format == TEXT:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(_ColouredFormatter("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.WARNING, handlers=[plain])
        yield
        return
    root = logging.getLogger()
    before, before_level = root.handlers, root.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    root.handlers, root.level = [handler], logging.WARNING
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before, before_level


def complain(
    text: str, exit_code: int, error: BaseException | None = None, code: str | None = None
) -> None:
    """Say what ended the command: one line, or one line of JSON; the traceback of ``error`` before
    it, or in it.

    Args:
        text: the line.
        exit_code: of the command, or of the case.
        error: whose traceback is shown.
        code: stable code; where it says more than the exit code (``brain.too_small``), the line
            ends with the command that explains it.
    """
    if _MODE.log_format == JSON:
        info = (type(error), error, error.__traceback__) if error is not None else None
        extra = {"exit_code": exit_code, "code": code}
        record = logger.makeRecord(logger.name, logging.ERROR, "", 0, text, (), info, extra=extra)
        sys.stderr.write(LogFormatter().format(record) + "\n")
        return
    if error is not None:
        traceback.print_exception(error)
    more = f"; see 'mmccd explain {code}'" if code is not None and "." in code else ""
    sys.stderr.write(f"{painted('mmccd:', RED, sys.stderr)} {text}{more}\n")


def painted(text: str, colour: str, stream: Any) -> str:
    """The text in a colour, where it goes to a terminal and nobody asked for none (``NO_COLOR``,
    https://no-color.org).

    Args:
        text: a few words.
        colour: :data:`RED` or :data:`YELLOW`.
        stream: to which it is written.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not stream.isatty() else f"\033[1;{colour}m{text}\033[0m"


class _ColouredFormatter(logging.Formatter):
    """Warnings and errors begin in colour."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        text, level = super().format(record), record.levelname
        if record.levelno < logging.WARNING:
            return text
        colour = YELLOW if record.levelno < logging.ERROR else RED
        return painted(level, colour, sys.stderr) + text.removeprefix(level)
