"""Tasks spread over processes of this machine, or over the machines of a running Dask scheduler."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mmccd
from mmccd.core import (
    MmccdError,
    ModelError,
    ResourceError,
    Settings,
    UsageError,
    error_class,
    first_line,
)
from mmccd.jobs.outcome import OUT_OF_MEMORY, Outcome, waiting
from mmccd.jobs.pipelines import Pipelines
from mmccd.jobs.run import Changes, Runner
from mmccd.jobs.run_task import run_task
from mmccd.jobs.task import Task
from mmccd.outputs import remove_unfinished

if TYPE_CHECKING:
    from distributed import Client, Future

    from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)

RETRIES = 1
"""How often a case is tried again whose worker was killed."""
CONNECT_S = 20


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        count: processes of this machine, where there is no scheduler.
        scheduler: address of a running Dask scheduler, or its scheduler file.
        threads: of each worker; None: the cores of a machine divided by its workers.
    """

    count: int = 1
    scheduler: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Order:
    """What every worker is told.

    Attributes:
        threads: of the worker; None: the cores that it may use divided by ``neighbours``.
        neighbours: workers on each machine, by address of the machine.
        local: whether workers are numbered processes of one machine, which share its GPUs.
        version: of the program that gave the order.
        weights: their hashes there, by name.
    """

    threads: int | None
    neighbours: dict[str, int]
    local: bool
    version: str
    weights: dict[str, str]


@dataclass(frozen=True)
class _Stopped:
    """A worker that cannot take part: its exit code and why."""

    exit_code: int
    error: str


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
        weights, local = _weights(tasks[0].settings), workers.scheduler is None
        with _client(workers, len(tasks)) as client:
            order = Order(workers.threads, _neighbours(client), local, mmccd.__version__, weights)
            try:
                yield from _spread(client, tasks, order)
            finally:
                if local:
                    client.cluster.close()
                    for task in tasks:
                        remove_unfinished(task.output)

    return run


def worker_device(name: str, worker: int, count: int) -> str:
    """The device of a numbered worker: with ``auto`` or ``cuda`` and several GPUs, worker i takes
    ``cuda:i``, again from the first where they run out.
    """
    return f"cuda:{worker % count}" if name in ("auto", "cuda") and count > 1 else name


def _spread(client: Client, tasks: Sequence[Task], order: Order) -> Iterator[Outcome]:
    """As many cases at a time as there are workers' threads, so that a worker that dies takes no
    waiting case with it.
    """
    from distributed import as_completed

    left = list(reversed(tasks))
    running: dict[Future, Task] = {}
    ended = as_completed()

    def submit() -> None:
        free = max(1, sum(client.nthreads().values())) - len(running)
        for _ in range(min(free, len(left))):
            task = left.pop()
            future = client.submit(_work, task, order, pure=False)
            running[future] = task
            ended.add(future)

    submit()
    while running:
        future = next(ended)
        task = running.pop(future)
        yield _outcome(future, task)
        submit()


def _outcome(future: Future, task: Task) -> Outcome:
    from distributed import KilledWorker

    try:
        result = future.result()
    except KilledWorker:
        remove_unfinished(task.output)
        text = (
            f"{task.shown}: its worker was killed, probably for want of memory; give it more, or"
            " take fewer workers"
        )
        return waiting(task).ended(ResourceError.exit_code, text, OUT_OF_MEMORY)
    except Exception as error:
        if future.cancelled() or future.status in ("cancelled", "lost"):
            raise ResourceError(
                "the connection to the scheduler was lost; start it again, then the same command"
            ) from error
        raise UsageError(
            f"a worker cannot run mmccd ({type(error).__name__}: {first_line(error)}); install the"
            " same version on every machine"
        ) from error
    if isinstance(result, _Stopped):
        raise error_class(result.exit_code)(result.error)
    assert isinstance(result, Outcome)
    return result


_PIPELINES = Pipelines()
_ONE_AT_A_TIME = threading.Lock()


def _work(task: Task, order: Order) -> Outcome | _Stopped:
    """In the worker: one task. A worker that has several threads still takes one task at a time."""
    import torch
    from distributed import get_worker

    from mmccd.models import usable_cores

    worker = get_worker()
    with _ONE_AT_A_TIME:
        neighbours = order.neighbours.get(_machine(worker.address), 1)
        # The number of threads belongs to the calling thread.
        torch.set_num_threads(order.threads or max(1, usable_cores() // neighbours))
        try:
            pipeline = _pipeline(order, task.settings, str(worker.name))
        except MmccdError as error:
            return _Stopped(error.exit_code, str(error))
        return run_task(task, lambda: pipeline)


def _pipeline(order: Order, settings: Settings, name: str) -> AnomalyPipeline:
    import torch

    if mmccd.__version__ != order.version:
        raise UsageError(
            f"worker {name}: has mmccd {mmccd.__version__}, expected {order.version}; install the"
            " same version everywhere"
        )
    if order.local and name.isdigit():
        device = worker_device(settings.device, int(name), torch.cuda.device_count())
        settings = settings.model_copy(update={"device": device})
    pipeline = _PIPELINES.get(settings)
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


@contextmanager
def _client(workers: Workers, cases: int) -> Iterator[Client]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError(
            f"several workers need Dask ({first_line(error)}); install it: pip install"
            " 'mmccd[cohort]'"
        ) from error
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if workers.scheduler is not None:
        with _remote(workers.scheduler) as client:
            yield client
        return
    count = min(workers.count, cases)
    with (
        tempfile.TemporaryDirectory(prefix="mmccd_") as scratch,
        dask.config.set(_configuration(count, workers.threads)),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # Whoever reaches a scheduler can run programs as its user; on a shared machine that is
            # everybody, unless there are keys.
            protocol="tls://",
            security=distributed.Security.temporary(),
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            local_directory=scratch,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _configuration(count: int, threads: int | None) -> dict[str, Any]:
    """Dask's, for workers on this machine."""
    from mmccd.models import usable_cores

    each = str(threads or max(1, usable_cores() // count))
    return {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.scheduler.worker-ttl": None,  # a process that is busy for long is no dead one
        "distributed.comm.timeouts.connect": "120s",
        "distributed.nanny.pre-spawn-environ": {
            f"{name}_NUM_THREADS": each for name in ("OMP", "MKL", "OPENBLAS")
        },
    }


@contextmanager
def _remote(scheduler: str) -> Iterator[Client]:
    from distributed import Client

    given = {"scheduler_file": scheduler} if os.path.isfile(scheduler) else {"address": scheduler}  # noqa: PTH113
    try:
        client = Client(**given, timeout=CONNECT_S)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise UsageError(
            f"--scheduler {scheduler}: no Dask scheduler answers ({first_line(error)}); expected"
            " tcp://HOST:PORT or a scheduler file; start one"
        ) from error
    with client:
        if not client.nthreads():
            logger.info("the scheduler has no worker yet; waiting for the first")
            client.wait_for_workers(1)
        yield client


def _neighbours(client: Client) -> dict[str, int]:
    machines = [_machine(address) for address in client.nthreads()]
    return {machine: machines.count(machine) for machine in machines}


def _machine(address: str) -> str:
    """The host of a worker's address."""
    return address.rpartition("://")[2].rpartition(":")[0]
