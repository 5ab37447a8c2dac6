"""The record that training writes beside its checkpoints."""

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
from ignite.engine import Engine, Events

import mmccd
from mmccd.core import write_json
from mmccd.imaging import Normalisation
from mmccd.training.checkpoints import WAY_OUT


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
        write_json(self.path, known, WAY_OUT)

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
