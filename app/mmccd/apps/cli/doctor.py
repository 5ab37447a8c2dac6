"""What this machine can do, and what is installed."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import psutil
import torch

from mmccd.brain import BrainUNet
from mmccd.bundle import (
    BACKWARD,
    FALLBACK_TARGETS,
    FORWARD,
    SOURCE,
    BundlePair,
    find_bundles,
    load_brain_weights,
    load_pair,
)
from mmccd.core import FLAG, ModelError, Settings
from mmccd.evaluation import TITLES
from mmccd.models import choose_device, has_fast_bf16, usable_cores
from mmccd.pipeline import NOTICE, versions

_NO_LICENCE = "licence not stated"


def examine(bundles: str | None = None) -> dict[str, Any]:
    """Machine, versions, bundles, weights and calibrations as plain values.

    Args:
        bundles: as ``--bundles``.

    Returns:
        ``exit_code``: 0 where at least one pair of weights can be loaded, else 6; ``machine``;
        ``versions``; ``choices`` (names by setting); ``bundles`` (folder, or error); ``pairs`` and
        ``brain``, each with ``error`` None where it can be used.
    """
    found: dict[str, Any] = {
        "notice": NOTICE,
        "exit_code": ModelError.exit_code,
        "machine": _machine(),
        "versions": versions(),
        "choices": choices(bundles),
    }
    try:
        root = find_bundles(bundles)
    except ModelError as error:
        return {
            **found,
            "bundles": {"folder": None, "error": str(error)},
            "pairs": [],
            "brain": None,
        }
    pairs = [_pair(root, target) for target in FALLBACK_TARGETS]
    usable = any(pair["error"] is None for pair in pairs)
    code = 0 if usable else ModelError.exit_code
    return {
        **found,
        "exit_code": code,
        "bundles": {"folder": str(root), "error": None},
        "pairs": pairs,
        "brain": _brain(bundles),
    }


def choices(bundles: str | None = None) -> dict[str, list[str]]:
    """What can be chosen, from the registries: presets, targets, extractors, methods to compare."""
    declared = Settings.declared(FLAG)
    names = {name: one.setting.names(bundles) for name, one in declared.items()}
    listed = {name: list(values) for name, values in names.items() if values}
    return {**listed, "methods": list(TITLES)}


def describe(found: dict[str, Any]) -> str:
    """The findings of :func:`examine` as text."""
    machine, bundles = found["machine"], found["bundles"]
    name = f" ({machine['device_name']})"
    lines = [
        (
            f"machine      {machine['architecture']}, {machine['cores']} cores,"
            f" {machine['memory_gib']:.0f} GiB memory ({machine['free_gib']:.0f} GiB free)"
        ),
        f"device auto  {machine['device']}{name}",
        (
            "bf16        "
            f" {'in hardware' if machine['fast_bf16'] else 'emulated and slow; fp32 is used'}"
        ),
        "",
        "versions     " + ", ".join(f"{key} {value}" for key, value in found["versions"].items()),
        *(f"{name:<12} {', '.join(names)}" for name, names in found["choices"].items()),
        "",
    ]
    if bundles["error"]:
        return "\n".join([*lines, f"bundles      {bundles['error']}", "", found["notice"]])
    lines.append(f"bundles      {bundles['folder']} ({FORWARD}, {BACKWARD})")
    for pair in found["pairs"]:
        lines += _pair_lines(pair)
    brain = found["brain"]
    lines.append(
        f"brain        not usable: {brain['error']}"
        if brain["error"]
        else f"brain        {brain['sha256'][:12]}; {brain['licence']}"
    )
    return "\n".join([*lines, "", found["notice"]])


def _machine() -> dict[str, Any]:
    device = choose_device("auto")
    memory = psutil.virtual_memory()
    return {
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "memory_gib": round(memory.total / 2**30, 1),
        "free_gib": round(memory.available / 2**30, 1),
        "device": str(device),
        "device_name": (
            torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else torch.backends.cpu.get_cpu_capability()
        ),
        "fast_bf16": has_fast_bf16(device),
    }


def _pair(root: Path, target: str) -> dict[str, Any]:
    content: dict[str, Any] = {"source": SOURCE, "target": target, "error": None}
    try:
        pair = load_pair(root, target)
        for weights in (pair.forward, pair.backward):
            weights.load_network()
    except ModelError as error:
        return {**content, "error": str(error)}
    licence = pair.forward.card.get("licence") or _NO_LICENCE
    hashes = {"forward": pair.forward.sha256, "backward": pair.backward.sha256}
    return {**content, "sha256": hashes, "licence": licence, "thresholds": _thresholds(pair)}


def _thresholds(pair: BundlePair) -> dict[str, dict[str, float]]:
    """Calibrated thresholds by preset and precision."""
    result = {}
    for preset in pair.presets.values():
        found = {precision: pair.calibration(preset, precision) for precision in ("fp32", "bf16")}
        result[preset.name] = {
            precision: entry.threshold for precision, entry in found.items() if entry
        }
    return result


def _brain(bundles: str | None) -> dict[str, Any]:
    try:
        weights = load_brain_weights(bundles)
        weights.load(BrainUNet)
    except ModelError as error:
        return {"error": str(error)}
    return {
        "error": None,
        "sha256": weights.sha256,
        "licence": weights.card.get("licence") or _NO_LICENCE,
    }


def _pair_lines(pair: dict[str, Any]) -> list[str]:
    name = f"{pair['source']} to {pair['target']}"
    if pair["error"]:
        return [f"{name:<12} not usable: {pair['error']}"]
    lines = [
        f"{name:<12} f {pair['sha256']['forward'][:12]}, g {pair['sha256']['backward'][:12]};"
        f" {pair['licence']}"
    ]
    for preset, thresholds in pair["thresholds"].items():
        texts = [f"{precision} threshold {value:.4g}" for precision, value in thresholds.items()]
        lines.append(
            f"             preset {preset:<9}"
            f" {', '.join(texts) or 'no calibration: give --threshold'}"
        )
    return lines
