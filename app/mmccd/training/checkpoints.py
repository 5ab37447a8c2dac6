"""Checkpoints of a training run: the last one to go on from, the best one to use."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn

from mmccd.core import InputError, UnsuitableInputError, first_line, make_folder, replacing
from mmccd.io import load_tensors
from mmccd.training.facts import RESUMED, Differences, as_text, differences

if TYPE_CHECKING:
    from mmccd.training.record import TrainingRecord

WAY_OUT = "choose another output_dir or free some space"
LAST, BEST = "last.pt", "best.pt"
RECORD = "record"
"""Name of the record in a checkpoint."""
_OTHER_SCALE = ("source", "target", "normalisation", "fingerprints#validation")
"""Where these differ, validation errors cannot be compared."""

logger = logging.getLogger(__name__)


class Resume:
    """Checkpoint after each epoch, and start from the last one that is there.

    The file holds everything that an epoch ends with: network, averaged network, optimiser,
    schedule, the trainer's counters and the record; it is replaced in one step, so that a run
    killed while writing keeps the one before.

    Args:
        path: checkpoint file.
        objects: what to store and load, name to object with ``state_dict``; the trainer is added.
        enabled: whether an existing checkpoint is loaded (``False`` starts anew and overwrites it).
        record: what this training is, and how far it came.
        anyway: go on with a checkpoint of other data or settings; the record says so.
    """

    def __init__(
        self,
        path: str | Path,
        objects: dict[str, Any],
        enabled: bool = True,
        record: TrainingRecord | None = None,
        anyway: bool = False,
    ) -> None:
        self.path = Path(path)
        self.objects = objects
        self.enabled = enabled
        self.record = record
        self.anyway = anyway

    def attach(self, engine: Engine) -> None:
        """Load before the run, save after each epoch (after the handlers that were attached
        before).
        """
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def check(self) -> None:
        """Refuse a checkpoint of another training before anything is built for it; raises as
        :meth:`load`.
        """
        if self.enabled and self.path.is_file():
            self._changed(load_tensors(self.path).get(RECORD))

    def load(self, engine: Engine) -> None:
        """Load the checkpoint where there is one.

        Raises:
            InputError: the file is damaged or belongs to another network.
            UnsuitableInputError: it is of another training, and ``anyway`` is not set.
        """
        if not (self.enabled and self.path.is_file()):
            self._forget_best()
            return
        content = load_tensors(self.path)
        changed = self._changed(content.get(RECORD))
        wanted = _settings(self.objects.get("optimizer"))
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
        if self.record is not None:
            self.record.resumed = [*(content.get(RECORD) or {}).get(RESUMED, [])]
        if changed:
            self._go_on(epoch, changed, wanted)
        self._say(epoch, engine.state.max_epochs)

    def _changed(self, before: Any) -> Differences:
        """In what the checkpoint's training is another one; raises where it may not be."""
        if self.record is None:
            return {}
        if isinstance(before, dict):
            changed = differences(before, self.record.facts)
            found = f"is of another training: {as_text(changed)}"
        else:
            changed = {"settings": [None, "as given"]}
            found = "does not say which data and settings it was trained with"
        if changed and not self.anyway:
            raise UnsuitableInputError(
                f"{self.path}: {found}; give what it was trained with, another --output_dir,"
                " --resume False to start anew, or --resume_anyway True to go on all the same (the"
                " card will say so)",
                code="checkpoint.other_training",
            )
        return changed

    def _go_on(self, epoch: int, changed: Differences, wanted: list[dict[str, Any]]) -> None:
        """With what was given instead of what the checkpoint says."""
        optimizer, schedule = (self.objects.get(name) for name in ("optimizer", "lr_scheduler"))
        for group, settings in zip(getattr(optimizer, "param_groups", ()), wanted, strict=False):
            rate = group["lr"] * settings["lr_start"] / group.get("initial_lr", group["lr"])
            group.update({k: v for k, v in settings.items() if k != "lr_start"}, lr=rate)
        if schedule is not None and hasattr(schedule, "base_lrs"):
            schedule.base_lrs = [settings["lr_start"] for settings in wanted]
        if self.record is not None:
            self.record.resumed.append({"epoch": epoch, "changed": changed})
        if any(name.startswith(_OTHER_SCALE) for name in changed):
            self._forget_best()
        logger.warning("%s: goes on with other settings: %s", self.path, as_text(changed))

    def _say(self, epoch: int, last: int) -> None:
        if epoch >= last:
            logger.warning(
                "%s: all of the %d epochs are trained (--max_epochs %d): nothing more is done;"
                " --resume False starts anew",
                self.path,
                epoch,
                last,
            )
        else:
            logger.info("%s: resumed after epoch %d of %d", self.path, epoch, last)

    def _forget_best(self) -> None:
        """A training that starts anew is not compared with the one before in its folder."""
        best = self.path.with_name(BEST)
        if is_first_process() and best.is_file():
            logger.info("%s: of an earlier training, removed", best)
            best.unlink()

    def save(self, engine: Engine) -> None:
        """Replace the checkpoint (the first process of a distributed run does)."""
        if not is_first_process():
            return
        content: dict[str, Any] = {
            name: _bare(item).state_dict() for name, item in self.objects.items()
        }
        content |= {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        if self.record is not None:
            content[RECORD] = self.record.known()
        save_atomically(content, self.path)


def is_first_process() -> bool:
    """Whether this process is the one that writes."""
    return not (dist.is_initialized() and dist.get_rank() != 0)


def _settings(optimizer: Any) -> list[dict[str, Any]]:
    """What an optimiser was built with, for each group of parameters."""
    return [
        {
            **{k: v for k, v in group.items() if k not in ("params", "lr")},
            "lr_start": group.get("initial_lr", group["lr"]),
        }
        for group in getattr(optimizer, "param_groups", ())
    ]


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
        known: what the training is and how far it came, at that moment; it is stored, too.
    """

    def __init__(
        self, path: str | Path, model: nn.Module, known: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        self.path = Path(path)
        self.model = model
        self.known = known

    def attach(self, engine: Engine) -> None:
        """Compare after each validation."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Store the network where it is better than the stored one (of an epoch before)."""
        value = float(engine.state.metrics[engine.state.key_metric_name])
        epoch = int(engine.state.epoch)
        if value < self._stored_value(epoch):
            content = {"network": self.model.state_dict(), "value": value, "epoch": epoch}
            save_atomically(content | ({RECORD: self.known()} if self.known else {}), self.path)
            logger.info(
                "epoch %d: best %s so far, %.5f", epoch, engine.state.key_metric_name, value
            )

    def _stored_value(self, epoch: int) -> float:
        if not self.path.is_file():
            return math.inf
        content = load_tensors(self.path)
        return float(content["value"]) if content["epoch"] < epoch else math.inf
