"""What this machine can do, and what is installed."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil
import torch

from mmccd.brain.network import BrainUNet
from mmccd.bundle import BACKWARD, FALLBACK_TARGETS, FORWARD, SOURCE, BundlePair, find_bundles, load_brain_weights, load_pair
from mmccd.device import choose_device, has_fast_bf16
from mmccd.errors import ModelError
from mmccd.pipeline import NOTICE, versions


def examine(bundles: str | None = None) -> tuple[str, int]:
    """A text about machine, versions, bundles, weights and calibrations.

    Args:
        bundles: as ``--bundles``.

    Returns:
        (text, exit code): 0 where at least one pair of weights can be loaded, else 6.
    """
    lines = [*_machine(), "", "versions     " + ", ".join(f"{name} {value}" for name, value in versions().items()), ""]
    try:
        root = find_bundles(bundles)
    except ModelError as error:
        return "\n".join([*lines, f"bundles      {error}", "", NOTICE]), error.exit_code
    lines.append(f"bundles      {root} ({FORWARD}, {BACKWARD})")
    usable = 0
    for target in FALLBACK_TARGETS:
        text, works = _pair(root, target)
        lines += text
        usable += works
    lines.append(_brain(bundles))
    return "\n".join([*lines, "", NOTICE]), 0 if usable else ModelError.exit_code


def _machine() -> list[str]:
    device = choose_device("auto")
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"machine      {platform.machine()}, {cores} cores, {memory.total / 2**30:.0f} GiB memory ({memory.available / 2**30:.0f} GiB free)",
        f"device auto  {device}"
        + (f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else f" ({torch.backends.cpu.get_cpu_capability()})"),
        f"bf16         {'in hardware' if has_fast_bf16(device) else 'emulated and slow; fp32 is used'}",
    ]


def _pair(root: Path, target: str) -> tuple[list[str], bool]:
    name = f"{SOURCE} to {target}"
    try:
        pair = load_pair(root, target)
        for weights in (pair.forward, pair.backward):
            weights.load_network()
    except ModelError as error:
        return [f"{name:<12} not usable: {error}"], False
    licence = pair.forward.card.get("licence") or "licence not stated"
    return [f"{name:<12} f {pair.forward.sha256[:12]}, g {pair.backward.sha256[:12]}; {licence}", *_calibrations(pair)], True


def _brain(bundles: str | None) -> str:
    try:
        weights = load_brain_weights(bundles)
        weights.load(BrainUNet)
    except ModelError as error:
        return f"brain        not usable: {error}"
    return f"brain        {weights.sha256[:12]}; {weights.card.get('licence') or 'licence not stated'}"


def _calibrations(pair: BundlePair) -> list[str]:
    lines = []
    for preset in pair.presets.values():
        found = [(precision, pair.calibration(preset, precision)) for precision in ("fp32", "bf16")]
        texts = [f"{precision} threshold {entry.threshold:.4g}" for precision, entry in found if entry]
        lines.append(f"             preset {preset.name:<9} {', '.join(texts) or 'no calibration: give --threshold'}")
    return lines
