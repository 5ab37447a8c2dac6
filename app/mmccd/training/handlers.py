"""What happens round the iterations: seeds, time budget, average, progress."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import ignite.handlers
import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler
from monai.transforms import Randomizable
from torch.utils.data.distributed import DistributedSampler

logger = logging.getLogger(__name__)


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
