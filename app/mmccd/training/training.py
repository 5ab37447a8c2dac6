"""What training needs beside MONAI's engines: exact resume, error maps as metrics, the validation
of f and of the whole cycle.
"""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ignite.handlers
import monai
import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler
from ignite.metrics import Metric
from monai.engines import PrepareBatch
from monai.inferers import Inferer
from monai.transforms import Randomizable
from torch import Tensor, nn
from torch.utils.data.distributed import DistributedSampler

import mmccd
from mmccd.core.errors import InputError, first_line
from mmccd.imaging.preprocessing import Normalisation
from mmccd.io.checkpoint import load_tensors
from mmccd.methods.mmccd.masks import strip_masks, width_range
from mmccd.models.diffusion import MaskedDiffusionScheduler, masked_condition
from mmccd.models.noise import CONDITION, INITIAL, NO_MASK, normal_noise

logger = logging.getLogger(__name__)


def warmup_stable_decay(iteration: int, warmup: int, total: int, decay_share: float = 0.5) -> float:
    """Factor of the learning rate: linear rise, constant, linear fall to 0 (Hu et al., MiniCPM,
    2024).

    A run that was cut short in its constant part goes on with a larger ``total`` as if it had been
    planned so.

    Args:
        iteration: index of the iteration, from 0.
        warmup: iterations of the rise.
        total: iterations of the whole run.
        decay_share: share of ``total`` in which the rate falls.
    """
    rise = (iteration + 1) / max(warmup, 1)
    fall = (total - iteration) / max(decay_share * total, 1.0)
    return max(0.0, min(1.0, rise, fall))


