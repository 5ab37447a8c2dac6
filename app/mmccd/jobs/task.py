"""One case of a cohort: skip it, or run it, and say how it ended, whatever happens."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from mmccd.core import CancelledError, MmccdError, Report, ResourceError
from mmccd.jobs.account import DONE, FAILED, SKIPPED, Outcome
from mmccd.jobs.case import predict_file
from mmccd.jobs.inputs import Source
from mmccd.jobs.record import is_begun, is_complete, request
from mmccd.outputs import MARKER
from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A case and where its results go.

    Attributes:
        number: place in the list, from 1 on.
        source: the image.
        output: folder of its results.
        force: replace the results of an earlier run.
    """

    number: int
    source: Source
    output: Path
    force: bool = False

    @property
    def shown(self) -> str:
        """Its name for log and account: of a DICOM study its place, because archives name folders
        after patients.
        """
        return f"DICOM study {self.number}" if self.source.is_study else self.source.name

    def failed(self, code: int, error: str, seconds: float | None = None) -> Outcome:
        """The outcome of a failure; a study's folders do not stand in it."""
        text = " ".join(error.split())
        if self.source.is_study:
            for path in (self.source.path, self.output):
                text = text.replace(str(path), self.shown)
        return Outcome(self.number, self.shown, FAILED, code, text, seconds=seconds)


def run_task(task: Task, pipeline: AnomalyPipeline) -> Outcome:
    """Run one case unless its results are there already. Results that an earlier run had left
    unfinished are made again.

    Raises:
        CancelledError: the run was ended from outside; nothing half-written is left.
    """
    began = time.monotonic()
    try:
        return _run(task, pipeline, began)
    except CancelledError:
        raise
    except Exception as error:  # every case is on its own: what ends one must not end the others
        code, text = _explain(error)
        return task.failed(code, text, round(time.monotonic() - began, 3))


def _run(task: Task, pipeline: AnomalyPipeline, began: float) -> Outcome:
    source = task.source
    if source.path.exists() and is_complete(
        task.output, request(pipeline, source.path, source.brain), task.force
    ):
        return _outcome(task, _read_report(task), SKIPPED, None)
    result = predict_file(
        lambda: pipeline,
        source.path,
        task.output,
        source.brain,
        task.force or is_begun(task.output),
    )
    return _outcome(task, result.report, DONE, round(time.monotonic() - began, 3))


def _read_report(task: Task) -> Report:
    return Report.model_validate_json((task.output / MARKER).read_text())


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and text; of a defect only its kind and place, because its text may quote the
    patient's data.
    """
    if isinstance(error, MmccdError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return (
            ResourceError.exit_code,
            "out of memory; use a machine with more memory, fewer workers or a smaller volume",
        )
    logger.debug("a defect", exc_info=error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        1,
        (
            f"defect: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}; please"
            " report it"
        ),
    )


def _outcome(task: Task, report: Report, status: str, seconds: float | None) -> Outcome:
    return Outcome(
        task.number,
        task.shown,
        status,
        0,
        None,
        report.volumes_ml.anomalous,
        seconds,
        len(report.warnings),
    )
