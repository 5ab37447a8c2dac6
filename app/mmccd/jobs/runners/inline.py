"""One task after the other, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mmccd.jobs.outcome import waiting
from mmccd.jobs.pipelines import MakePipeline, Pipelines, make_pipeline
from mmccd.jobs.run import Changes, Runner
from mmccd.jobs.run_task import run_task
from mmccd.jobs.states import State
from mmccd.jobs.task import Task


def inline(make: MakePipeline = make_pipeline) -> Runner:
    """One task after the other; the models are loaded once, before the first, so that models which
    cannot be loaded end the run at once.

    Args:
        make: builds the pipeline of the tasks' settings.
    """

    def run(tasks: Sequence[Task]) -> Changes:
        pipelines = Pipelines(make)
        for task in tasks[:1]:
            pipelines.get(task.settings)
        for task in tasks:
            yield replace(waiting(task), state=State.RUNNING)
            yield run_task(task, partial(pipelines.get, task.settings))

    return run
