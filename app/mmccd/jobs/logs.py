"""What a run without a console tells: lines on stderr, with nothing of a patient."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmccd.core import LogFormatter
from mmccd.jobs.account import Account
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.redaction import Redactor
from mmccd.jobs.states import State

logger = logging.getLogger(__name__)


def log_to_stderr(log_format: str, level: str, redact: Redactor | None = None) -> None:
    """Send all log lines to stderr, ours from ``level`` on and those of libraries from warnings on.

    Args:
        log_format: ``text`` or ``json``.
        level: debug, info, warning or error.
        redact: cleans each line; without it only UIDs are taken out.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(log_format, redact or Redactor({})))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)  # they quote what they warn of
    for name in ("pydicom", "highdicom", "nibabel"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("mmccd").setLevel(level.upper())


def log_change(account: Account, change: Outcome | None) -> None:
    """A line where a task begins, its warnings, and a line where it ends."""
    if change is None:
        return
    study = {"study": change.name}
    if change.state is State.RUNNING and change.stage is None:
        kinds = {task.number: task.input.kind for task in account.tasks}
        place = change.number, len(account.tasks), kinds[change.number]
        logger.info("begins (%d of %d, %s)", *place, extra=study)
    if not change.state.is_over:
        return
    for warning in change.warnings:
        logger.warning("%s", warning, extra=study)
    extra = {
        **study,
        "stage": change.stage,
        "exit_code": change.exit_code,
        "seconds": round(change.seconds or 0.0, 1),
    }
    if change.exit_code:
        logger.error("%s (exit code %d)", change.error, change.exit_code, extra=extra)
    else:
        logger.info("done in %.1f s", extra["seconds"], extra=extra)


@contextmanager
def kept_logging() -> Iterator[None]:
    """What a library does to the handlers and levels of the log while it runs is undone."""
    names = ("", "py.warnings", "pydicom", "highdicom", "nibabel", "mmccd")
    loggers = [logging.getLogger(name) for name in names]
    before = [(one, one.handlers[:], one.level, one.disabled) for one in loggers]
    try:
        yield
    finally:
        for one, handlers, level, disabled in before:
            one.handlers[:], one.disabled = handlers, disabled
            one.setLevel(level)
