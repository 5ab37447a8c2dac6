"""Small networks, the cycle with a seed, and a slow reference of Alg. 2 and Eq. 10."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn

from mmccd.core.score_maps import ScoreMaps
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models.noise import ANCESTRAL, CONDITION, INITIAL, NO_MASK, normal_noise
from mmccd.models.schedule import MaskedDiffusionScheduler

SIZE, SLICES, SEED = 32, 3, 5
NAMES = [entry.name for entry in fields(ScoreMaps)]
QUICK = CycleSettings("paper", steps=3, stride=4, width=8)
CODE = CycleSettings("code", steps=100, stride=6, width=8)


class Forward(nn.Module):
    """A random f of two layers that looks at the timesteps, and counts what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.time = nn.Linear(2, 8)
        self.images = 0

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        self.images += len(x)
        angle = timesteps.float()[:, None] / 1000 * torch.tensor([1.0, 3.0])
        return self.last(torch.tanh(2 * self.first(x) + self.time(angle.sin())[:, :, None, None]))


class Backward(nn.Module):
    """A random g of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(1, 1, 3, padding=1)
        self.images = 0

    def forward(self, y: Tensor) -> Tensor:
        self.images += len(y)
        return torch.tanh(3 * self.only(y))


class Small(nn.Module):
    """A network on a GPU whose memory holds a few images only."""

    def __init__(self, network: nn.Module, holds: int) -> None:
        super().__init__()
        self.network, self.holds = network, holds
        self.sizes: list[int] = []

    def forward(self, x: Tensor, *arguments: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(x, *arguments)


def scheduler() -> MaskedDiffusionScheduler:
    """The published schedule."""
    return MaskedDiffusionScheduler(beta_start=1e-4, beta_end=2e-2)


def inferer(
    settings: CycleSettings = QUICK, batch_size: int = 16, precision: str = "fp32", seed: int = SEED
) -> MaskedCycleInferer:
    """The cycle with a seed."""
    return MaskedCycleInferer(scheduler(), settings, batch_size, precision, seed)


def slow_masks(
    reading: str,
    width: int,
    stride: int,
    size: int = SIZE,
    vertical: Sequence[bool] = (False, True),
) -> list[np.ndarray]:
    """M: every position where a strip fits (paper), or every multiple of the stride (code)."""
    masks = []
    for transposed in vertical:
        for start in range(0, size, stride):
            mask = np.zeros((size, size), dtype=bool)
            mask[start : start + width] = True
            if reading == "code" or start + width <= size:
                masks.append(mask.T if transposed else mask)
    return masks


def slow_timesteps(settings: CycleSettings) -> list[int]:
    """990, 980, ..., 0 in the public code; else spread over T such that the first is T - 1."""
    if settings.reading == "code":
        return [990 - 10 * i for i in range(100)]
    return [int(np.round(1000 - i * 1000 / settings.steps)) - 1 for i in range(settings.steps)]


def slow_cycle(
    settings: CycleSettings,
    images: Tensor,
    f: Callable[..., Tensor],
    g: Callable[..., Tensor],
    hidden: Tensor | None = None,
) -> dict[str, np.ndarray]:
    """Alg. 2 with Eq. 10, one image, one mask and one step at a time, in float64 but for the
    networks; ``hidden`` is masked, too.
    """
    abar = np.cumprod(1 - np.linspace(1e-4, 2e-2, 1000))
    size, timesteps = images.shape[-1], slow_timesteps(settings)
    vertical = [name == "vertical" for name in settings.orientations]
    masks = slow_masks(settings.reading, settings.width, settings.stride, size, vertical)

    @functools.cache
    def noise(k: int, r: int, step: int, stream: int) -> np.ndarray:
        drawn = normal_noise(SEED, torch.tensor([k]), torch.tensor([r]), step, stream, (size, size))
        return drawn[0, 0].double().numpy()

    def apply(
        network: Callable[..., Tensor], channels: Sequence[np.ndarray], *rest: Tensor
    ) -> np.ndarray:
        with torch.no_grad():
            return (
                network(torch.tensor(np.stack(channels)[None], dtype=torch.float32), *rest)[0, 0]
                .double()
                .numpy()
            )

    sums = {name: np.zeros((len(images), 1, size, size)) for name in NAMES}
    for k in range(len(images)):
        x = images[k, 0].double().numpy()
        for r, m in enumerate(masks):
            y = noise(k, NO_MASK, 0, INITIAL)
            for i, t in enumerate(timesteps):
                eps = noise(k, r, i if settings.reading == "code" else 0, CONDITION)
                noisy = m if hidden is None else m | hidden[k, 0].numpy()
                condition = (1 - noisy) * x + noisy * eps
                y_0 = apply(f, [y, condition], torch.tensor([t]))
                implied = (y - math.sqrt(abar[t]) * y_0) / math.sqrt(1 - abar[t])
                before = abar[timesteps[i + 1]] if i + 1 < len(timesteps) else 1.0
                variance = (
                    (1 - before) / (1 - abar[t]) * (1 - abar[t] / before)
                    if settings.sampler == "ancestral"
                    else 0.0
                )
                y = math.sqrt(before) * y_0 + math.sqrt(max(1 - before - variance, 0)) * implied
                if variance > 0:
                    y = y + math.sqrt(variance) * noise(k, r, i, ANCESTRAL)
            reconstructed = apply(g, [y])
            bright, dark = np.maximum(x - reconstructed, 0), np.minimum(x - reconstructed, 0)
            weight = settings.other_side
            counted = {
                "both": x - reconstructed,
                "brighter": bright + weight * dark,
                "darker": dark + weight * bright,
            }[settings.sign]
            error = counted**2 if settings.reading == "code" else np.abs(counted)
            for name, value in zip(
                NAMES, (error, x - reconstructed, y, reconstructed, np.ones_like(x)), strict=True
            ):
                sums[name][k, 0] += m * value
    coverage = sums["coverage"]
    return {name: total if name == "coverage" else total / coverage for name, total in sums.items()}


def assert_close(first: Tensor, second: Tensor | np.ndarray, relative: float = 1e-5) -> None:
    """Equal to a share of the maximum, and NaN at the same places."""
    expected = torch.as_tensor(second, dtype=torch.float32)
    scale = float(expected[expected.isfinite()].abs().max())
    torch.testing.assert_close(first, expected, rtol=0, atol=relative * scale, equal_nan=True)
