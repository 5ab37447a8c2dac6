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
    STATUS,
    Account,
    Input,
    Limits,
    Outcome,
    Redactor,
    StatusFile,
    Supervised,
    Task,
    Worker,
    explain,
    find_studies,
    in_variables,
    log_change,
    log_to_stderr,
    make_output_folder,
    run_tasks,
)
from mmccd.outputs import check_output

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
    earlier = not settings.force and (paths.output / STATUS).is_file()
    try:
        if not earlier:
            status.write(account)
        account.expect(make_tasks(find_studies(paths.input), paths, settings))
        if earlier and account.tasks:
            refusals = [_refusal(task) for task in account.tasks]
            if all(refusals):
                # Nothing is done, so what the earlier run says of itself stays.
                return _refused(account, [str(error) for error in refusals])
        status.write(account)
        log_to_stderr(settings.log_format, settings.log_level, Redactor.of(account.tasks))
        logger.info("%s %s, %d studies", NOTICE, f"mmccd {__version__}", len(account.tasks))
        with _supervised(settings, environment) as run_all:
            run_tasks(account, run_all, _watch(status))
    except CancelledError as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except MmccdError as error:
        text = in_variables(str(error))
        code, message = error.exit_code, Redactor.of(account.tasks)(text)
    except Exception as error:  # memory, or a defect of ours, whose text may quote the patient
        code, message, _ = explain(error)
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


def _refusal(task: Task) -> OutputError | None:
    """Why a task's results cannot be written: an earlier run's are there."""
    try:
        check_output(task.output, force=False)
    except OutputError as error:
        return error
    return None


def _refused(account: Account, texts: list[str]) -> int:
    """Say that nothing is done, of each study; the exit code."""
    redact = Redactor.of(account.tasks)
    code = OutputError.exit_code
    for task, text in zip(account.tasks, texts, strict=True):
        extra = {"study": task.shown, "exit_code": code}
        logger.error("%s", redact(in_variables(text)), extra=extra)
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
