"""The cycle against a plain loop over single masks, and the share of the machine's peak that the
networks reach.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmccd.benchmark.machine import matmul_gflops, timed
from mmccd.bundle import BACKWARD, FORWARD, ModelSet
from mmccd.methods import CycleSettings, MaskedCycleInferer, strip_masks
from mmccd.models import (
    CONDITION,
    INITIAL,
    NO_MASK,
    MaskedDiffusionScheduler,
    TranslationUNet,
    autocast,
    has_fast_bf16,
    normal_noise,
    reverse,
    to_device,
)

PAPER_CONFIG = Path("configs") / "networks" / "paper.json"
BATCH_SIZE = 16


@dataclass(frozen=True)
class Networks:
    """f and g on a device.

    Attributes:
        forward: f.
        backward: g.
        scheduler: f's noise schedule.
        device: where they are.
    """

    forward: nn.Module
    backward: nn.Module
    scheduler: MaskedDiffusionScheduler
    device: torch.device

    @classmethod
    def shipped(cls, models: ModelSet, device: torch.device, precision: str) -> Networks:
        """Those of the bundles, as the pipeline places them."""
        f, g = (
            to_device(weights.load_network(), device, precision)
            for weights in (models.weights["forward"], models.weights["backward"])
        )
        return cls(f, g, models.weights["forward"].load_scheduler(), device)

    @classmethod
    def of_the_paper(cls, models: ModelSet, device: torch.device) -> Networks:
        """Networks of the paper's size with random weights: the time does not depend on them."""
        torch.manual_seed(0)
        f, g = (
            TranslationUNet(channels, **_settings(models.root / name / PAPER_CONFIG))
            .eval()
            .to(device)
            for name, channels in ((FORWARD, 2), (BACKWARD, 1))
        )
        return cls(f, g, models.weights["forward"].load_scheduler(), device)


def _settings(path: Path) -> dict[str, Any]:
    """Network settings from an overlay of ``train.json``."""
    return {key.partition("#")[2]: value for key, value in json.loads(path.read_text()).items()}


@torch.inference_mode()
def plain_loop(
    image: Tensor,
    forward: nn.Module,
    backward: nn.Module,
    scheduler: MaskedDiffusionScheduler,
    stride: int,
) -> Tensor:
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
            condition = torch.where(
                mask, normal_noise(0, index, torch.full_like(index, r), 0, CONDITION, size), x
            )
            y = reverse(forward, y, scheduler, condition)
            result[number] += mask * (backward(y).float() - x)[0].abs()
    return result / masks.sum(0)


def passes(image: Tensor, settings: CycleSettings) -> int:
    """Network passes of one round over all strips of all slices: f at each step, and g."""
    return int(
        image.shape[0]
        * len(settings.masks((image.shape[-2], image.shape[-1])))
        * (settings.steps + 1)
    )


def measure_loops(
    image: Tensor, models: ModelSet, settings: CycleSettings, device: torch.device, repeats: int
) -> dict[str, Any]:
    """Seconds of the same passes: the cycle in each precision, the plain loop, and the plain loop
    with the paper's network.

    All take turns ``repeats`` times, and the quickest of each counts. The paper's network runs on
    the first slice only.

    Args:
        image: x, ``(slices, 1, height, width)`` on the device.
        models: weights and presets.
        settings: of the cycle, in the paper's reading with both orientations.
        device: where to measure.
        repeats: how often.

    Returns:
        ``rows`` (network, loop, precision, passes, seconds, passes a second), ``ratios``, and
        ``largest_difference`` between the maps of the plain loop and of the cycle in fp32, relative
        to the maximum.
    """
    precisions = ("fp32", "bf16") if has_fast_bf16(device) else ("fp32",)
    cycles = {
        name: _Cycle(Networks.shipped(models, device, name), settings, name) for name in precisions
    }
    scheduler = cycles["fp32"].inferer.scheduler

    def plain(networks: Networks) -> Callable[[Tensor], Tensor]:
        f, g = networks.forward, networks.backward
        return lambda x: plain_loop(x, f, g, scheduler, settings.stride)

    shipped, paper = Networks.shipped(models, device, "fp32"), Networks.of_the_paper(models, device)
    works = {
        **{("shipped", "cycle", name): (image, cycle.run) for name, cycle in cycles.items()},
        ("shipped", "one at a time", "fp32"): (image, plain(shipped)),
        ("paper", "one at a time", "fp32"): (image[:1], plain(paper)),
    }
    cycles["fp32"].run(image[:1])  # warm up
    seconds: dict[tuple[str, str, str], float] = {}
    maps = {}
    for _ in range(repeats):
        for name, (x, function) in works.items():
            taken, maps[name] = timed(partial(function, x), device)
            seconds[name] = min(taken, seconds.get(name, taken))
    rows = [
        _loop_row(name, passes(works[name][0], settings), taken) for name, taken in seconds.items()
    ]
    reference = maps["shipped", "one at a time", "fp32"].cpu()
    difference = (maps["shipped", "cycle", "fp32"].cpu() - reference).abs().max() / reference.max()
    return {"rows": rows, "ratios": _ratios(rows), "largest_difference": float(difference)}


