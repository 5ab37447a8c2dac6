"""One task from its input to its written results."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmccd.core import CancelledError, Console, PhaseClock, Settings
from mmccd.jobs.doors import in_variables
from mmccd.jobs.inputs import DICOM, NIFTI, Input, stem
from mmccd.jobs.outcome import Outcome, explain, summarise, waiting
from mmccd.jobs.redaction import Redactor
from mmccd.jobs.selection import check_size, nifti_voxels, select_series
from mmccd.jobs.states import Stage
from mmccd.jobs.task import Task
from mmccd.jobs.view import view_of

if TYPE_CHECKING:
    from mmccd.core import Report, Result, Volume
    from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)

# The imports of models, DICOM and pictures stand inside the functions: a missing input is told
# before any of them is loaded.


class StageClock:
    """Seconds of each stage; a stage is over when the next one begins.

    Args:
        tell: called with each stage that begins.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._began = self._stage_began = time.monotonic()
        self.stage: Stage | None = None
        self.seconds: dict[str, float] = {}

    @property
    def total(self) -> float:
        """Seconds since the task began."""
        return round(time.monotonic() - self._began, 3)

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self.stop()
        self.stage = Stage(stage)
        self._tell(stage)

    def stop(self) -> None:
        """The stage at work is over."""
        now = time.monotonic()
        if self.stage is not None and self.stage not in self.seconds:
            self.seconds[str(self.stage)] = round(now - self._stage_began, 3)
        self._stage_began = now


