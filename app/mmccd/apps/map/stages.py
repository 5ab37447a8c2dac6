"""The stages that a study goes through, as plain functions; the operators call them, one each."""

from __future__ import annotations

import contextlib
import logging
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import psutil

from mmccd.apps.map.logs import Redactor
from mmccd.apps.map.settings import Settings
from mmccd.apps.map.studies import DICOM, Study
from mmccd.apps.map.view import view_of
from mmccd.core import (
    InputError,
    MmccdError,
    Report as RunReport,
    ResourceError,
    UnsuitableInputError,
    UsageError,
    Volume,
)
from mmccd.io import read_volume
from mmccd.outputs import check_output, staged_output

if TYPE_CHECKING:
    from mmccd.core import Result
    from mmccd.io import Series
    from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)

Report = Callable[[dict[str, Any]], None]
"""Takes an event: ``{"event": "start" | "stage" | "done" | "fatal", "study": index, ...}``."""


@dataclass
class Work:
    """What all studies share.

    Attributes:
        settings: of the run.
        make_pipeline: builds the pipeline; called once, when the first volume is there.
        report: takes the events.
        redact: see :class:`~mmccd.apps.map.logs.Redactor`.
    """

    settings: Settings
    make_pipeline: Callable[[], AnomalyPipeline]
    report: Report
    redact: Redactor = field(default_factory=lambda: Redactor({}))
    _pipeline: AnomalyPipeline | MmccdError | None = None

    def pipeline(self) -> AnomalyPipeline:
        """The pipeline, built once.

        Raises:
            MmccdError: it could not be built; the same for every study.
        """
        if self._pipeline is None:
            try:
                self._pipeline = self.make_pipeline()
            except MmccdError as error:
                self._pipeline = error
        if isinstance(self._pipeline, MmccdError):
            raise self._pipeline
        return self._pipeline


@dataclass
class Job:
    """A study on its way.

    Attributes:
        index: of the study in the run.
        study: what and where it is.
        output: folder of its results.
        path: where to read it from.
        series: UID of the DICOM series to read, where the rule names one.
        volume: after the stage ``volume``.
        result: after the stage ``anomaly``.
        error: what ended it; later stages then do nothing.
        seconds: of each stage.
        cleanup: closed when the job is over.
    """

    index: int
    study: Study
    output: Path
    path: Path | None = None
    series: str | None = None
    volume: Volume | None = None
    result: Result | None = None
    error: BaseException | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


Stage = Callable[[Job, Work], None]


def run_stage(name: str, stage: Stage, job: Job, work: Work) -> None:
    """Run one stage of a study, unless an earlier one failed; report how long it took. An error
    stays in the job.
    """
    if job.error is not None:
        return
    work.report({"event": "stage", "study": job.index, "stage": name})
    began = time.monotonic()
    try:
        stage(job, work)
    except Exception as error:  # every study is on its own: what ends one must not end the others
        job.error = error
    job.seconds[name] = round(time.monotonic() - began, 3)
    logger.debug(
        "done", extra={"study": job.study.name, "stage": name, "seconds": job.seconds[name]}
    )


def start(job: Job, work: Work) -> None:
    """Refuse an output folder with results of an earlier run; gather the study's files."""
    check_output(job.output, work.settings.force)
    job.path = job.cleanup.enter_context(view_of(job.study))
    work.redact = work.redact.also(job.path, job.study.name)


def select(job: Job, work: Work) -> None:
    """Choose the series by the rule, and refuse what is too large before any voxel is decoded."""
    path, settings = _path(job), work.settings
    if job.study.kind == DICOM:
        from mmccd.io import choose, scan

        study = scan(path)
        if settings.series != "auto":
            job.series = series_by_rule(study.series, settings.series)
        series = choose(study, path, job.series).series
        voxels = len(series.frames) * series.first.rows * series.first.columns
    else:
        voxels = _nifti_voxels(path)
    check_size(voxels, settings.max_voxels)


def load(job: Job, work: Work) -> None:
    """Read the volume."""
    job.volume = read_volume(_path(job), "flair", job.series)
    check_size(job.volume.data.size, work.settings.max_voxels)


