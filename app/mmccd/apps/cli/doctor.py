"""What this machine can do, and what is installed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from mmccd import NOTICE
from mmccd.apps.pacs.settings import read_pacs_settings
from mmccd.brain import BrainUNet
from mmccd.bundle import (
    FALLBACK_TARGETS,
    SOURCE,
    ModelSet,
    Preset,
    Weights,
    find_bundles,
    load_brain_weights,
    load_models,
    read_presets,
    user_folder,
)
from mmccd.core import BALANCED, FLAG, ModelError, Settings, UsageError
from mmccd.methods import method_names
from mmccd.models import choose_device, has_fast_bf16, usable_cores
from mmccd.pipeline import versions


def examine_archive(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What works with an archive, tried as the service beside it would.

    Args:
        url: root of its DICOMweb service.
        environment: with the service's ``MMCCD_PACS_*`` variables, credentials among them.

    Returns:
        ``exit_code`` of the first failure, or 0, and ``lines``.

    Raises:
        UsageError: a variable that cannot be used, or packages that are missing.
    """
    lines: list[str] = []
    try:
        from mmccd.apps.pacs.check import check
    except ImportError as error:
        raise UsageError(
            f"--archive: {error.name} is missing; expected the extra that deployment needs;"
            " install it: pip install 'mmccd[deploy]'"
        ) from error
    settings = read_pacs_settings(["--check", "--url", url], environment)
    return {"exit_code": check(settings, lines.append), "lines": lines}


def examine(bundles: str | None = None) -> dict[str, Any]:
    """Machine, versions, bundles, weights and calibrations as plain values.

    Args:
        bundles: as ``--bundles``.

    Returns:
        ``exit_code``: 0 where at least one preset can be used for one target, else 6; ``machine``;
        ``versions``; ``choices`` (names by setting); ``bundles`` (folder, or error);
        ``calibrations`` (the user's folder of them); ``models`` (one entry a target, with all
        weights by name and all presets) and ``brain``, each with ``error`` None where it can be
        used.
    """
    found: dict[str, Any] = {
        "notice": NOTICE,
        "exit_code": ModelError.exit_code,
        "machine": _machine(),
        "versions": versions(),
        "choices": choices(bundles),
    }
    found["calibrations"] = str(user_folder())
    try:
        root = find_bundles(bundles)
        presets = read_presets(root)
    except ModelError as error:
        return {
            **found,
            "bundles": {"folder": None, "error": str(error)},
            "models": [],
            "brain": None,
        }
    models = [_models(root, target, presets) for target in FALLBACK_TARGETS]
    usable = any(entry["error"] is None for entry in models)
    return {
        **found,
        "exit_code": 0 if usable else ModelError.exit_code,
        "bundles": {"folder": str(root), "error": None},
        "models": models,
        "brain": _brain(bundles),
    }


def choices(bundles: str | None = None) -> dict[str, list[str]]:
    """What can be chosen, from the registries: presets, targets, extractors, methods to compare."""
    declared = Settings.declared(FLAG)
    names = {name: one.setting.listed(bundles) for name, one in declared.items()}
    listed = {name: list(values) for name, values in names.items() if values}
    return {**listed, "methods": list(method_names())}


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
    lines.append(f"bundles      {bundles['folder']}")
    for entry in found["models"]:
        lines += _model_lines(entry)
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


def _models(root: Path, target: str, presets: dict[str, Preset]) -> dict[str, Any]:
    """All weights that presets list for a target, and what each preset lacks or has."""
    weights: dict[str, Weights] = {}
    entries = {name: _preset(root, target, preset, weights) for name, preset in presets.items()}
    errors = [entry["error"] for entry in entries.values()]
    return {
        "source": SOURCE,
        "target": target,
        "error": None if None in errors else errors[0],
        "sha256": {name: entry.sha256 for name, entry in weights.items()},
        "licences": {name: _licence(entry) for name, entry in weights.items()},
        "presets": entries,
    }


def _preset(root: Path, target: str, preset: Preset, loaded: dict[str, Weights]) -> dict[str, Any]:
    """Whether a preset can be used, and its thresholds by precision; weights that can be loaded are
    added to ``loaded``.
    """
    content: dict[str, Any] = {"weights": list(preset.weights), "error": None, "thresholds": {}}
    try:
        models = load_models(root, target, preset=preset.name)
        for name, weights in models.weights.items():
            if name not in loaded:
                weights.load_network()
                loaded[name] = weights
        return {**content, "thresholds": _thresholds(models, preset)}
    except ModelError as error:
        return {**content, "error": str(error)}


def _thresholds(models: ModelSet, preset: Preset) -> dict[str, dict[str, Any]]:
    """Calibrated thresholds by precision and operating point, and where they are stored."""
    found = {name: models.stored_calibration(preset, name) for name in ("fp32", "bf16")}
    return {
        name: {
            "value": entry[1].threshold,
            "file": str(entry[0]),
            "operating_points": {point: one.threshold for point, one in entry[1].points.items()},
        }
        for name, entry in found.items()
        if entry
    }


def _licence(weights: Weights) -> str:
    return str(weights.card.get("licence") or "licence not stated")


def _brain(bundles: str | None) -> dict[str, Any]:
    try:
        weights = load_brain_weights(bundles)
        weights.load(BrainUNet)
    except ModelError as error:
        return {"error": str(error)}
    return {
        "error": None,
        "sha256": weights.sha256,
        "licence": _licence(weights),
    }


def _model_lines(found: dict[str, Any]) -> list[str]:
    name = f"{found['source']} to {found['target']}"
    if found["error"]:
        return [f"{name:<12} not usable: {found['error']}"]
    hashes = ", ".join(f"{part} {sha[:12]}" for part, sha in found["sha256"].items())
    licences = "; ".join(dict.fromkeys(found["licences"].values()))
    return [
        f"{name:<12} {hashes}; {licences}",
        *(_preset_line(preset, entry) for preset, entry in found["presets"].items()),
    ]


def _preset_line(name: str, found: dict[str, Any]) -> str:
    own = str(user_folder())
    texts = [
        f"{precision} threshold {entry['value']:.4g}{_other_points(entry['operating_points'])}"
        + (f" (yours, {entry['file']})" if entry["file"].startswith(own) else "")
        for precision, entry in found["thresholds"].items()
    ]
    text = ", ".join(texts) or "no calibration: give --threshold"
    if found["error"]:
        text = f"not usable: {found['error']}"
    return f"             preset {name:<9} {text}"


def _other_points(thresholds: dict[str, float]) -> str:
    """The operating points beside the default one."""
    others = [f"{name} {value:.4g}" for name, value in thresholds.items() if name != BALANCED]
    return f" ({', '.join(others)})" if others else ""