class Work:
    """A task on its way: :data:`STEPS` one after the other, then :meth:`outcome`.

    Args:
        task: what to do.
        make_pipeline: called once the input is read, because loading the models takes longest.
        console: told of the stages, and how far scoring is.
        series: UID of the DICOM series to take; None: the one that the settings' rule means.
        clock: gets the seconds of :data:`~mmccd.core.PHASES`; so does the report, up to its
            writing.
    """

    def __init__(
        self,
        task: Task,
        make_pipeline: Callable[[], AnomalyPipeline],
        console: Console | None = None,
        series: str | None = None,
        clock: PhaseClock | None = None,
    ) -> None:
        self._phases = clock or PhaseClock()
        self.task, self._make_pipeline, self._series = task, make_pipeline, series
        self._console = console or Console()
        self._clock = StageClock(self._console.stage)
        self._redact = Redactor.of([task])
        self._open = contextlib.ExitStack()
        self._path, self._staging, self._replace = task.input.path, task.output, False
        self._volume: Volume | None = None
        self._mask: Volume | None = None
        self._made_before: Report | None = None
        self.result: Result | None = None
        self.error: Exception | None = None

    def step(self, name: str) -> None:
        """Take one step, unless an earlier one failed or nothing is left to do. An error stays
        here, because what ends one task must not end the others.

        Raises:
            CancelledError: the run was ended from outside; nothing half-written is left.
        """
        if self.error is not None or self._made_before is not None:
            return
        try:
            _STEPS[name](self)
        except BaseException as error:
            self._clock.stop()
            self._open.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, CancelledError) or not isinstance(error, Exception):
                raise
            self.error = error
        logger.debug(
            "%s is over", name, extra={"study": self.task.shown, "seconds": self._clock.total}
        )

    def run(self) -> Work:
        """Take all steps; raises as :meth:`step`."""
        for name in STEPS:
            self.step(name)
        return self

    def outcome(self) -> Outcome:
        """How the task has ended. What it held is let go of."""
        self._open.close()
        over = replace(
            waiting(self.task), stage=self._clock.stage, stage_seconds=self._clock.seconds
        )
        result, self.result, self._volume, self._mask = self.result, None, None, None
        if self._made_before is not None:
            return self._done(over, self._made_before, None, skipped=True)
        if self.error is None and result is not None:
            return self._done(over, result.report, self._clock.total)
        code, text, stable = explain(self.error or RuntimeError("not all steps were taken"))
        return over.ended(code, self._redact(self._say(text)), stable, seconds=self._clock.total)

    def _done(
        self, over: Outcome, report: Report, seconds: float | None, skipped: bool = False
    ) -> Outcome:
        return over.ended(
            0,
            seconds=seconds,
            summary=summarise(report),
            warnings=tuple(self._redact(warning) for warning in report.warnings),
            skipped=skipped,
        )

    def _read(self) -> None:
        """Look whether there is anything to do; gather the input's files, choose the series, and
        read the volume.
        """
        from mmccd.io import read_nifti, read_volume
        from mmccd.jobs.record import is_begun
        from mmccd.outputs import check_output, check_there_is_an_output

        task, settings = self.task, self.task.settings
        self._clock.begin(Stage.READ)
        self._path = self._open.enter_context(view_of(task.input))
        if task.resume and self._find_complete():
            return
        self._replace = settings.force or (task.resume and is_begun(task.output))
        check_output(task.output, self._replace)
        if task.private or self._path != task.input.path:
            self._redact = self._redact.also(self._path, task.shown)
        self._select()
        self._volume = read_volume(self._path, "flair", self._series, settings.study)
        check_size(self._volume.data.size, settings.max_voxels)
        check_there_is_an_output(self._volume, settings.output_choice, self._path)
        if task.input.brain is not None:
            self._mask = read_nifti(task.input.brain, "mask").with_axes_of(self._volume)
        self._phases.lap("read")

    def _find_complete(self) -> bool:
        from mmccd.core import Report
        from mmccd.jobs.record import is_complete
        from mmccd.outputs import MARKER

        task = self.task
        if not task.input.path.exists():
            return False
        if is_complete(task.output, self._request(self._make_pipeline()), task.settings.force):
            self._made_before = Report.model_validate_json((task.output / MARKER).read_text())
        return self._made_before is not None

    def _select(self) -> None:
        rule, largest = self.task.settings.series, self.task.settings.max_voxels
        if self.task.input.kind != DICOM or (
            self._path != self.task.input.path and self._path.is_file()
        ):
            check_size(nifti_voxels(self._path) if largest else 0, largest)
        elif self._series is None and (rule != "auto" or largest):
            visit = self.task.settings.study
            self._series = select_series(self._path, rule, largest, visit)

    def _judge(self) -> None:
        """Find the brain, check the image, and score it."""
        from mmccd.jobs.record import KEY
        from mmccd.outputs import staged_output
        from mmccd.quality import begin_templates

        if self._volume is None:
            raise RuntimeError("no volume")
        self._clock.begin(Stage.BRAIN)
        begin_templates()
        pipeline = self._make_pipeline()
        made_of = self._request(pipeline)
        # Before the long work, so that an output that cannot be written is told at once.
        self._staging = self._open.enter_context(staged_output(self.task.output, self._replace))
        self._phases.lap("load")
        result = pipeline.run(
            self._volume, self._mask, self._console.progress, stage=self._begin_once
        )
        report = self._completed(self._said(result.report), {KEY: made_of})
        self.result = replace(result, report=report)

    def _completed(self, report: Report, more: dict[str, Any]) -> Report:
        """The report with more entries, and with the seconds of what came before the pipeline."""
        inner = report.timings_s
        before = {name: round(value, 3) for name, value in self._phases.seconds.items()}
        self._phases.skip(inner)
        return report.model_copy(update={"timings_s": {**before, **inner}, **more})

    def _say(self, text: str) -> str:
        """A message as whoever started the task gives settings: a private task is of a program that
        takes variables.
        """
        return in_variables(text) if self.task.private else text

    def _said(self, report: Report) -> Report:
        texts = {
            "warnings": tuple(map(self._say, report.warnings)),
            "findings": tuple(
                replace(finding, text=self._say(finding.text)) for finding in report.findings
            ),
        }
        return self._named(report.model_copy(update=texts))

    def _named(self, report: Report) -> Report:
        """With the input's name, unless that is hidden. Of a private task a file has none; the
        description of a DICOM series has no word of the patient's name.
        """
        hidden = self.task.private and report.input.format != "DICOM"
        return report.without_names() if hidden or self.task.settings.hide_input else report

    def _write(self) -> None:
        """Write the results, all or nothing."""
        from mmccd.outputs import write_outputs

        if self.result is None:
            raise RuntimeError("no result")
        self._clock.begin(Stage.WRITE)
        self.result = write_outputs(self.result, self._staging, self.task.settings.output_choice)
        self._open.close()
        self._clock.stop()
        self._phases.lap("write")

    def _begin_once(self, stage: str) -> None:
        """The pipeline begins with the brain, for which the models were loaded."""
        if stage != self._clock.stage:
            self._clock.begin(stage)

    def _request(self, pipeline: AnomalyPipeline) -> dict[str, Any]:
        from mmccd.jobs.record import request

        # Of an archive the file itself: what was unpacked is new each time.
        path = self.task.input.path if not self.task.input.files else self._path
        return request(pipeline, path, self.task.input.brain, self._series)


