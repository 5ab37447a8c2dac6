"""The workers of Dask: processes of this machine, or a scheduler that runs elsewhere."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import mmccd
from mmccd.core import MmccdError, ResourceError, UsageError, error_class, first_line
from mmccd.jobs.runners import interrupts

if TYPE_CHECKING:
    from distributed import Client, Future
    from tornado.ioloop import IOLoop

    from mmccd.core import Settings

Item = TypeVar("Item")
_ONE_AT_A_TIME = threading.Lock()

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

    @classmethod
    def of(cls, settings: Settings) -> Workers:
        """Those that the settings name."""
        return cls(settings.workers, settings.scheduler, settings.threads)

    @property
    def is_local(self) -> bool:
        """Whether they are numbered processes of this machine, which share its GPUs."""
        return self.scheduler is None

    @property
    def is_one(self) -> bool:
        """Whether there is nobody to share with."""
        return self.is_local and self.count == 1


ALONE = Workers()
"""Nobody to share with."""


@dataclass(frozen=True)
class Terms:
    """What every worker is told.

    Attributes:
        threads: of the worker; None: the cores that it may use divided by ``neighbours``.
        neighbours: workers on each machine, by address of the machine.
        is_local: see :class:`Workers`.
        version: of the program that gives the work.
    """

    threads: int | None
    neighbours: dict[str, int]
    is_local: bool
    version: str

    @classmethod
    def of(cls, workers: Workers, client: Client) -> Terms:
        """Those of workers that are connected."""
        machines = [_machine(address) for address in client.nthreads()]
        neighbours = {machine: machines.count(machine) for machine in machines}
        return cls(workers.threads, neighbours, workers.is_local, mmccd.__version__)

    @contextmanager
    def at_work(self) -> Iterator[str]:
        """In a worker: one piece of work, with as many threads as the worker is entitled to; its
        name. A worker that has several threads still takes one piece at a time.
        """
        import torch
        from distributed import get_worker

        from mmccd.models import usable_cores

        worker = get_worker()
        neighbours = self.neighbours.get(_machine(worker.address), 1)
        with _ONE_AT_A_TIME:
            # The number of threads belongs to the calling thread.
            torch.set_num_threads(self.threads or max(1, usable_cores() // neighbours))
            yield str(worker.name)

    def check_version(self, name: str) -> None:
        """In a worker: raise UsageError where it has another version."""
        if mmccd.__version__ != self.version:
            raise UsageError(
                f"worker {name}: has mmccd {mmccd.__version__}, expected {self.version}; install"
                " the same version everywhere"
            )

    def device(self, name: str, device: str) -> str:
        """In a worker of that name: the device that it takes."""
        import torch

        if self.is_local and name.isdigit():
            return worker_device(device, int(name), torch.cuda.device_count())
        return device


def worker_device(name: str, worker: int, count: int) -> str:
    """The device of a numbered worker: with ``auto`` or ``cuda`` and several GPUs, worker i takes
    ``cuda:i``, again from the first where they run out.
    """
    return f"cuda:{worker % count}" if name in ("auto", "cuda") and count > 1 else name


@dataclass(frozen=True)
class Stopped:
    """What a worker gives that cannot take part: its exit code and why."""

    exit_code: int
    error: str

    @classmethod
    def by(cls, error: MmccdError) -> Stopped:
        """The same in a form that goes from one process to the other."""
        return cls(error.exit_code, str(error))


class KilledError(ResourceError):
    """A worker was killed while it was busy, as often as it may be tried."""


def spread(
    client: Client, items: Sequence[Item], submit: Callable[[Item], Future]
) -> Iterator[tuple[Future, Item]]:
    """As many items at a time as there are workers' threads, so that a worker that dies takes no
    waiting one with it; each with its future as it ends.
    """
    from distributed import as_completed

    left = list(reversed(items))
    running: dict[Future, Item] = {}
    ended = as_completed()

    def fill() -> None:
        free = max(1, sum(client.nthreads().values())) - len(running)
        for _ in range(min(free, len(left))):
            item = left.pop()
            future = submit(item)
            running[future] = item
            ended.add(future)

    fill()
    while running:
        future = next(ended)
        yield future, running.pop(future)
        fill()


def result_of(future: Future, shown: str) -> Any:
    """What a worker gave.

    Args:
        future: that has ended.
        shown: what it was about, for messages.

    Raises:
        KilledError: its worker was killed.
        ResourceError: the connection was lost.
        UsageError: the worker cannot run mmccd.
        MmccdError: the worker has stopped; with its exit code and message.
    """
    from distributed import KilledWorker

    try:
        result = future.result()
    except KilledWorker:
        raise KilledError(
            f"{shown}: its worker was killed, probably for want of memory; give it more, or take"
            " fewer workers"
        ) from None
    except Exception as error:
        if future.cancelled() or future.status in ("cancelled", "lost"):
            raise ResourceError(
                "the connection to the scheduler was lost; start it again, then the same command"
            ) from error
        raise UsageError(
            f"a worker cannot run mmccd ({type(error).__name__}: {first_line(error)}); install the"
            " same version on every machine"
        ) from error
    if isinstance(result, Stopped):
        raise error_class(result.exit_code)(result.error)
    return result


@contextmanager
def connected(workers: Workers, cases: int) -> Iterator[Client]:
    """A client of the workers, of local ones as many as there are cases at the most; local ones end
    with the block.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers.
    """
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
        _loop() as loop,
        distributed.LocalCluster(
            loop=loop,
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # Whoever reaches a scheduler can run programs as its user; on a shared machine that is
            # everybody, unless there are keys.
            protocol="tls://",
            security=distributed.Security.temporary(),
            memory_limit=0,
            # Its page cannot be left out; a port of its own, for this machine alone.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=scratch,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def _loop() -> Iterator[IOLoop]:
    """The loop, in a thread of its own, that starts the workers."""
    from distributed.utils import LoopRunner

    runner = LoopRunner()
    with interrupts.out_of_reach():
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


def _configuration(count: int, threads: int | None) -> dict[str, Any]:
    """Dask's, for workers on this machine."""
    from mmccd.models import usable_cores

    each = str(threads or max(1, usable_cores() // count))
    return {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.worker.preload": [interrupts.__name__],
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


def _machine(address: str) -> str:
    """The host of a worker's address."""
    return address.rpartition("://")[2].rpartition(":")[0]
