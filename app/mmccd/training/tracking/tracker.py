"""Tells the sinks of a run what training and validation find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from mmccd.training.tracking.panels import panels, picture
from mmccd.training.tracking.sinks import TENSORBOARD, finite, make_sinks

EVERY = 10
"""Iterations between two figures of the loss."""
PICTURE = "input_returned_map"


class Tracker:
    """Loss and learning rate every ten iterations and at the end of an epoch, the figures of a
    validation and its picture at the iteration of the trainer after which it ran.

    Args:
        track: ``none``, ``tensorboard``, ``mlflow`` or ``both``.
        output_dir: folder of the run.

    Raises:
        UsageError: another value, or a package that is not installed.
    """

    def __init__(self, track: str = TENSORBOARD, output_dir: str | Path = ".") -> None:
        self.sinks = make_sinks(track, Path(output_dir))
        self._trainer: Engine | None = None
        self._told = 0

    def of_training(self) -> TrainingTracker:
        """The handler of the trainer."""
        return TrainingTracker(self)

    def of_validation(self) -> ValidationTracker:
        """The handler of the evaluator."""
        return ValidationTracker(self)

    def begin(self, trainer: Engine) -> None:
        """Open the sinks."""
        self._trainer, self._told = trainer, trainer.state.iteration
        for sink in self.sinks:
            sink.open(trainer)

    def train(self, trainer: Engine) -> None:
        """Tell loss and learning rate, once an iteration."""
        step = trainer.state.iteration
        if step == self._told:
            return
        self._told = step
        rate = trainer.optimizer.param_groups[0]["lr"]
        loss = trainer.state.output["loss"].detach()
        values = {"train_loss": loss, "learning_rate": rate}
        for sink in self.sinks:
            sink.figures(finite(values), step)

    def validate(self, evaluator: Engine, output: dict[str, Any] | None) -> None:
        """Tell the figures of a validation and show one of its batches."""
        if self._trainer is None:
            return
        step = self._trainer.state.iteration
        for sink in self.sinks:
            sink.figures(finite(evaluator.state.metrics), step)
            if output is not None:
                sink.picture(PICTURE, picture(panels(output)), step)

    def end(self, trainer: Engine) -> None:
        """Close the sinks."""
        for sink in self.sinks:
            sink.close()


class TrainingTracker:
    """What a :class:`Tracker` tells of a trainer.

    Args:
        tracker: tells it.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def attach(self, engine: Engine) -> None:
        """Register from the start to the end of the run."""
        if not self.tracker.sinks:
            return
        engine.add_event_handler(Events.STARTED, self.tracker.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=EVERY), self.tracker.train)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.tracker.train)
        engine.add_event_handler(Events.COMPLETED, self.tracker.end)


class ValidationTracker:
    """What a :class:`Tracker` tells of an evaluator; the batch in the middle of the validation set
    is shown, because the first one lies where heads end.

    Args:
        tracker: tells it.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._shown: dict[str, Any] | None = None

    def attach(self, engine: Engine) -> None:
        """Register at the shown batch and at the end of a validation."""
        if not self.tracker.sinks:
            return
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
        engine.add_event_handler(Events.COMPLETED, self._tell)

    def _keep(self, engine: Engine) -> None:
        if engine.state.iteration == engine.state.epoch_length // 2 + 1:
            self._shown = engine.state.output

    def _tell(self, engine: Engine) -> None:
        self.tracker.validate(engine, self._shown)
        self._shown = None
