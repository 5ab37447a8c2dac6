"""The cycle against a plain loop over single masks: same network, same weights, same passes, one run."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmccd.brain import find_brain
from mmccd.bundle import to_device
from mmccd.cycle import CycleSettings, MaskedCycleInferer
from mmccd.data.phantom import make_phantom
from mmccd.device import autocast, choose_device, has_fast_bf16
from mmccd.diffusion import MaskedDiffusionScheduler
from mmccd.masks import strip_masks
from mmccd.networks import TranslationUNet
from mmccd.noise import CONDITION, INITIAL, NO_MASK, normal_noise
from mmccd.pipeline import versions
from mmccd.preprocessing import Normalisation, to_model_slices

NETWORK: dict[str, Any] = {
    "factor": 4,
    "channels": [64, 128, 192],
    "num_res_blocks": 1,
    "attention_levels": [False, True, True],
    "num_head_channels": [0, 32, 32],
}
BATCH_SIZE = 16


@torch.inference_mode()
def plain_loop(image: Tensor, forward: nn.Module, backward: nn.Module, scheduler: MaskedDiffusionScheduler, stride: int) -> Tensor:
    """Alg. 2 as it is printed: one slice, one mask, one pass at a time.

    Args:
        image: x, ``(slices, 1, height, width)``.
        forward: f.
        backward: g.
        scheduler: with its timesteps set.
        stride: distance of the strips in pixels.

    Returns:
        a, of the shape of ``image``.
    """
    size = (image.shape[-2], image.shape[-1])
    masks = strip_masks(size, stride=stride).to(image.device)
    result = torch.zeros_like(image)
    for number in range(image.shape[0]):
        index = torch.tensor([number], device=image.device)
        x = image[number : number + 1]
        for r, mask in enumerate(masks):
            y = normal_noise(0, index, torch.full_like(index, NO_MASK), 0, INITIAL, size)
            condition = torch.where(mask, normal_noise(0, index, torch.full_like(index, r), 0, CONDITION, size), x)
            for t in scheduler.timesteps.tolist():
                prediction = forward(torch.cat([y, condition], dim=1), torch.full_like(index, t)).float()
                y, _ = scheduler.step(prediction, t, y)
            result[number] += mask * (backward(y).float() - x)[0].abs()
    return result / masks.sum(0)


def run_benchmark(output: Path | None, device_name: str = "auto", slices: int = 2, stride: int = 8, steps: int = 1) -> str:
    """Measure both loops in fp32, and in bf16 where the hardware has it.

    Args:
        output: JSON file for the figures, or None.
        device_name: see :func:`~mmccd.device.choose_device`.
        slices: slices of the phantom, from its middle.
        stride: distance of the strips in pixels.
        steps: sampling steps.

    Returns:
        A table as text.
    """
    device = choose_device(device_name)
    image = _slices(slices).to(device)
    settings = CycleSettings(steps=steps, stride=stride)
    passes = slices * len(settings.masks((image.shape[-2], image.shape[-1]))) * (steps + 1)
    rows = []
    for precision in ("fp32", "bf16") if has_fast_bf16(device) else ("fp32",):
        rows.append(_measure(image, settings, precision, passes, device))
    figures = {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "device": str(device), "threads": torch.get_num_threads()},
        "versions": versions(),
        "settings": {**settings.as_dict(), "slices": slices, "batch_size": BATCH_SIZE, "passes": passes, "network": NETWORK},
        "rows": rows,
        "peak_memory_gib": round(_peak_memory_gib(device), 2),
    }
    if not has_fast_bf16(device):
        figures["note"] = "bf16 is emulated on this machine and was not measured"
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=2) + "\n")
    return _table(figures)


def _measure(image: Tensor, settings: CycleSettings, precision: str, passes: int, device: torch.device) -> dict[str, Any]:
    torch.manual_seed(0)
    networks = [to_device(TranslationUNet(channels, **NETWORK).eval(), device, precision) for channels in (2, 1)]
    _wake_last_layer(networks)
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), settings, BATCH_SIZE, precision)

    def plain() -> Tensor:
        with autocast(device, precision):
            return plain_loop(image, networks[0], networks[1], inferer.scheduler, settings.stride)

    def batched() -> Tensor:
        return inferer(image, networks[0], networks[1]).anomaly

    inferer(image[:1, :, :, :], networks[0], networks[1])  # warm up
    seconds_plain, reference = _timed(plain, device)
    seconds_batched, anomaly = _timed(batched, device)
    return {
        "precision": precision,
        "plain_passes_per_s": round(passes / seconds_plain, 2),
        "cycle_passes_per_s": round(passes / seconds_batched, 2),
        "ratio": round(seconds_plain / seconds_batched, 3),
        "largest_difference": float((anomaly - reference.cpu()).abs().max() / reference.max()),
    }


def _wake_last_layer(networks: list[nn.Module]) -> None:
    """MONAI starts the last convolution at zero; random values make the maps comparable."""
    for network in networks:
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)


def _slices(count: int) -> Tensor:
    phantom = make_phantom(seed=0).images["flair"]
    slices = to_model_slices(phantom, find_brain(phantom).mask, Normalisation.for_modality("flair"))
    middle = slices.image.shape[0] // 2 - count // 2
    return slices.image[middle : middle + count]


def _timed(function: Callable[[], Tensor], device: torch.device) -> tuple[float, Tensor]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def _peak_memory_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{figures['settings']['passes']} passes on {figures['machine']['device']}, {figures['machine']['threads']} threads"]
    for row in figures["rows"]:
        lines.append(
            f"  {row['precision']}: one mask at a time {row['plain_passes_per_s']} passes/s, the cycle {row['cycle_passes_per_s']}, "
            f"ratio {row['ratio']}, largest difference of the maps {row['largest_difference']:.1e} of the maximum"
        )
    lines += [f"  peak memory {figures['peak_memory_gib']} GiB", *([f"  {figures['note']}"] if "note" in figures else [])]
    return "\n".join(lines)
