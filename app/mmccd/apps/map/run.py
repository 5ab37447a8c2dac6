"""``python app`` from words to an exit code: check everything that can be checked at once, then
supervise.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmccd import NOTICE, __version__
from mmccd.apps.map.arguments import Paths, parse_paths, usage
from mmccd.apps.map.limits import ignore_stack_warning, raise_stack_limit
from mmccd.apps.map.logs import Formatter, Redactor, set_up_logging
from mmccd.apps.map.settings import read_settings
from mmccd.apps.map.status import RunStatus, StudyStatus
from mmccd.apps.map.studies import Study, find_studies
from mmccd.apps.map.supervise import Plan, Supervisor
from mmccd.core import VARIABLE, CancelledError, MmccdError, OutputError, Settings, make_folder

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
    formatter = set_up_logging(str(environment.get("MMCCD_LOG_FORMAT", "text")).lower(), "info")
    signal.signal(signal.SIGTERM, _cancel)
    try:
        paths = parse_paths(words, environment, config)
        settings = read_settings(paths.config, environment)
        formatter = set_up_logging(settings.log_format, settings.log_level)
        raise_stack_limit()
        check_output_folder(paths.output)
    except MmccdError as error:
        logger.error("%s", error, extra={"exit_code": error.exit_code})
        return error.exit_code
    return _run(paths, settings, formatter)


def _run(paths: Paths, settings: Settings, formatter: Formatter) -> int:
    """From here on every end is noted in the status file."""
    status = RunStatus(settings.model_dump(mode="json", include=set(Settings.declared(VARIABLE))))
    code, message = None, None
    try:
        status.write(paths.output)
        studies = find_studies(paths.input)
        formatter.redact = Redactor.for_studies(studies)
        plan = Plan(
            studies, output_folders(studies, paths.output), paths.output, paths.models, settings
        )
        status.studies = [
            StudyStatus(study.name, study.kind, output.relative_to(paths.output).as_posix())
            for study, output in zip(studies, plan.outputs, strict=True)
        ]
        logger.info("%s %s, %d studies", NOTICE, f"mmccd {__version__}", len(studies))
        Supervisor(plan, status).run()
    except CancelledError as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = 130, "interrupted"
    except MmccdError as error:
        code, message = error.exit_code, formatter.redact(str(error))
    except (
        Exception
    ) as error:  # the last resort: a defect of ours; its text may quote the patient's data
        code, message = 1, f"defect: {type(error).__name__}; please report it"
        logger.debug("%s", error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last lines are short
    code = status.end(code, message)
    if message is not None:
        logger.error("%s", message, extra={"exit_code": code})
    try:
        status.write(paths.output)
    except OutputError as error:
        logger.error("%s", error, extra={"exit_code": error.exit_code})
        return code or error.exit_code
    return code


def output_folders(studies: list[Study], output: Path) -> list[Path]:
    """Where the results of each study go: into the output folder itself for one study alone, else
    into a folder of its name.
    """
    return [output] if len(studies) == 1 else [output / study.name for study in studies]


def check_output_folder(folder: Path) -> None:
    """Make the output folder if it is not there.

    Raises:
        OutputError: it cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; expected a folder; choose another output")
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{folder}: is not writable by user {os.getuid()}; expected a folder that this user may"
            " write to; change its owner"
        )


def _cancel(number: int, frame: Any) -> None:
    raise CancelledError(
        "ended by SIGTERM; the study at work was given up, nothing of it was written"
    )


if __name__ == "__main__":
    main()
