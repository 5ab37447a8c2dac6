"""How the working process runs a task: as a graph of Holoscan operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmccd.apps.map.runtime import load_cuda_runtime
from mmccd.core import Console, UsageError, first_line
from mmccd.jobs import Outcome, Task, Work, is_out_of_memory, kept_logging

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline

HOW = f"{__name__}:run_as_graph"


def run_as_graph(
    task: Task, make_pipeline: Callable[[], AnomalyPipeline], console: Console
) -> Outcome:
    """As :func:`~mmccd.jobs.run_task.run_task`, each step by an operator of its own.

    Raises:
        UsageError: the SDK cannot be loaded.
    """
    load_cuda_runtime()
    try:
        from mmccd.apps.map.operators import AnomalyApplication
    except ImportError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise UsageError(
            f"the MONAI Deploy App SDK cannot be loaded ({first_line(error)}); install it: pip"
            " install 'mmccd[deploy]'"
        ) from error
    with kept_logging():  # the SDK puts its own in place
        application = AnomalyApplication(Work(task, make_pipeline, console))
    application.run()
    if application.outcome is None:
        raise RuntimeError("the graph ended before its last operator")
    return application.outcome
