"""The prediction of one study, in a working process of the service that stays with its models."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Mapping
from pathlib import Path

from mmccd.apps.pacs.settings import PREFIX
from mmccd.core import ONLY_DICOM, ModelError, Settings, error_class
from mmccd.jobs import (
    DICOM,
    Account,
    Input,
    Limits,
    Outcome,
    Supervised,
    Task,
    Worker,
    log_change,
    run_tasks,
)

APP_YAML = "app.yaml"


class Application:
    """Runs one study after the other in a working process.

    Args:
        settings: of the prediction.
        environment: variables, of which the working process gets its own (:func:`own_variables`).
        held: file descriptors that the working process keeps open for its life.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], held: tuple[int, ...] = ()
    ) -> None:
        # Each output folder is new, and nothing but the objects leaves it.
        self._settings = settings.model_copy(update={"force": False, "outputs": ONLY_DICOM})
        worker = Worker(
            log_format=settings.log_format,
            log_level=settings.log_level,
            environment=own_variables(environment),
            held=held,
        )
        self._run = Supervised(worker, Limits(settings.timeout_s))

    def __call__(self, name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        """Run the prediction on a folder to its end.

        Args:
            name: of the study.
            source: folder with one DICOM study.
            output: folder for the results.
            beat: called now and then.

        Raises:
            MmccdError: it failed; with its exit code and its message.
        """

        def watch(account: Account, change: Outcome | None) -> None:
            log_change(account, change)
            beat()

        one = Input(source, name, DICOM)
        account = Account([Task(1, one, output, name, self._settings, private=True)])
        run_tasks(account, self._run, watch)
        (outcome,) = account.outcomes.values()
        if outcome.exit_code == ModelError.exit_code:
            self.close()  # models that are put right are looked for in a new process
        if outcome.exit_code:
            raise error_class(outcome.exit_code)(outcome.error or "no reason was given")

    def close(self) -> None:
        """End the working process."""
        self._run.close()


class Applications:
    """Several working processes, for as many studies at a time. They share the machine: each has
    its part of the cores, and where there are several GPUs, one of its own.

    Args:
        count: of them.
        settings: of the prediction.
        environment: see :class:`Application`.
        held: see :class:`Application`.
    """

    def __init__(
        self,
        count: int,
        settings: Settings,
        environment: Mapping[str, str],
        held: tuple[int, ...] = (),
    ) -> None:
        shares = _shares(count, settings)
        variables = {**_threads(count), **environment}
        self._all = [Application(one, variables, held) for one in shares]
        self._free: queue.SimpleQueue[Application] = queue.SimpleQueue()
        for one in self._all:
            self._free.put(one)

    def __call__(self, name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        """As :meth:`Application.__call__`, by one that is free."""
        one = self._free.get()
        try:
            one(name, source, output, beat)
        finally:
            self._free.put(one)

    def close(self) -> None:
        """End all working processes."""
        for one in self._all:
            one.close()


def _shares(count: int, settings: Settings) -> list[Settings]:
    """The settings of each working process."""
    if count == 1 or settings.device not in ("auto", "cuda"):
        return [settings] * count
    import torch

    devices = torch.cuda.device_count()
    if devices < 2:
        return [settings] * count
    names = [f"cuda:{number % devices}" for number in range(count)]
    return [settings.model_copy(update={"device": name}) for name in names]


def _threads(count: int) -> dict[str, str]:
    """How many threads each may use, where nothing else is said."""
    if count == 1:
        return {}
    each = (
        str(max(1, len(os.sched_getaffinity(0)) // count))
        if hasattr(os, "sched_getaffinity")
        else "1"
    )
    return {f"{name}_NUM_THREADS": each for name in ("OMP", "MKL", "OPENBLAS")}


def own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What the prediction may know: not where the archive is, and no credentials."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def settings_file(environment: Mapping[str, str]) -> Path | None:
    """The application's settings that hold for the service, too: the file that is mounted
    (HOLOSCAN_CONFIG_PATH), else the one beside the application (HOLOSCAN_APPLICATION); None where
    neither is there.
    """
    mounted = environment.get("HOLOSCAN_CONFIG_PATH")
    beside = environment.get("HOLOSCAN_APPLICATION")
    places = [Path(mounted)] if mounted else []
    places += [Path(beside) / APP_YAML] if beside else []
    return next((place for place in places if place.is_file()), None)