def _loop_row(name: tuple[str, str, str], count: int, seconds: float) -> dict[str, Any]:
    taken = round(seconds, 3)
    return {
        **dict(zip(("network", "loop", "precision"), name, strict=True)),
        "passes": count,
        "seconds": taken,
        "passes_per_s": round(count / taken, 2),
    }


class _Cycle:
    """Our cycle with all strips of all slices."""

    def __init__(self, networks: Networks, settings: CycleSettings, precision: str) -> None:
        self.networks = networks
        self.inferer = MaskedCycleInferer(networks.scheduler, settings, BATCH_SIZE, precision)

    def run(self, image: Tensor) -> Tensor:
        return self.inferer(image, self.networks.forward, self.networks.backward).anomaly


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How much quicker a pass of the cycle is, in its best precision and in fp32."""
    speed = {
        (row["network"], row["loop"], row["precision"]): row["passes"] / row["seconds"]
        for row in rows
    }
    best = max(value for name, value in speed.items() if name[1] == "cycle")
    plain, paper = (
        speed["shipped", "one at a time", "fp32"],
        speed["paper", "one at a time", "fp32"],
    )
    return {
        "cycle_fp32_to_loop": round(speed["shipped", "cycle", "fp32"] / plain, 3),
        "cycle_to_loop": round(best / plain, 3),
        "cycle_to_paper_loop": round(best / paper, 3),
    }


@torch.inference_mode()
def measure_networks(
    models: ModelSet, device: torch.device, repeats: int, size: int = 128
) -> dict[str, Any]:
    """GFLOP of a pass of f and g, and the share of the machine's matrix product that they reach in
    batches of 16.

    Args:
        models: weights and presets.
        device: where to measure.
        repeats: the quickest of as many counts.
        size: edge of the slices in pixels.

    Returns:
        ``peak_gflops`` by precision, and ``rows``.
    """
    rows, peaks = [], {}
    for precision in ("fp32", "bf16") if has_fast_bf16(device) else ("fp32",):
        peaks[precision] = round(matmul_gflops(device, precision, repeats=repeats), 1)
        networks = Networks.shipped(models, device, precision)
        image = torch.randn(BATCH_SIZE, 2, size, size, device=device)
        times = torch.full((BATCH_SIZE,), 999, device=device)
        for name, network, arguments in (
            ("f", networks.forward, (image, times)),
            ("g", networks.backward, (image[:, :1],)),
        ):
            with autocast(device, precision), FlopCounterMode(display=False) as counter:
                network(*arguments)
            gflop = counter.get_total_flops() / BATCH_SIZE / 1e9
            with autocast(device, precision):
                seconds = min(
                    timed(partial(network, *arguments), device)[0] for _ in range(repeats)
                )
            reached = gflop * BATCH_SIZE / seconds
            rows.append(
                {
                    "network": name,
                    "precision": precision,
                    "gflop_per_pass": round(gflop, 3),
                    "ms_per_pass": round(1000 * seconds / BATCH_SIZE, 2),
                    "gflops": round(reached, 1),
                    "share_of_peak": round(reached / peaks[precision], 3),
                }
            )
    return {"peak_gflops": peaks, "rows": rows}
