"""Where a run's figures and pictures go: TensorBoard's files, or MLflow's store."""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ignite.engine import Engine
from numpy.typing import NDArray

from mmccd.core import UsageError

NONE, TENSORBOARD, MLFLOW, BOTH = "none", "tensorboard", "mlflow", "both"
TRACKING = (NONE, TENSORBOARD, MLFLOW, BOTH)
"""Values of the switch ``track`` (``tracking`` is a word of MONAI's own command line)."""
EXPERIMENT = "mmccd"
_EXTRAS = {TENSORBOARD: "train", MLFLOW: "track"}


class Sink(Protocol):
    """Takes figures and pictures of one run; nothing is made before it is opened."""

    def open(self, trainer: Engine) -> None:
        """The run starts, or goes on."""

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """Finite figures at an iteration."""

    def picture(self, name: str, image: NDArray[np.uint8], step: int) -> None:
        """Grey values ``(height, width)`` at an iteration."""

    def close(self) -> None:
        """The run is over."""


def make_sinks(track: str, folder: Path) -> list[Sink]:
    """The sinks of a value of ``track``.

    Args:
        track: one of :data:`TRACKING`.
        folder: of the run.

    Raises:
        UsageError: another value, or a package that is not installed.
    """
    kinds: dict[str, Callable[[Path], Sink]] = {TENSORBOARD: TensorBoardSink, MLFLOW: MLflowSink}
    return [kinds[name](folder) for name in tracking_packages(track)]


def tracking_packages(track: str) -> list[str]:
    """The packages that a value of ``track`` needs, all of them installed.

    Raises:
        UsageError: another value, or a package that is not installed.
    """
    if track not in TRACKING:
        raise UsageError(f"track {track!r} is unknown; expected one of {', '.join(TRACKING)}")
    wanted = [name for name in _EXTRAS if track in (name, BOTH)]
    for package in wanted:
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f"track {package}: the package {package} is not installed; install it: pip"
                f" install 'mmccd[{_EXTRAS[package]}]', or take track {NONE}"
            )
    return wanted


class TensorBoardSink:
    """TensorBoard's files.

    Args:
        folder: gets them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def open(self, trainer: Engine) -> None:
        """See :class:`Sink`; what an ended run wrote behind the iteration that is gone on from is
        hidden by TensorBoard.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder), purge_step=trainer.state.iteration + 1)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Sink`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, image: NDArray[np.uint8], step: int) -> None:
        """See :class:`Sink`."""
        self._writer.add_image(name, image, step, dataformats="HW")
        self._writer.flush()

    def close(self) -> None:
        """See :class:`Sink`."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class MLflowSink:
    """MLflow's store: a database and a folder in the run's folder, without a server, or what the
    variable ``MLFLOW_TRACKING_URI`` names. MONAI's handler keeps the run: one that was ended goes
    on in the same one.

    Args:
        folder: gets ``mlruns.db`` and ``mlruns``; the run has its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._handler: Any = None

    def open(self, trainer: Engine) -> None:
        """See :class:`Sink`."""
        from monai.handlers import MLFlowHandler

        _without_telemetry()
        self._handler = MLFlowHandler(
            tracking_uri=f"sqlite:///{self.folder / 'mlruns.db'}",
            iteration_log=False,
            epoch_log=False,
            experiment_name=EXPERIMENT,
            run_name=self.folder.name,
        )
        self._handler.start(trainer)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Sink`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self._handler.client.log_batch(self._run, metrics=metrics)

    def picture(self, name: str, image: NDArray[np.uint8], step: int) -> None:
        """See :class:`Sink`."""
        self._handler.client.log_image(self._run, image, key=name, step=step)

    def close(self) -> None:
        """See :class:`Sink`."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None

    @property
    def _run(self) -> str:
        return str(self._handler.cur_run.info.run_id)


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Those of some figures that are numbers."""
    found = {name: float(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _without_telemetry() -> None:
    """MLflow tells its makers how it is used, from its import on, unless a variable says no.
    Nothing about a training leaves the machine here.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.telemetry import set_telemetry_client

    set_telemetry_client()
