"""Tasks spread over processes of this machine, or over the machines of a running Dask scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmccd.core import MmccdError, ModelError, ResourceError, Settings
from mmccd.jobs.outcome import OUT_OF_MEMORY, Outcome, waiting
from mmccd.jobs.pipelines import Pipelines
from mmccd.jobs.run import Changes, Runner
from mmccd.jobs.run_task import run_task
from mmccd.jobs.runners.cluster import (
    KilledError,
    Stopped,
    Terms,
    Workers,
    connected,
    result_of,
    spread,
)
from mmccd.jobs.task import Task
from mmccd.outputs import remove_unfinished

if TYPE_CHECKING:
    from distributed import Future

    from mmccd.pipeline import AnomalyPipeline


@dataclass(frozen=True)
class Order:
    """What every worker is told.

    Attributes:
        terms: on which it works.
        weights: hashes of those of who gave the order, by name.
    """

    terms: Terms
    weights: dict[str, str]


def by_workers(workers: Workers) -> Runner:
    """Runs tasks through Dask; each worker loads the models once, and takes one task at a time.

    A task whose worker is killed is tried once more (by a scheduler that was started elsewhere: as
    often as that allows), then it has failed with exit code 7.

    Raises:
        UsageError: Dask is not installed, no scheduler answers, or a worker has another version of
            mmccd.
        ModelError: a worker's models are damaged, or others than here.
    """

    def run(tasks: Sequence[Task]) -> Changes:
        weights = _weights(tasks[0].settings)
        with connected(workers, len(tasks)) as client:
            order = Order(Terms.of(workers, client), weights)

            def submit(task: Task) -> Future:
                return client.submit(_work, task, order, pure=False)

            try:
                for future, task in spread(client, tasks, submit):
                    yield _outcome(future, task)
            finally:
                if workers.is_local:
                    client.cluster.close()
                    for task in tasks:
                        remove_unfinished(task.output)

    return run


def _outcome(future: Future, task: Task) -> Outcome:
    try:
        result = result_of(future, task.shown)
    except KilledError as error:
        remove_unfinished(task.output)
        return waiting(task).ended(ResourceError.exit_code, str(error), OUT_OF_MEMORY)
    assert isinstance(result, Outcome)
    return result


_PIPELINES = Pipelines()


def _work(task: Task, order: Order) -> Outcome | Stopped:
    """In the worker: one task."""
    with order.terms.at_work() as name:
        try:
            pipeline = _pipeline(order, task.settings, name)
        except MmccdError as error:
            return Stopped.by(error)
        return run_task(task, lambda: pipeline)


def _pipeline(order: Order, settings: Settings, name: str) -> AnomalyPipeline:
    order.terms.check_version(name)
    device = order.terms.device(name, settings.device)
    pipeline = _PIPELINES.get(settings.model_copy(update={"device": device}))
    if pipeline.models.hashes != order.weights:
        raise ModelError(
            f"worker {name}: has other weights than this machine; expected the same bundles"
            " everywhere; give --bundles"
        )
    return pipeline


def _weights(settings: Settings) -> dict[str, str]:
    from mmccd.bundle import find_bundles, load_models

    root = find_bundles(settings.bundles)
    return load_models(root, settings.target, preset=settings.preset).hashes
