"""The maps of an evaluation of several data sets, shared among workers."""

from __future__ import annotations

from pathlib import Path

from mmccd.evaluation import SetsPlan, make_maps, map_jobs
from mmccd.jobs.runners.calls import spread_calls
from mmccd.jobs.runners.cluster import Workers
from mmccd.methods import Progress


def make_maps_ahead(
    plan: SetsPlan, output: Path, workers: Workers, progress: Progress | None = None
) -> None:
    """Fill ``output`` with the maps that :func:`~mmccd.evaluation.evaluate_sets` looks for there, a
    case at a time in each worker; those that are there stay. With one worker nothing is done: the
    evaluation makes them itself.

    Args:
        plan: what will be evaluated.
        output: folder of the evaluation, which every worker reaches under the same path, like data
            and bundles.
        workers: who makes them.
        progress: called with (cases done, cases in all).

    Raises:
        UsageError, ResourceError: the workers cannot be used, or one was killed on a case.
        MmccdError: a case cannot be read, a map cannot be written.
    """
    if workers.is_one:
        return
    jobs = map_jobs(plan, output)
    made = spread_calls(make_maps, jobs, lambda job: job.case.name, plan.setup.device, workers)
    for number, _ in enumerate(made, 1):
        if progress is not None:
            progress(number, len(jobs))
