"""Checkpoints of a training run: the last one to go on from, the best one to use."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn

from mmccd.core import InputError, first_line, make_folder, replacing
from mmccd.io import load_tensors

WAY_OUT = "choose another output_dir or free some space"

logger = logging.getLogger(__name__)


class Resume:
    """Checkpoint after each epoch, and start from the last one that is there.

    The file holds everything that an epoch ends with: network, averaged network, optimiser,
    schedule and the trainer's counters; it is replaced in one step, so that a run killed while
    writing keeps the one before.

    Args:
        path: checkpoint file.
        objects: what to store and load, name to object with ``state_dict``; the trainer is added.
        enabled: whether an existing checkpoint is loaded (``False`` starts anew and overwrites it).
    """

    def __init__(self, path: str | Path, objects: dict[str, Any], enabled: bool = True) -> None:
        self.path = Path(path)
        self.objects = objects
        self.enabled = enabled

    def attach(self, engine: Engine) -> None:
        """Load before the run, save after each epoch (after the handlers that were attached
        before).
        """
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def load(self, engine: Engine) -> None:
        """Load the checkpoint where there is one.

        Raises:
            InputError: the file is damaged or belongs to another network.
        """
        if not (self.enabled and self.path.is_file()):
            return
        content = load_tensors(self.path)
        try:
            for name, item in self.objects.items():
                _bare(item).load_state_dict(content[name])
            epoch, iteration = int(content["epoch"]), int(content["iteration"])
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}: does not fit to this training ({first_line(error)}); remove it or"
                " choose another output_dir"
            ) from error
        engine.state.epoch = epoch
        engine.state.iteration = iteration
        logger.info("resumed %s after epoch %d", self.path, engine.state.epoch)

    def save(self, engine: Engine) -> None:
        """Replace the checkpoint (the first process of a distributed run does)."""
        if dist.is_initialized() and dist.get_rank() != 0:
            return
        content: dict[str, Any] = {
            name: _bare(item).state_dict() for name, item in self.objects.items()
        }
        content |= {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        save_atomically(content, self.path)


def _bare(item: Any) -> Any:
    """A network without its distributed wrapper, so that one process can go on where several
    stopped.
    """
    return item.module if isinstance(item, nn.parallel.DistributedDataParallel) else item


def save_atomically(content: Any, path: Path) -> None:
    """``torch.save`` in one step; raises as :func:`~mmccd.core.files.replacing`."""
    make_folder(path.parent, WAY_OUT)
    with replacing(path, WAY_OUT) as staged:
        torch.save(content, staged)


class BestModel:
    """Keep the averaged network of the epoch with the lowest value of the evaluator's key metric.

    Args:
        path: file of the best network; the best value stands in it, so that a resumed run goes on
            comparing.
        model: network to store.
    """

    def __init__(self, path: str | Path, model: nn.Module) -> None:
        self.path = Path(path)
        self.model = model

    def attach(self, engine: Engine) -> None:
        """Compare after each validation."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Store the network where it is better than the stored one (of an epoch before)."""
        value = float(engine.state.metrics[engine.state.key_metric_name])
        epoch = int(engine.state.epoch)
        if value < self._stored_value(epoch):
            save_atomically(
                {"network": self.model.state_dict(), "value": value, "epoch": epoch}, self.path
            )
            logger.info(
                "epoch %d: best %s so far, %.5f", epoch, engine.state.key_metric_name, value
            )

    def _stored_value(self, epoch: int) -> float:
        if not self.path.is_file():
            return math.inf
        content = load_tensors(self.path)
        return float(content["value"]) if content["epoch"] < epoch else math.inf
