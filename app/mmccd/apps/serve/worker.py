"""How the working process runs a scan: as ``mmccd predict`` does, and then it writes what the page
shows.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmccd.apps.serve.store import CHOICES, VIEW
from mmccd.core import Console, MmccdError, OutputError, write_json
from mmccd.jobs import Outcome, Task, Work, series_to_choose

logger = logging.getLogger(__name__)
_UNCLEAR = (
    *("dicom.several_studies", "dicom.several_series", "dicom.no_series"),
    *("dicom.contrast_not_said", "dicom.not_flair", "dicom.derived", "dicom.not_magnitude"),
)
"""Errors and findings after which somebody may want to choose the series."""

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline


def run_for_the_page(
    task: Task, make_pipeline: Callable[[], AnomalyPipeline], console: Console
) -> Outcome:
    """As :func:`~mmccd.jobs.run_task`, with the viewer's files in the folder ``view`` beside the
    results, and a file of the series that can be chosen where it is not clear which one is meant.
    """
    work = Work(task, make_pipeline, console).run()
    _offer_series(work)
    if work.error is None and work.result is not None:
        from mmccd.outputs import write_viewer

        folder = task.output.parent / VIEW
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_viewer(work.result, folder)
        except OSError as error:
            work.error = OutputError(
                f"the results cannot be written ({error.strerror or error}); free some space, or"
                " give another --folder",
                code="output.not_writable",
            )
    return work.outcome()


def _offer_series(work: Work) -> None:
    """Write the series of the input, where that may help; what cannot be listed is not offered."""
    if work.result is not None:
        codes = {finding.code for finding in work.result.report.findings}
    else:
        codes = {str(getattr(work.error, "code", ""))}
    if codes.isdisjoint(_UNCLEAR):
        return
    try:
        found = [one.as_dict() for one in series_to_choose(work.task.input)]
        write_json(work.task.output.parent / CHOICES, found)
    except (MmccdError, OSError) as error:
        logger.warning("the series cannot be listed (%s)", type(error).__name__)
