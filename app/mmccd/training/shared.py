"""What the ``train.json`` of f, g and d share beside their settings: the size of networks, and the
handlers that log, record and resume a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.handlers import LrScheduleHandler, StatsHandler
from torch.optim.lr_scheduler import LRScheduler

from mmccd.models import MaskedTranslator, TranslationUNet
from mmccd.training.checkpoints import Resume
from mmccd.training.handlers import ProgressBar, TimeBudget
from mmccd.training.record import TrainingRecord
from mmccd.training.tracking.tracker import Tracker

SMALL = {
    "factor": 4,
    "channels": (64, 128, 192),
    "num_res_blocks": 1,
    "attention_levels": (False, True, True),
    "num_head_channels": (0, 32, 32),
    "norm_num_groups": 32,
}
"""The efficient network in the place of the paper's (docs/benchmarks.md)."""
_LOSS = "train_loss"


def small_network(in_channels: int, is_masked: bool = False, **settings: Any) -> TranslationUNet:
    """An untrained translating network, efficient on a processor.

    Args:
        in_channels: 2 for f, 1 for g, 5 for d.
        is_masked: it translates what is not masked in one pass, without diffusion
            (:class:`~mmccd.models.MaskedTranslator`).
        settings: what differs from :data:`SMALL`.
    """
    kind = MaskedTranslator if is_masked else TranslationUNet
    return kind(in_channels=in_channels, **{**SMALL, **settings})


def run_handlers(
    output_dir: str | Path,
    lr_scheduler: LRScheduler,
    evaluator: Engine,
    record: dict[str, Any],
    normalisation: str | None,
    objects: dict[str, Any],
    resume: bool = True,
    max_minutes: float | None = None,
    progress: bool = True,
    tracker: Tracker | None = None,
) -> list[Any]:
    """Handlers of a trainer that come after the validation of an epoch.

    Args:
        output_dir: gets ``training.json`` and ``last.pt``.
        lr_scheduler: steps with each iteration.
        evaluator: whose metrics are recorded.
        record: content of the record.
        normalisation: ``"paper"`` or ``"code"``, for the record.
        objects: what a resumed run goes on with, name to object with ``state_dict``.
        resume: whether an existing ``last.pt`` is loaded.
        max_minutes: time budget of this run; None for no limit.
        progress: whether there is a bar on the terminal.
        tracker: tells TensorBoard or MLflow; None: nobody.
    """
    folder = Path(output_dir)
    told = [tracker.of_training()] if tracker is not None else []
    return [
        LrScheduleHandler(lr_scheduler, print_lr=False, epoch_level=False),
        StatsHandler(tag_name=_LOSS, output_transform=_loss, iteration_log=False),
        ProgressBar(progress),
        TrainingRecord(folder / "training.json", record, normalisation, evaluator),
        Resume(folder / "last.pt", objects, resume),
        TimeBudget(max_minutes),
        *told,  # behind Resume, which says from which iteration on
    ]


def _loss(output: dict[str, Any]) -> Any:
    return output["loss"]
