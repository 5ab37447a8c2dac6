"""What the two commands do: make a pack, and train from it."""

from __future__ import annotations

import logging
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

from torch import nn

from mmccd.bundle import write_weights
from mmccd.core import InputError, UsageError
from mmccd.data import Case, find_cases, split_cases
from mmccd.imaging import Draws, Normalisation
from mmccd.models import MaskedDiffusionScheduler, choose_device
from mmccd.phantom import find_anatomies, find_scans
from mmccd.training.budget import load_into
from mmccd.training.command_line import budget_of, card_of_run, stopping_at_sigterm
from mmccd.training.cycle.pack import (
    Bytes,
    load_pack,
    pack_cases,
    pack_labels,
    pack_scans,
    save_pack,
)
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.cycle.trainer import BACKWARD, FORWARD, CycleTrainer, Recipe
from mmccd.training.shared import small_network

logger = logging.getLogger(__name__)

LABELS, SCANS, REAL = "labels.xz", "scans.xz", "real_{}_{}.xz"


def pack(options: Namespace) -> None:
    """Write ``labels.xz``, where scans are given ``scans.xz``, and where cases are given
    ``real_SOURCE_TARGET.xz``.
    """
    if not (options.maps or options.scans or options.cases):
        raise UsageError("pack: nothing to do; give --maps, --scans or --cases")
    if options.maps:
        parts = [_labels(text, number, options) for number, text in enumerate(options.maps)]
        labels = {f"part{number}": part for number, part in enumerate(parts)}
        save_pack(options.output / LABELS, labels)
        logger.info("%d label slices", sum(len(part) for part in parts))
    if options.scans:
        images, maps = options.scans
        scans = _scans(images, maps, options)
        save_pack(options.output / SCANS, {"slices": scans})
        logger.info("%d scan slices", len(scans))
    if options.cases:
        arrays = pack_cases(_cases(options), options.source, options.target)
        save_pack(options.output / REAL.format(options.source, options.target), arrays)
        logger.info("%d real pairs", len(arrays["source"]))


def _labels(text: str, number: int, options: Namespace) -> Bytes:
    folder, per_map, chosen = _chosen_maps("--maps", text)
    if not chosen or not per_map:
        raise UsageError(
            f"--maps {text}: leaves nothing of the label maps in {folder}; expected slices of at"
            " least one; leave out fewer"
        )
    return pack_labels(chosen, per_map, options.seed + 1000 * number, options.processes)


def _scans(images: str, text: str, options: Namespace) -> Bytes:
    """Of the scans whose label map is among those that are not left out, so that nobody is in
    training as a scan and in validation as a map.
    """
    folder, per_scan, chosen = _chosen_maps("--scans", text)
    scans = [pair for pair in find_scans(images, folder) if pair[1] in set(chosen)]
    if not scans or not per_scan:
        raise UsageError(
            f"--scans {images} {text}: leaves nothing of the scans; expected slices of at least"
            " one; leave out fewer"
        )
    return pack_scans(scans, per_scan, options.seed, options.processes)


def _chosen_maps(option: str, text: str) -> tuple[str, int, list[Path]]:
    """Folder, slices of each map, and the maps that are not left out."""
    found = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", text)
    if found is None:
        raise UsageError(
            f"{option} {text}: cannot be read; expected FOLDER:SLICES or FOLDER:SLICES:LEFT_OUT"
        )
    files = [file for file in find_anatomies(found[1]) if file is not None]
    return found[1], int(found[2]), files[: max(len(files) - int(found[3] or 0), 0)]


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
        **budget_of(options),
        source=options.source,
        target=options.target,
        networks=tuple(options.networks),
        network={"factor": options.factor, "channels": list(options.channels)},
    )
    draws = Draws(recipe.seed, device)
    shares = (recipe.real_share, recipe.scan_share)
    pairs = read_pairs(options.pack, recipe.source, recipe.target, shares, draws)
    trainer = CycleTrainer(recipe, pairs, draws, options.output)
    for name, path in ((FORWARD, options.init_f), (BACKWARD, options.init_g)):
        if path is not None and name in recipe.networks:
            trainer.start_from(name, path)
    if options.through is not None:
        trainer.go_through(_load(options.through, trainer))
    with stopping_at_sigterm(trainer):
        trainer.run()
    for name in recipe.networks:
        path = options.output / f"{name}.pt"
        write_weights(path, trainer.averaged[name].state_dict(), _card(name, trainer, options))
        logger.info("%s", path)


def read_pairs(
    folder: Path, source: str, target: str, shares: tuple[float, float], draws: Draws
) -> HealthyPairs:
    """The healthy pairs of a pack.

    Args:
        folder: of the pack.
        source: contrast of x.
        target: contrast of y.
        shares: of real slices and of scan slices in a batch, where the pack has some.
        draws: random numbers.

    Raises:
        InputError: it is missing or damaged.
    """
    parts = load_pack(folder / LABELS)
    real_path, scans_path = folder / REAL.format(source, target), folder / SCANS
    real = load_pack(real_path) if real_path.is_file() else None
    scans = load_pack(scans_path)["slices"] if scans_path.is_file() else None
    return HealthyPairs(
        list(parts.values()),
        real,
        shares[0],
        source,
        target,
        draws,
        scans=scans,
        scan_share=shares[1],
    )


def _load(path: Path, trainer: CycleTrainer) -> nn.Module:
    """A trained f of this recipe's size from its weight file."""
    network = small_network(2, **trainer.recipe.network)
    load_into(network, path, "this recipe's f")
    return network


def _card(name: str, trainer: CycleTrainer, options: Namespace) -> dict[str, Any]:
    recipe = trainer.recipe
    source, target = recipe.source, recipe.target
    started = {"f": options.init_f, "g": options.init_g}[name]
    card = {
        "source": source if name == FORWARD else target,
        "target": target if name == FORWARD else source,
        "network": trainer.networks[name].settings,
        "normalisation": {
            contrast: Normalisation.for_modality(contrast).as_dict()
            for contrast in (source, target)
        },
        "training": trainer.as_dict(),
        "loss": trainer.loss(name),
        "started_from": Path(started).name if started else None,
        **card_of_run("python -m mmccd.training.cycle", options, trainer.draws.device),
    }
    if name == FORWARD:
        card["scheduler"] = MaskedDiffusionScheduler().settings
    return card
