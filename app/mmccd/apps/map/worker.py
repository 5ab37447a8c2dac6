"""The working process: runs the graph over studies and tells the supervisor, line by line, how far
it is.

It is a process of its own so that a study that hangs, or that the system ends for want of memory,
ends neither the others nor the status file.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

from mmccd.apps.map.logs import Redactor, set_up_logging
from mmccd.apps.map.runtime import load_cuda_runtime
from mmccd.apps.map.stages import Job, Report, Work
from mmccd.apps.map.studies import Study
from mmccd.core import Settings, UsageError, first_line

logger = logging.getLogger(__name__)


def main() -> int:
    """Read the plan from stdin's first line, run it, write events to what was stdout.

    Returns:
        0; how the studies ended stands in the events.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not be taken for events
    plan = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    report = _reporter(events)
    settings = Settings(**plan["settings"])
    studies = [Study.from_dict(values) for values in plan["studies"]]
    formatter = set_up_logging(settings.log_format, settings.log_level)
    formatter.redact = Redactor.for_studies(studies)
    jobs = [
        Job(index, study, Path(output))
        for index, study, output in zip(plan["indices"], studies, plan["outputs"], strict=True)
    ]
    try:
        _run(jobs, settings, plan["models"], report, formatter.redact)
    except UsageError as error:
        report({"event": "fatal", "exit_code": error.exit_code, "message": str(error)})
    return 0


def _run(
    jobs: list[Job], settings: Settings, models: str | None, report: Report, redact: Redactor
) -> None:
    load_cuda_runtime()
    try:
        from mmccd.apps.map.operators import AnomalyApplication
    except ImportError as error:
        raise UsageError(
            f"the MONAI Deploy App SDK cannot be loaded ({first_line(error)}); install it: pip"
            " install 'mmccd[deploy]'"
        ) from error
    from mmccd.pipeline import AnomalyPipeline

    chosen = settings.model_copy(update={"bundles": models})
    work = Work(settings, lambda: AnomalyPipeline.from_settings(chosen), report, redact)
    for job in jobs:
        application = AnomalyApplication(job, work)
        set_up_logging(
            settings.log_format, settings.log_level
        ).redact = redact  # the SDK has put its own in place
        application.run()


def _reporter(events: IO[str]) -> Report:
    def report(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    return report


def _end_with_supervisor() -> None:
    """End when stdin does: the supervisor is gone, however it went."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