_STEPS: dict[str, Callable[[Work], None]] = {
    "read": Work._read,
    "judge": Work._judge,
    "write": Work._write,
}
STEPS = tuple(_STEPS)
"""What :meth:`Work.step` takes: read; judge, which is the stages brain, check and score; write."""


def run_task(
    task: Task, make_pipeline: Callable[[], AnomalyPipeline], console: Console | None = None
) -> Outcome:
    """Run one task, unless its results are there already and it may resume.

    Args:
        task: what to do.
        make_pipeline: called once the input is read.
        console: told of the stages ``read``, ``brain`` (which includes loading the models),
            ``check``, ``score`` and ``write``, and how far scoring is.

    Raises:
        CancelledError: the run was ended from outside; nothing half-written is left.
    """
    return Work(task, make_pipeline, console).run().outcome()


def predict_file(
    make_pipeline: Callable[[], AnomalyPipeline],
    path: str | Path,
    output: str | Path,
    brain_mask: str | Path | None = None,
    force: bool = False,
    console: Console | None = None,
    series: str | None = None,
    study: str = "auto",
    clock: PhaseClock | None = None,
    settings: Settings | None = None,
) -> Result:
    """Run the pipeline over one NIfTI file or one DICOM study and write the output folder.

    Args:
        make_pipeline: called after input and output were checked, because loading the models takes
            longest.
        path: a FLAIR volume, see :func:`~mmccd.io.read.read_volume`.
        output: output folder, see :func:`~mmccd.outputs.folder.staged_output`.
        brain_mask: NIfTI mask on the volume's grid; its axes may be in another order, as those of a
            converted DICOM series are.
        force: replace the results of an earlier run.
        console: told as by :func:`run_task`.
        series: series instance UID of the DICOM series to take.
        study: which study of a DICOM folder, see the setting.
        clock: gets the seconds of :data:`~mmccd.core.PHASES`.
        settings: say what is written (``outputs``, ``dicom_objects``, ``dicom_segments``).

    Returns:
        The result; its report has, under ``request``, what it was made of
        (:mod:`mmccd.jobs.record`).

    Raises:
        MmccdError: whatever makes the run fail; nothing is left behind.
    """
    path = Path(path)
    kind = DICOM if path.is_dir() else NIFTI
    one = Input(path, stem(path), kind, Path(brain_mask) if brain_mask is not None else None)
    own = {"force": force, "max_voxels": 0, "study": study, "series": "auto"}
    task = Task(1, one, Path(output), one.name, (settings or Settings()).model_copy(update=own))
    work = Work(task, make_pipeline, console, series, clock).run()
    if work.error is not None:
        raise work.error
    if work.result is None:
        raise RuntimeError("not all steps were taken")
    return work.result