class EpochSeed:
    """Seed everything anew at the start of each epoch, from (seed, epoch) alone.

    With this a resumed run draws what the uninterrupted one would have drawn, and no state of a
    random generator is stored.

    Args:
        seed: the run's seed.
        transform: random transforms of the data set, re-seeded as well.
        sampler: sampler of a distributed run, which shuffles by the epoch's number.
    """

    def __init__(
        self,
        seed: int,
        transform: Randomizable | None = None,
        sampler: DistributedSampler[Any] | None = None,
    ) -> None:
        self.seed = seed
        self.transform = transform
        self.sampler = sampler

    def attach(self, engine: Engine) -> None:
        """Register at the start of each epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed torch, NumPy and the transforms."""
        state = int(np.random.SeedSequence([self.seed, engine.state.epoch]).generate_state(1)[0])
        torch.manual_seed(state)
        np.random.seed(state)
        if self.transform is not None:
            self.transform.set_random_state(seed=state)
        if self.sampler is not None:
            self.sampler.set_epoch(engine.state.epoch)


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
    """``torch.save`` beside the file, then replace it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.tmp")
    torch.save(content, staged)
    staged.replace(path)


class AveragedModel(EMAHandler):
    """Exponential moving average of the weights (ignite's), with the model's own ``state_dict`` for
    checkpoints.

    Args:
        model: the trained network.
        momentum: weight of the newest weights at each iteration.
    """

    def state_dict(self) -> dict[str, Any]:
        """That of the averaged network."""
        state: dict[str, Any] = self.ema_model.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the averaged network."""
        self.ema_model.load_state_dict(state)


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


class TimeBudget:
    """End training after the epoch in which a wall-clock budget is used up.

    Args:
        minutes: budget of this run in minutes; None for no limit.
    """

    def __init__(self, minutes: float | None) -> None:
        self.seconds = math.inf if minutes is None else minutes * 60
        self.start = 0.0

    def attach(self, engine: Engine) -> None:
        """Start the clock with the run."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        self.start = time.monotonic()

    def __call__(self, engine: Engine) -> None:
        """Terminate when the time is over."""
        if time.monotonic() - self.start > self.seconds:
            logger.info("the time budget is used up after epoch %d", engine.state.epoch)
            engine.terminate()


class TrainingRecord:
    """``training.json`` beside the checkpoints: all that the card of the weights has to say.

    Args:
        path: file to write after each epoch.
        content: source, target, network, scheduler (f only), seed, data, licence and other settings
            of the run.
        normalisation: ``"paper"`` or ``"code"``; the full settings of both modalities are recorded.
            None where there is no such thing.
        evaluator: whose metrics of the last validation are recorded.
    """

    def __init__(
        self,
        path: str | Path,
        content: dict[str, Any],
        normalisation: str | None,
        evaluator: Engine,
    ) -> None:
        self.path = Path(path)
        self.content = {
            **content,
            **_normalisations(content, normalisation),
            "command": (
                "python -m monai.bundle "
                + shlex.join(Path(w).name if Path(w).is_absolute() else w for w in sys.argv[1:])
            ),
            "versions": {
                "mmccd": mmccd.__version__,
                "torch": torch.__version__,
                "monai": monai.__version__,
            },
        }
        self.evaluator = evaluator
        self._last = 0.0

    def attach(self, engine: Engine) -> None:
        """Start the clock with the run, write after each epoch."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        self._last = time.monotonic()

    def __call__(self, engine: Engine) -> None:
        """Write what is known after this epoch; its minutes are added to those of the epochs
        before, resumed runs included.
        """
        now = time.monotonic()
        minutes = self._recorded_minutes(engine.state.epoch - 1) + (now - self._last) / 60
        self._last = now
        metrics = {
            name: float(value)
            for name, value in self.evaluator.state.metrics.items()
            if math.isfinite(value)
        }
        progress = {
            "epochs": engine.state.epoch,
            "iterations": engine.state.iteration,
            "minutes": minutes,
        }
        known = {
            **self.content,
            **progress,
            "key_metric": self.evaluator.state.key_metric_name,
            "last_validation": metrics,
        }
        self.path.write_text(json.dumps(known, indent=2) + "\n")

    def _recorded_minutes(self, epoch: int) -> float:
        if epoch == 0 or not self.path.is_file():
            return 0.0
        record = json.loads(self.path.read_text())
        return float(record["minutes"]) if record.get("epochs") == epoch else 0.0


def _normalisations(content: dict[str, Any], kind: str | None) -> dict[str, Any]:
    if kind is None:
        return {}
    return {
        "normalisation": {
            name: Normalisation.for_modality(name, kind).as_dict()
            for name in (content["source"], content["target"])
        }
    }


class StripPrepareBatch(PrepareBatch):
    """Validation batch of f: x, y, and one fixed strip per slice, the same at every validation.

    Args:
        width: thickness of the strips in pixels; of a range
            (:func:`~mmccd.methods.mmccd.masks.width_range`) the largest.
        stride: distance of the positions that are used in turn.
        seed: seed of the noise.

    Raises:
        ValueError: widths that cannot be.
    """

    def __init__(self, width: int | Sequence[int] = 16, stride: int = 8, seed: int = 0) -> None:
        self.width = width_range(width)[1]
        self.stride = stride
        self.seed = seed

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor], tuple[()], dict[str, Any]]:
        """(x, {y, x, brain, mask}, no args, keyword arguments of
        :class:`MaskedTranslationInferer`).
        """
        source, target, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label", "brain")
        )
        size = (source.shape[-2], source.shape[-1])
        masks = strip_masks(size, self.width, self.stride)
        slices = torch.arange(source.shape[0], device=source.device)
        # Strips that cross the middle, where the brain is: those at the border would measure the
        # background.
        central = torch.nonzero(
            masks[:, size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4].flatten(1).any(1)
        ).flatten()
        chosen = central[(slices.cpu() * 7) % len(central)]
        mask = masks[chosen][:, None].to(source.device)
        arguments = {
            "mask": mask,
            "noise": normal_noise(self.seed, slices, chosen.to(source.device), 0, CONDITION, size),
            "initial": normal_noise(
                self.seed, slices, torch.full_like(slices, NO_MASK), 0, INITIAL, size
            ),
        }
        truth = {"target": target, "source": source, "brain": brain > 0.5, "mask": mask}
        return source, truth, (), arguments