def find_anomalies(job: Job, work: Work) -> None:
    """Run the pipeline; the first study waits for it to be built."""
    if job.volume is None:
        raise RuntimeError("no volume")
    job.result = work.pipeline().run(job.volume)


def write(job: Job, work: Work) -> None:
    """Write the results, all or nothing; for DICOM input with the objects for the archive."""
    from mmccd.outputs import write_outputs

    if job.result is None:
        raise RuntimeError("no result")
    with staged_output(job.output, work.settings.force) as staging:
        job.result = write_outputs(job.result, staging)


def finish(job: Job, work: Work) -> None:
    """Report how the study ended, and let go of everything it held. Wrong usage, such as a device
    that is not there, ends the whole run.
    """
    code, message = explain(job.error)
    event: dict[str, Any] = {
        "event": "done",
        "study": job.index,
        "exit_code": code,
        "timings_s": job.seconds,
    }
    if message is not None:
        event["message"] = work.redact(message)
    if job.error is None and job.result is not None:
        event["result"] = summary(job.result.report)
        event["warnings"] = [work.redact(warning) for warning in job.result.report.warnings]
    job.volume = job.result = None
    job.cleanup.close()
    event["memory_mib"] = round(psutil.Process().memory_info().rss / 2**20, 1)
    if isinstance(job.error, UsageError):
        event["event"] = "fatal"
    work.report(event)


STAGES: dict[str, Stage] = {
    "start": start,
    "select": select,
    "volume": load,
    "anomaly": find_anomalies,
    "write": write,
}


def series_by_rule(series: list[Series], rule: str) -> str:
    """The UID of the one series that a rule means.

    Args:
        series: those of a study.
        rule: ``uid=UID``, ``number=N`` or ``description=REGULAR EXPRESSION`` (found anywhere in the
            description, capitals or not).

    Raises:
        UnsuitableInputError: no series, or several.
    """
    kind, _, wanted = rule.partition("=")
    if kind == "uid":
        found = [one for one in series if one.uid == wanted]
    elif kind == "number":
        found = [one for one in series if one.first.number == int(wanted)]
    else:
        found = [one for one in series if re.search(wanted, one.first.description, re.IGNORECASE)]
    if len(found) != 1:
        listing = ", ".join(one.label for one in series[:12]) or "none"
        raise UnsuitableInputError(
            f"the study has {len(found)} series that fit to the rule {kind}=...; found {listing};"
            " expected exactly one; change MMCCD_SERIES"
        )
    return found[0].uid


def check_size(voxels: int, largest: int) -> None:
    """Refuse a volume with more voxels than are allowed.

    Raises:
        ResourceError: it has more.
    """
    if voxels > largest:
        raise ResourceError(
            f"the volume has {voxels} voxels, expected at most {largest}; raise MMCCD_MAX_VOXELS if"
            " there is memory for it"
        )


def explain(error: BaseException | None) -> tuple[int, str | None]:
    """Exit code and one line for what ended a study; of a defect only its kind and place, because
    its text may quote the patient's data.
    """
    if error is None:
        return 0, None
    if isinstance(error, MmccdError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            7,
            "out of memory; use a machine with more memory, a smaller volume, or MMCCD_DEVICE=cpu",
        )
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return 1, f"defect: {type(error).__name__}{place}; please report it"


def summary(report: RunReport) -> dict[str, Any]:
    """What the status file tells of a result: the volumes in mL, the threshold, and what it was
    made with.
    """
    settings = report.settings
    return {
        "anomaly_found": report.anomaly_found,
        "volumes_ml": report.volumes_ml.model_dump(),
        "threshold": report.threshold.value,
        "target": settings.target,
        "preset": settings.preset,
        "precision": settings.precision,
        "device": settings.device,
        "weights_sha256": {name: weights.sha256 for name, weights in report.weights.items()},
        "timings_s": report.timings_s,
    }


def _path(job: Job) -> Path:
    if job.path is None:
        raise RuntimeError("the study has no path")
    return job.path


def _nifti_voxels(path: Path) -> int:
    """Number of voxels that a NIfTI header promises; 0 where it cannot be read, which the reader
    then says better.
    """
    count = 1
    try:
        for length in nib.load(path).shape:
            count *= int(length)
    except (nib.filebasedimages.ImageFileError, OSError, ValueError, EOFError, InputError):
        return 0
    return count
