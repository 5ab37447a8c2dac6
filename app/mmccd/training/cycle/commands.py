"""What the two commands do: make a pack, and train from it."""

from __future__ import annotations

import logging
import re
import shlex
import signal
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import monai
import torch
from torch import nn

import mmccd
from mmccd.bundle import write_weights
from mmccd.core import InputError, UsageError, first_line
from mmccd.data import Case, find_cases, split_cases
from mmccd.imaging import Draws, Normalisation
from mmccd.io import load_tensors
from mmccd.models import MaskedDiffusionScheduler, choose_device, choose_precision
from mmccd.phantom import find_anatomies
from mmccd.training.cycle.pack import Bytes, load_pack, pack_cases, pack_labels, save_pack
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.cycle.trainer import BACKWARD, FORWARD, CycleTrainer, Recipe
from mmccd.training.shared import small_network

logger = logging.getLogger(__name__)

LABELS, REAL = "labels.xz", "real_{}_{}.xz"


def pack(options: Namespace) -> None:
    """Write ``labels.xz`` and, where cases are given, ``real_SOURCE_TARGET.xz``."""
    if not options.maps and not options.cases:
        raise UsageError("pack: nothing to do; give --maps, --cases or both")
    if options.maps:
        parts = [_labels(text, number, options) for number, text in enumerate(options.maps)]
        labels = {f"part{number}": part for number, part in enumerate(parts)}
        save_pack(options.output / LABELS, labels)
        logger.info("%d label slices", sum(len(part) for part in parts))
    if options.cases:
        arrays = pack_cases(_cases(options), options.source, options.target)
        save_pack(options.output / REAL.format(options.source, options.target), arrays)
        logger.info("%d real pairs", len(arrays["source"]))


def _labels(text: str, number: int, options: Namespace) -> Bytes:
    found = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", text)
    if found is None:
        raise UsageError(
            f"--maps {text}: cannot be read; expected FOLDER:SLICES or FOLDER:SLICES:LEFT_OUT"
        )
    per_map, left_out = int(found[2]), int(found[3] or 0)
    files = [file for file in find_anatomies(found[1]) if file is not None]
    chosen = files[: max(len(files) - left_out, 0)]
    if not chosen or not per_map:
        raise UsageError(
            f"--maps {text}: leaves nothing of {len(files)} label maps; expected slices of at least"
            " one; leave out fewer"
        )
    return pack_labels(chosen, per_map, options.seed + 1000 * number, options.processes)


def _cases(options: Namespace) -> list[Case]:
    if options.names is None:
        return split_cases(options.cases, options.split_file)["train"]
    cases = {case.name: case for case in find_cases(options.cases)}
    missing = sorted(set(options.names) - set(cases))
    if missing:
        raise InputError(
            f"{options.cases}: has no case {', '.join(missing)}, found {sorted(cases)[:8]}; check"
            " --names"
        )
    return [cases[name] for name in options.names]


def train(options: Namespace) -> None:
    """Train, or go on training, and write float16 weights with their cards."""
    device = choose_device(options.device)
    recipe = Recipe(
        source=options.source,
        target=options.target,
        networks=tuple(options.networks),
        network={"factor": options.factor, "channels": list(options.channels)},
        seconds=options.seconds,
        iterations=options.iterations,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        real_share=options.real_share,
        seed=options.seed,
        precision=choose_precision(options.precision, device),
        compile=options.compile,
    )
    draws = Draws(recipe.seed, device)
    parts = load_pack(options.pack / LABELS)
    real_path = options.pack / REAL.format(recipe.source, recipe.target)
    real = load_pack(real_path) if real_path.is_file() else None
    pairs = HealthyPairs(
        list(parts.values()), real, recipe.real_share, recipe.source, recipe.target, draws
    )
    trainer = CycleTrainer(recipe, pairs, draws, options.output)
    for name, path in ((FORWARD, options.init_f), (BACKWARD, options.init_g)):
        if path is not None and name in recipe.networks:
            trainer.start_from(name, path)
    if options.through is not None:
        trainer.go_through(_load(options.through, trainer))
    with _stopping_at_sigterm(trainer):
        trainer.run()
    for name in recipe.networks:
        path = options.output / f"{name}.pt"
        write_weights(path, trainer.averaged[name].state_dict(), _card(name, trainer, options))
        logger.info("%s", path)


@contextmanager
def _stopping_at_sigterm(trainer: CycleTrainer) -> Iterator[None]:
    """SIGTERM ends the training early; what it reached is written."""
    before = signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _load(path: Path, trainer: CycleTrainer) -> nn.Module:
    """A trained f of this recipe's size from its weight file."""
    network = small_network(2, **trainer.recipe.network)
    try:
        network.load_state_dict({key: value.float() for key, value in load_tensors(path).items()})
    except (RuntimeError, AttributeError) as error:
        raise InputError(
            f"{path}: does not fit to this recipe's f ({first_line(error)}); give weights of the"
            " same size",
            code="checkpoint.damaged",
        ) from error
    return network


def _card(name: str, trainer: CycleTrainer, options: Namespace) -> dict[str, Any]:
    recipe = trainer.recipe
    source, target = recipe.source, recipe.target
    started = {"f": options.init_f, "g": options.init_g}[name]
    card = {
        "source": source if name == FORWARD else target,
        "target": target if name == FORWARD else source,
        "network": trainer.networks[name].settings,
        "data": options.data,
        "licence": options.licence,
        "normalisation": {
            contrast: Normalisation.for_modality(contrast).as_dict()
            for contrast in (source, target)
        },
        "training": trainer.as_dict(),
        "loss": trainer.loss(name),
        "started_from": Path(started).name if started else None,
        "device": str(trainer.draws.device),
        "command": "python -m mmccd.training.cycle " + shlex.join(_without_paths(options.words)),
        "versions": {
            "mmccd": mmccd.__version__,
            "torch": torch.__version__,
            "monai": monai.__version__,
        },
        "research_only": options.research,
    }
    if name == FORWARD:
        card["scheduler"] = MaskedDiffusionScheduler().settings
    return card


def _without_paths(words: list[str]) -> list[str]:
    """Absolute paths of this machine shortened to their last part."""
    short = []
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        name = Path(value).name if Path(value).is_absolute() else value
        short.append(option + equals + name)
    return short
