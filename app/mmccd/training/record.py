"""The record that training writes beside its checkpoints, and into them."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import monai
import torch
from ignite.engine import Engine, Events, State

import mmccd
from mmccd.core import write_json
from mmccd.training.checkpoints import WAY_OUT
from mmccd.training.facts import RESUMED, Facts, plain


class TrainingRecord:
    """``training.json`` beside the checkpoints: all that the card of the weights has to say.

    Args:
        path: file to write after each epoch.
        facts: what the training is (:func:`~mmccd.training.facts.training_facts`).
        evaluator: whose metrics of the last validation are recorded.
    """

    def __init__(self, path: str | Path, facts: Facts, evaluator: Engine) -> None:
        self.path = Path(path)
        self.facts = facts
        self.evaluator = evaluator
        self.resumed: list[dict[str, Any]] = []
        self._caller = {
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
        self._state = State()
        self._minutes = 0.0
        self._last = time.monotonic()

    def attach(self, engine: Engine) -> None:
        """Start the clock with the run, write after each epoch."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        self._state = engine.state
        self._last = time.monotonic()

    def __call__(self, engine: Engine) -> None:
        """Write what is known after this epoch; its minutes are added to those of the epochs
        before, resumed runs included.
        """
        now = time.monotonic()
        self._minutes = self._recorded_minutes(engine.state.epoch - 1) + (now - self._last) / 60
        self._last = now
        write_json(self.path, self.known(), WAY_OUT)

    def known(self) -> dict[str, Any]:
        """What the training is, and how far it came."""
        metrics = {
            name: float(value)
            for name, value in self.evaluator.state.metrics.items()
            if math.isfinite(value)
        }
        content = {
            **self.facts,
            **({RESUMED: self.resumed} if self.resumed else {}),
            **self._caller,
            "epochs": self._state.epoch,
            "iterations": self._state.iteration,
            "minutes": self._minutes,
            "key_metric": self.evaluator.state.key_metric_name,
            "last_validation": metrics,
        }
        return plain(content)

    def _recorded_minutes(self, epoch: int) -> float:
        if epoch == 0 or not self.path.is_file():
            return 0.0
        record = json.loads(self.path.read_text())
        return float(record["minutes"]) if record.get("epochs") == epoch else 0.0
