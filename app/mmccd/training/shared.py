"""What trainings of f, g and d share: the network of those on packs, and the handlers that log,
record and resume a run of ``train.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.handlers import LrScheduleHandler, StatsHandler
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from mmccd.models import TranslationUNet
from mmccd.training.checkpoints import BEST, LAST, BestModel, Resume
from mmccd.training.facts import check_batches, training_facts
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
"""The efficient network in the place of the paper's (docs/benchmarks.md), where a command says no
other; the bundles' configs spell theirs out.
"""
_LOSS = "train_loss"


def small_network(in_channels: int, **settings: Any) -> TranslationUNet:
    """An untrained translating network, efficient on a processor.

    Args:
        in_channels: 2 for f, 1 for g, 5 for d.
        settings: what differs from :data:`SMALL`.
    """
    return TranslationUNet(in_channels=in_channels, **{**SMALL, **settings})


def run_handlers(
    output_dir: str | Path,
    lr_scheduler: LRScheduler,
    evaluator: Engine,
    record: dict[str, Any],
    normalisation: str | None,
    objects: dict[str, Any],
    dataloader: DataLoader[Any],
    resume: bool = True,
    resume_anyway: bool = False,
    max_minutes: float | None = None,
    progress: bool = True,
    tracker: Tracker | None = None,
) -> list[Any]:
    """Handlers of a trainer that come after the validation of an epoch.

    Args:
        output_dir: gets ``training.json``, ``last.pt`` and ``best.pt``.
        lr_scheduler: steps with each iteration.
        evaluator: whose metrics are recorded, and which gets the handler that keeps the best
            network.
        record: content of the record; the data and the optimiser add what they are.
        normalisation: ``"paper"`` or ``"code"``, for the record.
        objects: what a resumed run goes on with, name to object with ``state_dict``.
        dataloader: of the training.
        resume: whether an existing ``last.pt`` is loaded.
        resume_anyway: also one of other data or settings.
        max_minutes: time budget of this run; None for no limit.
        progress: whether there is a bar on the terminal.
        tracker: tells TensorBoard or MLflow; None: nobody.

    Raises:
        InputError: the checkpoint is damaged.
        UnsuitableInputError: the data is too short for one batch, or the checkpoint is of another
            training.
    """
    check_batches(dataloader)
    folder = Path(output_dir)
    validation = getattr(evaluator, "data_loader", None)
    facts = training_facts(record, normalisation, dataloader, validation, objects.get("optimizer"))
    story = TrainingRecord(folder / "training.json", facts, evaluator)
    going_on = Resume(folder / LAST, objects, resume, story, resume_anyway)
    going_on.check()
    if "averaged" in objects:
        BestModel(folder / BEST, objects["averaged"].ema_model, story.known).attach(evaluator)
    told = [tracker.of_training()] if tracker is not None else []
    return [
        LrScheduleHandler(lr_scheduler, print_lr=False, epoch_level=False),
        StatsHandler(tag_name=_LOSS, output_transform=_loss, iteration_log=False),
        ProgressBar(progress),
        story,
        going_on,
        TimeBudget(max_minutes),
        *told,  # behind Resume, which says from which iteration on
    ]


def _loss(output: dict[str, Any]) -> Any:
    return output["loss"]
