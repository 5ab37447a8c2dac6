"""``python app`` from words to an exit code: check everything that can be checked at once, then
supervise.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmccd import NOTICE, __version__
from mmccd.apps.map.arguments import Paths, parse_paths, usage
from mmccd.apps.map.limits import ignore_stack_warning, raise_stack_limit
from mmccd.apps.map.settings import read_settings
from mmccd.apps.map.worker import HOW
from mmccd.core import VARIABLE, CancelledError, MmccdError, OutputError, Settings
from mmccd.jobs import (
    INTERRUPTED,
    Account,
    Input,
    Limits,
    Outcome,
    Redactor,
    StatusFile,
    Supervised,
    Task,
    Worker,
    find_studies,
    log_change,
    log_to_stderr,
    make_output_folder,
    run_tasks,
)

logger = logging.getLogger(__name__)


def main(words: list[str] | None = None, config: Path | None = None) -> None:
    """Run the application and exit with its code (docs/deployment.md)."""
    ignore_stack_warning()
    sys.exit(run(sys.argv[1:] if words is None else words, os.environ, config))


def run(words: list[str], environment: Mapping[str, str], config: Path | None = None) -> int:
    """As :func:`main`, but returns the exit code.

    Args:
        words: of the command line.
        environment: with HOLOSCAN_* and MMCCD_* variables.
        config: the settings file beside the application.
    """
    if {"-h", "--help"} & set(words):
        sys.stdout.write(usage() + "\n")
        return 0
    if "--version" in words:
        sys.stdout.write(__version__ + "\n")
        return 0
    log_to_stderr(str(environment.get("MMCCD_LOG_FORMAT", "text")).lower(), "info")
    signal.signal(signal.SIGTERM, _cancel)
    try:
        paths = parse_paths(words, environment, config)
        settings = read_settings(paths.config, environment)
        log_to_stderr(settings.log_format, settings.log_level)
        raise_stack_limit()
        make_output_folder(paths.output)
    except MmccdError as error:
        logger.error("%s", error, extra={"exit_code": error.exit_code})
        return error.exit_code
    return _run(paths, settings, environment)


def _run(paths: Paths, settings: Settings, environment: Mapping[str, str]) -> int:
    """From here on every end is noted in the status file."""
    declared = set(Settings.declared(VARIABLE))
    account = Account(settings=settings.model_dump(mode="json", include=declared))
    status = StatusFile(paths.output)
    code, message = None, None
    try:
        status.write(account)
        account.expect(make_tasks(find_studies(paths.input), paths, settings))
        log_to_stderr(settings.log_format, settings.log_level, Redactor.of(account.tasks))
        logger.info("%s %s, %d studies", NOTICE, f"mmccd {__version__}", len(account.tasks))
        with _supervised(settings, environment) as run_all:
            run_tasks(account, run_all, _watch(status))
    except CancelledError as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except MmccdError as error:
        code, message = error.exit_code, Redactor.of(account.tasks)(str(error))
    except (
        Exception
    ) as error:  # the last resort: a defect of ours; its text may quote the patient's data
        code, message = 1, f"defect: {type(error).__name__}; please report it"
        logger.debug("%s", error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last lines are short
    code = account.end(code, message)
    if message is not None:
        logger.error("%s", message, extra={"exit_code": code})
    try:
        status.write(account)
    except OutputError as error:
        logger.error("%s", error, extra={"exit_code": error.exit_code})
        return code or error.exit_code
    return code


def make_tasks(studies: list[Input], paths: Paths, settings: Settings) -> list[Task]:
    """A task for each study. The results of one study alone go into the output folder itself, else
    into a folder of its name.
    """
    models = str(paths.models) if paths.models else None
    chosen = settings.model_copy(update={"bundles": models})
    alone = len(studies) == 1
    return [
        Task(
            number,
            study,
            paths.output if alone else paths.output / study.name,
            study.name,
            chosen,
            private=True,
        )
        for number, study in enumerate(studies, 1)
    ]


def _supervised(settings: Settings, environment: Mapping[str, str]) -> Supervised:
    own = {"HOLOSCAN_LOG_LEVEL": "ERROR", **environment}
    # Read by us, and Holoscan refuses a path at which nothing is mounted.
    own.pop("HOLOSCAN_CONFIG_PATH", None)
    worker = Worker(HOW, settings.log_format, settings.log_level, own)
    return Supervised(worker, Limits(settings.timeout_s))


def _watch(status: StatusFile) -> Callable[[Account, Outcome | None], None]:
    def watch(account: Account, change: Outcome | None) -> None:
        log_change(account, change)
        status(account, change)

    return watch


def _cancel(number: int, frame: Any) -> None:
    raise CancelledError(
        "ended by SIGTERM; the study at work was given up, nothing of it was written"
    )


if __name__ == "__main__":
    main()