class MaskedTranslationInferer(Inferer):
    """f under one mask per slice, and g behind it where g is given: ``(y_0, x')`` as ``(batch, 2,
    height, width)``.

    Args:
        scheduler: the sampler.
        steps: sampling steps.
        backward: g in evaluation mode, or None (then x' is NaN).
    """

    def __init__(
        self, scheduler: MaskedDiffusionScheduler, steps: int = 1, backward: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.steps = steps
        self.backward = backward.eval() if backward is not None else None

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """Translate ``inputs`` (x) under ``mask`` with ``noise``, from ``initial``."""
        condition = masked_condition(inputs, kwargs["mask"], kwargs["noise"])
        self.scheduler.set_timesteps(self.steps)
        image = kwargs["initial"]
        for timestep in self.scheduler.timesteps.tolist():
            times = torch.full((inputs.shape[0],), timestep, device=inputs.device)
            prediction = network(torch.cat([image, condition], dim=1), times).float()
            image, _ = self.scheduler.step(prediction, timestep, image)
        returned = torch.full_like(image, math.nan)
        if self.backward is not None:
            returned = self.backward(image).float()
        return torch.cat([image, returned], dim=1)


class MeanError(Metric):
    """Mean absolute error over the voxels of the brain that a rule selects, pooled over the
    validation set.

    Args:
        output_transform: engine output to ``(error, weight)``, tensors of one shape.
        device: where the sums live.
    """

    def reset(self) -> None:
        """Forget all voxels."""
        self.total = 0.0
        self.count = 0.0

    def update(self, output: tuple[Tensor, Tensor]) -> None:
        """Add a batch."""
        error, weight = output
        self.total += float((error.double() * weight).sum())
        self.count += float(weight.sum())

    def compute(self) -> float:
        """The mean; NaN where no voxel was selected."""
        return self.total / self.count if self.count else math.nan


def _select(output: Any, where: str) -> tuple[Tensor, Tensor]:
    truth, prediction = output["label"], output["pred"]
    if where == "cycle":
        error, region = (prediction[:, 1:] - truth["source"]).abs(), truth["mask"]
    else:
        error = (prediction[:, :1] - truth["target"]).abs()
        region = truth["mask"] if where == "masked" else ~truth["mask"]
    return error, (region & truth["brain"]).double()


def masked_error(output: Any) -> tuple[Tensor, Tensor]:
    """|f(x_r) - y| in the brain under the mask: what f imagines."""
    return _select(output, "masked")


def visible_error(output: Any) -> tuple[Tensor, Tensor]:
    """|f(x_r) - y| in the brain outside the mask: what f translates."""
    return _select(output, "visible")


def cycle_error(output: Any) -> tuple[Tensor, Tensor]:
    """|g(f(x_r)) - x| in the brain under the mask: the whole cycle on healthy tissue."""
    return _select(output, "cycle")


class PairPrepareBatch(PrepareBatch):
    """Validation batch of g: its input, and the truth with the brain."""

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(input, {target, brain})."""
        source, target, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label", "brain")
        )
        return source, {"target": target, "brain": brain > 0.5}


def brain_error(output: Any) -> tuple[Tensor, Tensor]:
    """|g(y) - x| in the brain."""
    truth = output["label"]
    return (output["pred"].float() - truth["target"]).abs(), truth["brain"].double()


class ProgressBar:
    """One bar per epoch on the terminal, with the time left (ignite's ``ProgressBar`` over tqdm).

    Args:
        enabled: no bar where it is False.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def attach(self, engine: Engine) -> None:
        """Show iterations and loss."""
        if self.enabled:
            ignite.handlers.ProgressBar(desc="epoch", mininterval=5.0).attach(
                engine, output_transform=lambda output: {"loss": output["loss"]}
            )


def load_trained(
    network: nn.Module, weights: str | Path | None, device: torch.device
) -> nn.Module | None:
    """A network with trained weights, in evaluation mode: g for the validation of the whole cycle,
    or what ``evaluate.json`` measures.

    Args:
        network: network of the weights' architecture.
        weights: training checkpoint (``best.pt``, or the averaged weights of ``last.pt``) or
            exported weights; None gives None.
        device: where it goes.

    Raises:
        InputError: the weights are missing or belong to another network.
    """
    if weights is None:
        return None
    content = load_tensors(weights)
    try:
        network.load_state_dict(content.get("averaged", content.get("network", content)))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(
            f"{weights}: does not fit to the network ({first_line(error)}); expected a checkpoint"
            " of that bundle"
        ) from error
    return network.to(device).eval()
