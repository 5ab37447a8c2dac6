"""What f gets to see of a slice in training: strips, a veil, or everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import (
    FAMILIES,
    Family,
    corrupt,
    jitter,
    normalise_slices,
    scan,
    slip,
)
from mmccd.training.cycle.pack import HIGHEST, LOWEST
from mmccd.training.cycle.pairs import Pairs

UNCHANGED_BELOW = 0.1
"""Soft label below which a pixel counts as healthy when the slice is normalised."""


@dataclass(frozen=True)
class Hiding:
    """How the condition is hidden, drawn for each sample.

    Attributes:
        strips: share of samples with a strip of full noise, as in Alg. 1.
        veil: share with partial noise x + s eps, s up to ``veil_sd``; the rest is clear.
        strip_width: narrowest and widest strip in pixels, uniform in the logarithm.
        veil_sd: largest s.
        partly: share of the veiled samples in which only half the slice is veiled.
    """

    strips: float = 0.25
    veil: float = 0.35
    strip_width: tuple[int, int] = (4, 64)
    veil_sd: float = 1.5
    partly: float = 0.3

    def as_dict(self) -> dict[str, object]:
        """Plain values for a card."""
        return asdict(self) | {"strip_width": list(self.strip_width)}

    def __call__(self, condition: Tensor, draws: Draws) -> Tensor:
        """Hide parts of each slice ``(batch, 1, size, size)``."""
        count, size = len(condition), condition.shape[-1]
        kind = draws.uniform(count)
        noise = draws.normal(count, 1, size, size)
        strips = _strips(count, size, self.strip_width, draws) & (kind < self.strips)
        veiled = (kind >= self.strips) & (kind < self.strips + self.veil)
        part = draws.chance(count, 1 - self.partly) | (draws.field(count, 3, size) > 0)
        amount = draws.uniform(count, 0, self.veil_sd) * veiled * part
        return torch.where(strips, noise, condition + amount * noise)


def _strips(count: int, size: int, width: tuple[int, int], draws: Draws) -> Tensor:
    """One strip a slice, across or down, that may hang over the border; bool ``(batch, 1, size,
    size)``.
    """
    thick = draws.log_uniform(count, *width).round()
    start = ((draws.uniform(count) * (size + thick)).floor() - thick).clamp_min(1 - thick)
    line = torch.arange(size, device=draws.device)
    inside = (line >= start) & (line < start + thick)
    down = draws.chance(count, 0.5)
    return torch.where(down, inside.transpose(-1, -2), inside)


@dataclass(frozen=True)
class Seen:
    """What a network gets to see of healthy slices, float32 or bool ``(batch, 1, size, size)``.

    Attributes:
        image: with anomalies, scanner effects and mask slips, normalised by its healthy part.
        brain: bool, the mask after its slips.
        label: soft label, see :func:`~mmccd.training.corruption.corrupt`; 0 outside ``brain``.
    """

    image: Tensor
    brain: Tensor
    label: Tensor


def corrupted_slices(
    image: Tensor,
    brain: Tensor,
    draws: Draws,
    families: Sequence[Family] = FAMILIES,
    apart: float = 0.0,
) -> Seen:
    """Healthy slices ``(batch, 1, size, size)`` and their brain with everything that can be wrong
    with them; ``apart`` is that of :func:`~mmccd.training.corruption.jitter`.
    """
    return scanned_slices(*corrupt(image, brain, draws, families), brain, draws, apart)


def scanned_slices(
    changed: Tensor, label: Tensor, brain: Tensor, draws: Draws, apart: float = 0.0
) -> Seen:
    """What a scanner and a brain mask make of painted slices.

    Args:
        changed: slices with anomalies, ``(batch, 1, size, size)``.
        label: soft label of these.
        brain: bool of the same shape.
        draws: random numbers.
        apart: that of :func:`~mmccd.training.corruption.jitter`.
    """
    seen, mask = slip(torch.where(brain, scan(changed, draws), 0), brain, draws)
    seen = normalise_slices(seen, mask, label < UNCHANGED_BELOW)
    return Seen(jitter(seen, mask, draws, apart).clamp(LOWEST, HIGHEST), mask, label * mask)


def corrupted_source(pairs: Pairs, draws: Draws) -> tuple[Tensor, Tensor]:
    """x as f gets to see it, and its soft labels."""
    seen = corrupted_slices(pairs.source, pairs.brain, draws)
    return seen.image, seen.label
