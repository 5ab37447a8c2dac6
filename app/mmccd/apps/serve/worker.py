"""How the working process runs a scan: as ``mmccd predict`` does, and then it writes what the page
shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmccd.apps.serve.store import VIEW
from mmccd.core import Console, OutputError
from mmccd.jobs import Outcome, Task, Work

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline


def run_for_the_page(
    task: Task, make_pipeline: Callable[[], AnomalyPipeline], console: Console
) -> Outcome:
    """As :func:`~mmccd.jobs.run_task`, with the viewer's files in the folder ``view`` beside the
    results.
    """
    work = Work(task, make_pipeline, console).run()
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
