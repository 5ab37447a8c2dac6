"""``python -m mmccd.apps.pacs`` from words to an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from mmccd.apps.map.settings import read_settings
from mmccd.apps.pacs.application import own_variables, settings_file
from mmccd.apps.pacs.settings import PacsSettings, read_pacs_settings, usage
from mmccd.core import CancelledError, MmccdError, Settings, UsageError
from mmccd.jobs import INTERRUPTED, log_to_stderr

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the service and exit with its code (docs/archive.md)."""
    threading.excepthook = tell_of_thread
    sys.exit(run(sys.argv[1:], os.environ))


def tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Log that a thread has ended with an error (those of pynetdicom may); by its kind alone,
    because its text may quote the patient's data.
    """
    logger.error("defect in a thread: %s; please report it", failed.exc_type.__name__)


def run(words: list[str], environment: Mapping[str, str]) -> int:
    """As :func:`main`, but returns the exit code.

    Args:
        words: of the command line.
        environment: with MMCCD_PACS_* variables and the application's.
    """
    if {"-h", "--help"} & set(words):
        sys.stdout.write(usage() + "\n")
        return 0
    log_to_stderr(str(environment.get("MMCCD_LOG_FORMAT", "text")).lower(), "info")
    logging.getLogger("urllib3").setLevel(
        logging.CRITICAL
    )  # it prints paths, which have UIDs in them
    signal.signal(signal.SIGTERM, _cancel)
    try:
        settings = read_pacs_settings(words, environment)
        if settings.check or settings.check_store:
            return _check(settings)
        chosen = read_settings(settings_file(environment), own_variables(environment))
        log_to_stderr(chosen.log_format, chosen.log_level)
        return _serve(settings, chosen, environment)
    except MmccdError as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except (
        Exception
    ) as error:  # the last resort: a defect of ours; its text may quote the patient's data
        code, message = 1, f"defect: {type(error).__name__}; please report it"
    logger.error("%s", message, extra={"exit_code": code})
    return code


def _serve(settings: PacsSettings, chosen: Settings, environment: Mapping[str, str]) -> int:
    with _explained():
        from mmccd.apps.pacs.serve import serve
    return serve(settings, chosen, environment)


def _check(settings: PacsSettings) -> int:
    with _explained():
        from mmccd.apps.pacs.check import check

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    return check(settings, say)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"{error.name} is missing; expected the extra that deployment needs; install it: pip"
            " install 'mmccd[deploy]'"
        ) from error


def _cancel(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; what follows is short
    raise CancelledError(
        "ended by SIGTERM; what was at work was given up, results that were made are kept"
    )
