"""Seeded random numbers, smooth fields and blurs for batches of slices."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Draws:
    """A source of random numbers for one training run.

    What decides shapes (which slices of a batch get something) is drawn on the host, so that no GPU
    is waited for; everything else on the device. Numbers are repeatable on one kind of device, not
    across kinds.

    Args:
        seed: of everything.
        device: where tensors live.
    """

    def __init__(self, seed: int, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.host = np.random.default_rng(seed)

    def state_dict(self) -> dict[str, Any]:
        """Where both sources of numbers stand, as tensors and plain values."""
        return {
            "device": self.device.type,
            "generator": self.generator.get_state(),
            "host": self.host.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where others stood; on another kind of device with the host's numbers only.

        Raises:
            LookupError, RuntimeError, TypeError, ValueError: it is no such state.
        """
        self.host.bit_generator.state = state["host"]
        if state["device"] == self.device.type:
            self.generator.set_state(state["generator"])

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """``(count, 1, 1, 1)``, uniform between two values."""
        drawn = torch.rand(count, 1, 1, 1, generator=self.generator, device=self.device)
        return low + (high - low) * drawn

    def log_uniform(self, count: int, low: float, high: float) -> Tensor:
        """``(count, 1, 1, 1)``, its logarithm uniform between those of two positive values."""
        return self.uniform(count, math.log(low), math.log(high)).exp()

    def normal(self, count: int, *shape: int) -> Tensor:
        """``(count, *shape)`` of standard normal numbers; ``(count, 1, 1, 1)`` without a shape."""
        return torch.randn(
            count, *(shape or (1, 1, 1)), generator=self.generator, device=self.device
        )

    def chance(self, count: int, probability: float) -> Tensor:
        """bool ``(count, 1, 1, 1)``."""
        return self.uniform(count) < probability

    def either(self, count: int, probability: float, first: Tensor, second: Tensor) -> Tensor:
        """``first`` with that probability, else ``second``, for each sample."""
        return torch.where(self.chance(count, probability), first, second)

    def some(self, count: int, share: float) -> Tensor:
        """Indices of a share of ``count`` samples, int64, their number as near to the share as
        whole numbers and chance allow.
        """
        number = min(count, int(count * share + self.host.random()))
        chosen = self.host.permutation(count)[:number].copy()
        return torch.from_numpy(chosen).to(self.device, non_blocking=True)

    def field(self, count: int, knots: int, size: int = 128) -> Tensor:
        """Smooth random fields of zero mean and unit variance.

        Args:
            count: their number.
            knots: independent values along an edge; 2 is a slope, ``size / 2`` a fine texture.
            size: pixels along an edge.

        Returns:
            float32 ``(count, 1, size, size)``.
        """
        basis = _spline_basis(knots, size, self.device)
        field: Tensor = basis @ self.normal(count, 1, knots, knots) @ basis.T
        return field

    def pixel_of(self, region: Tensor) -> Tensor:
        """One random pixel of a region for each sample; the last one where a region is empty.

        Args:
            region: bool ``(batch, 1, height, width)``.

        Returns:
            (row, column), float32 ``(batch, 2)``.
        """
        sums = region.flatten(1).cumsum(1, dtype=torch.int32)
        wanted = (self.uniform(len(region)).flatten() * sums[:, -1]).floor().int() + 1
        index = torch.searchsorted(sums, wanted[:, None])[:, 0].clamp_max(sums.shape[1] - 1)
        width = region.shape[-1]
        return torch.stack([index // width, index % width], dim=1).float()


@lru_cache(maxsize=64)
def _spline_basis(knots: int, size: int, device: torch.device) -> Tensor:
    """Cubic B-splines round ``knots`` knots, each row scaled to unit norm: the interpolated field
    has the variance of its knots everywhere.
    """
    place = (torch.arange(size) + 0.5) / size * knots - 0.5
    distance = (place[:, None] - torch.arange(knots)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp_min(0) ** 3 / 6
    basis = torch.where(distance < 1, near, far)
    scaled: Tensor = basis / basis.norm(dim=1, keepdim=True)
    return scaled.to(device)


@lru_cache(maxsize=8)
def pixel_grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of each pixel, float32 ``(size, size)``."""
    line = torch.arange(size, dtype=torch.float32, device=device)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    return rows, columns


def blur(images: Tensor, sigma: Tensor | float) -> Tensor:
    """Gaussian blur within each slice; borders count only what is there.

    Args:
        images: ``(batch, channels, size, size)``.
        sigma: in pixels; one for all, or ``(batch, 1, 1, 1)``.
    """
    line = torch.arange(images.shape[-1], dtype=images.dtype, device=images.device)
    squared = (line[:, None] - line) ** 2
    if not isinstance(sigma, Tensor):  # filled there: a number that is copied waits for a GPU
        sigma = torch.full((), sigma, dtype=images.dtype, device=images.device)
    width = sigma.clamp_min(1e-3)
    weights = torch.exp(-squared / (2 * width**2))
    weights = weights / weights.sum(dim=-1, keepdim=True)
    blurred: Tensor = weights @ images @ weights.transpose(-1, -2)
    return blurred
