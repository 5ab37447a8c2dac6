"""How time and memory grow with strips, steps, slices and batches."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmccd.benchmark.loop import BATCH_SIZE, Networks, passes
from mmccd.benchmark.machine import peak_memory_gib, reset_peak_memory, timed
from mmccd.bundle import ModelSet
from mmccd.methods import CycleSettings, MaskedCycleInferer

STRIDES, STEPS, SLICES, BATCHES = (16, 8, 4), (1, 2, 4, 8), (1, 2, 4, 8), (1, 4, 8, 16, 32)
_BASE = CycleSettings(steps=1, stride=16)


def measure_sweep(
    image: Tensor, models: ModelSet, device: torch.device, quick: bool = False
) -> list[dict[str, Any]]:
    """Vary one thing at a time in fp32, with the shipped networks.

    Args:
        image: x on the device, ``(slices, 1, height, width)``; as many of its slices are taken as
            there are.
        models: weights and presets.
        device: where to measure.
        quick: only the two smallest values of each.

    Returns:
        A row for each point: what was ``varied`` (``strips``, ``steps``, ``slices`` or
        ``batch_size``), its ``value``, ``passes``, ``seconds`` and ``peak_memory_gib`` (the whole
        process on a CPU, the tensors on a GPU).
    """
    networks = Networks.shipped(models, device, "fp32")
    end = 2 if quick else None
    size = (image.shape[-2], image.shape[-1])
    counts = [count for count in SLICES[:end] if count <= image.shape[0]]
    strides = [replace(_BASE, stride=stride) for stride in STRIDES[:end]]
    points = [
        ("strips", len(settings.masks(size)), settings, 1, BATCH_SIZE) for settings in strides
    ]
    points += [
        ("steps", steps, replace(_BASE, steps=steps), 1, BATCH_SIZE) for steps in STEPS[:end]
    ]
    points += [("slices", count, _BASE, count, BATCH_SIZE) for count in counts]
    points += [("batch_size", batch, _BASE, counts[-1], batch) for batch in BATCHES[:end]]
    _run(networks, image[:1], _BASE, BATCH_SIZE)  # warm up
    rows = []
    for varied, value, settings, count, batch in points:
        x = image[:count]
        reset_peak_memory(device)
        seconds, _ = timed(partial(_run, networks, x, settings, batch), device)
        rows.append(
            {
                "varied": varied,
                "value": value,
                "passes": passes(x, settings),
                "seconds": round(seconds, 3),
                "peak_memory_gib": round(peak_memory_gib(device), 3),
            }
        )
    return rows


def _run(networks: Networks, image: Tensor, settings: CycleSettings, batch: int) -> Tensor:
    inferer = MaskedCycleInferer(networks.scheduler, settings, batch)
    return inferer(image, networks.forward, networks.backward).anomaly
