"""``mmccd benchmark``: measure, store, show, compare."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmccd.benchmark.loop import measure_loops, measure_networks
from mmccd.benchmark.machine import describe_machine, peak_memory_gib
from mmccd.benchmark.sweep import SLICES, measure_sweep
from mmccd.benchmark.volume import BRATS_SHAPE, brats_size_phantom, measure_volume
from mmccd.brain import find_brain
from mmccd.bundle import ModelSet, find_bundles, load_models
from mmccd.core import InputError, OutputError, first_line, make_folder
from mmccd.imaging import to_model_slices
from mmccd.methods import CycleSettings
from mmccd.models import ALL_CUDA, choose_device
from mmccd.phantom import make_phantom
from mmccd.pipeline import versions

logger = logging.getLogger(__name__)

VERSION = 1
KEYS = ("machine", "versions", "settings", "networks", "loops", "sweep", "volumes", "full")
PRESETS = ("fast", "balanced")
_HEALTHY_VOLUME = "healthy phantom, skull-stripped"


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        slices: of the comparison with the plain loop.
        repeats: the quickest of as many counts.
        presets: of the whole volumes.
        shape: of the whole volumes, in voxels.
        voxel_mm: their edge.
        quick: a short sweep.
    """

    slices: int = 4
    repeats: int = 3
    presets: tuple[str, ...] = PRESETS
    shape: tuple[int, int, int] = BRATS_SHAPE
    voxel_mm: float = 1.0
    quick: bool = False


QUICK = Scope(slices=1, repeats=1, presets=("fast",), shape=(80, 80, 26), voxel_mm=3.0, quick=True)


def run_benchmark(
    device_name: str = "auto", scope: Scope | None = None, bundles: str | None = None
) -> dict[str, Any]:
    """Measure everything.

    Args:
        device_name: one device, see :func:`~mmccd.models.device.choose_device`.
        scope: how much; the default takes about a quarter of an hour on two CPU cores.
        bundles: as ``--bundles``.

    Returns:
        ``benchmark_version``, ``machine``, ``versions``, ``settings``, ``networks``
        (:func:`~mmccd.benchmark.loop.measure_networks`), ``loops``
        (:func:`~mmccd.benchmark.loop.measure_loops`), ``sweep``
        (:func:`~mmccd.benchmark.sweep.measure_sweep`), ``volumes``
        (:func:`~mmccd.benchmark.volume.measure_volume`), ``full`` (what the preset ``full`` would
        take, extrapolated) and ``peak_memory_gib``.

    Raises:
        ModelError: no usable bundles.
        UsageError: an unknown device.
    """
    scope, device = scope or Scope(), choose_device(device_name)
    models = load_models(find_bundles(bundles))
    machine = describe_machine(device)
    image = phantom_slices(models, max(scope.slices, SLICES[1] if scope.quick else SLICES[-1])).to(
        device
    )
    settings = CycleSettings(steps=1, stride=16)
    logger.info("networks and loops")
    networks = measure_networks(models, device, 2 * scope.repeats, image.shape[-1])
    loops = measure_loops(image[: scope.slices], models, settings, device, scope.repeats)
    logger.info("strips, steps, slices, batches")
    sweep = measure_sweep(image, models, device, scope.quick)
    peak = round(peak_memory_gib(device), 2)
    volumes = list(_volumes(models, scope, device))
    return {
        "benchmark_version": VERSION,
        "machine": machine,
        "versions": versions(),
        "settings": _settings(scope, settings, models),
        "networks": networks,
        "loops": loops,
        "sweep": sweep,
        "volumes": volumes,
        "full": extrapolated(models, networks, volumes),
        "peak_memory_gib": peak,
    }


def _settings(scope: Scope, settings: CycleSettings, models: ModelSet) -> dict[str, Any]:
    """What the figures were measured with."""
    return {
        "slices": scope.slices,
        "repeats": scope.repeats,
        "cycle": settings.as_dict(),
        "network": models.weights["forward"].card["network"],
        "volume": _HEALTHY_VOLUME,
        "voxel_mm": scope.voxel_mm,
    }


def phantom_slices(models: ModelSet, count: int) -> Tensor:
    """Slices from the middle of a healthy phantom, ``(count, 1, size, size)``."""
    phantom = make_phantom(seed=0).images["flair"]
    slices = to_model_slices(phantom, find_brain(phantom).mask, models.normalisation(models.source))
    middle = slices.image.shape[0] // 2 - count // 2
    return slices.image[middle : middle + count]


def _volumes(models: ModelSet, scope: Scope, device: torch.device) -> Iterator[dict[str, Any]]:
    devices = [str(device)] + (
        [ALL_CUDA] if device.type == "cuda" and torch.cuda.device_count() > 1 else []
    )
    with tempfile.TemporaryDirectory(prefix="mmccd_benchmark_") as name:
        path = brats_size_phantom(Path(name) / "flair.nii.gz", scope.shape, scope.voxel_mm)
        for number, (preset, where) in enumerate(
            (preset, where) for preset in scope.presets for where in devices
        ):
            logger.info(
                "a volume of %s voxels, preset %s, %s",
                " x ".join(map(str, scope.shape)),
                preset,
                where,
            )
            yield measure_volume(path, Path(name) / str(number), preset, where, models.root)


def extrapolated(
    models: ModelSet, networks: dict[str, Any], volumes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Hours of ``full`` for the measured volume: all strips of the slices with brain, from the time
    of a pass in batches; nothing was run.
    """
    settings = models.preset("full").cycle
    slices = volumes[0]["slices_with_brain"]
    strips = slices * len(settings.masks((128, 128)))
    ms = {
        row["network"]: row["ms_per_pass"] for row in networks["rows"] if row["precision"] == "fp32"
    }
    return {
        "extrapolated": True,
        "precision": "fp32",
        "slices": slices,
        "strips": strips,
        "passes_of_f": strips * settings.steps,
        "hours": round(strips * (settings.steps * ms["f"] + ms["g"]) / 3.6e6, 2),
    }


def save_figures(figures: dict[str, Any], path: Path) -> None:
    """Write the figures as JSON; the folder is made.

    Raises:
        OutputError: it cannot be written.
    """
    make_folder(path.parent)
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output"
        ) from error


def load_figures(path: Path) -> dict[str, Any]:
    """Figures of an earlier run.

    Raises:
        InputError: the file is missing, unreadable or holds something else.
    """
    try:
        figures = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error)}); expected the JSON file of 'mmccd"
            " benchmark --output'"
        ) from error
    if (
        not isinstance(figures, dict)
        or figures.get("benchmark_version") != VERSION
        or any(key not in figures for key in KEYS)
    ):
        raise InputError(
            f"{path}: holds no figures of this version; expected the JSON file of 'mmccd benchmark"
            " --output'; measure again"
        )
    return figures
