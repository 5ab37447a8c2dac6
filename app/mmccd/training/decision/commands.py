"""What the command does: train d from a pack, with the cycle of some bundles."""

from __future__ import annotations

import logging
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from mmccd.bundle import write_weights
from mmccd.core import UsageError
from mmccd.data import Case, find_cases, split_cases
from mmccd.imaging import Draws, Normalisation
from mmccd.models import choose_device
from mmccd.training.command_line import budget_of, card_of_run, stopping_at_sigterm
from mmccd.training.cycle.commands import read_pairs
from mmccd.training.decision.load import load_cycle
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.samples import DecisionSamples
from mmccd.training.decision.trainer import DECISION, DecisionRecipe, DecisionTrainer
from mmccd.training.decision.validation import ValidationSet, validation_set

logger = logging.getLogger(__name__)

PROGRAM = "python -m mmccd.training.decision"


def train(options: Namespace) -> None:
    """Train, or go on training, and write float16 weights with their card."""
    device = choose_device(options.device)
    recipe = DecisionRecipe(**budget_of(options), validate_every=options.validate_every)
    draws = Draws(recipe.seed, device)
    cycle = _cycle(options, device, recipe.precision)
    shares = (recipe.real_share, recipe.scan_share)
    pairs = read_pairs(options.pack, options.source, options.target, shares, draws)
    samples = DecisionSamples(pairs, draws, cycle, options.blind_share)
    sets = [_validation(text, options, cycle, device) for text in options.validation]
    trainer = DecisionTrainer(recipe, samples, draws, options.output, sets)
    if options.init is not None:
        trainer.start_from(DECISION, options.init)
    with stopping_at_sigterm(trainer):
        trainer.run()
    state, taken = trainer.best()
    path = options.output / f"{DECISION}.pt"
    write_weights(path, state, _card(trainer, taken, options))
    logger.info("%s", path)


def _cycle(options: Namespace, device: torch.device, precision: str) -> OneStepCycle | None:
    """f and g of the bundles, or nothing where d is to do without."""
    if options.no_cycle:
        return None
    return load_cycle(
        options.bundles, options.source, options.target, options.veil_sd, device, precision
    )


def _validation(
    text: str, options: Namespace, cycle: OneStepCycle | None, device: torch.device
) -> ValidationSet:
    """``NAME=FOLDER`` or ``NAME=FOLDER@SPLIT_FILE``."""
    found = re.fullmatch(r"([^=]+)=([^@]+)(?:@(.+))?", text)
    if found is None:
        raise UsageError(
            f"--validation {text}: cannot be read; expected NAME=FOLDER or NAME=FOLDER@SPLIT_FILE"
        )
    name, folder, split = found.groups()
    cases: list[Case] = split_cases(folder, split)["val"] if split else find_cases(folder)
    made = validation_set(
        name,
        [case for case in cases if case.label is not None],
        options.source,
        options.per_case,
        cycle,
        device,
    )
    logger.info("validation set %s: %d slices", name, len(made.given))
    return made


def _card(trainer: DecisionTrainer, taken: dict[str, Any], options: Namespace) -> dict[str, Any]:
    contrasts, cycle = (options.source, options.target), trainer.samples.cycle
    return {
        "source": options.source,
        "target": options.target,
        "network": trainer.networks[DECISION].settings,
        "normalisation": {
            contrast: Normalisation.for_modality(contrast).as_dict() for contrast in contrasts
        },
        "training": trainer.as_dict(),
        "loss": trainer.loss(DECISION),
        "chosen": taken,
        "cycle": dict(cycle.hashes) if cycle else None,
        "started_from": Path(options.init).name if options.init else None,
        **card_of_run(PROGRAM, options, trainer.draws.device),
    }
