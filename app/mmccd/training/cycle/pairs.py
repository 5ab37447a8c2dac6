"""Healthy pairs (x, y, brain) by the batch, of label slices and real slices, moved about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmccd.imaging import Draws
from mmccd.phantom import ContrastPool, SliceImages, picture_scan_slices, picture_slices
from mmccd.training.corruption import (
    FLAIR_PERCENTILES,
    OTHER_PERCENTILES,
    normalise_slices,
)
from mmccd.training.cycle.pack import HIGHEST, LOWEST, Bytes, from_bytes

CONTRAST_POOL = 2048


@dataclass(frozen=True)
class Pairs:
    """Healthy slices, float32 or bool ``(batch, 1, size, size)``.

    Attributes:
        source: x, normalised, 0 outside the brain.
        target: y, likewise.
        brain: bool.
    """

    source: Tensor
    target: Tensor
    brain: Tensor


class HealthyPairs:
    """Draws batches.

    Args:
        labels: classes of label slices, groups of ``(slices, 2, 256, 256)``; each map counts alike
            where groups were cut alike.
        real: ``source`` and ``target`` of real slices in bytes, or None.
        real_share: share of real slices in a batch; without meaning where there are none.
        source: contrast of x.
        target: contrast of y.
        draws: random numbers.
        seed: of the contrasts.
        scans: levels and kinds of scan slices ``(slices, 2, 128, 128)``, or None.
        scan_share: share of the batch that is made of them; without meaning where there are none.

    Attributes:
        fingerprint: hash of all slices: the same ones in another place have the same.
    """

    def __init__(
        self,
        labels: Sequence[Bytes],
        real: Mapping[str, NDArray[Any]] | None,
        real_share: float,
        source: str,
        target: str,
        draws: Draws,
        seed: int = 0,
        scans: Bytes | None = None,
        scan_share: float = 0.0,
    ) -> None:
        self.draws = draws
        self.fingerprint = _fingerprint(
            [*labels, *(real or {}).values(), *([] if scans is None else [scans])]
        )
        self.labels = torch.cat([torch.from_numpy(part) for part in labels]).to(draws.device)
        self.real: tuple[Tensor, Tensor] | None = None
        if real is not None:
            source_bytes, target_bytes = (
                torch.from_numpy(real[name]).to(draws.device) for name in ("source", "target")
            )
            self.real = source_bytes, target_bytes
        self.real_share = real_share if real is not None else 0.0
        self.scans = None if scans is None else torch.from_numpy(scans).to(draws.device)
        self.scan_share = scan_share if scans is not None else 0.0
        self.contrasts = source, target
        self.pool = ContrastPool(CONTRAST_POOL, seed, draws.device)

    def draw(self, count: int) -> Pairs:
        """A batch of that many pairs."""
        real = self._part(count, count, self.real_share)
        scans = self._part(count, count - real, self.scan_share)
        parts = [self._real(real)] if real else []
        if scans:
            parts.append(self._scan_slices(scans))
        if count > real + scans:
            parts.append(self._label_slices(count - real - scans))
        source, target, brain = (torch.cat(group) for group in zip(*parts, strict=True))
        return move_about(Pairs(source, target, brain), self.draws)

    def _real(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        assert self.real is not None
        rows = self._rows(len(self.real[0]), count)
        source, brain = from_bytes(self.real[0][rows])
        return source, from_bytes(self.real[1][rows])[0], brain

    def _part(self, count: int, most: int, share: float) -> int:
        """That share of a batch, as near as whole numbers and chance allow."""
        return min(most, int(count * share + self.draws.host.random())) if share else 0

    def _label_slices(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = self.labels[self._rows(len(self.labels), count)]
        return self._normalised(picture_slices(chosen, self.pool, self.draws))

    def _scan_slices(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        assert self.scans is not None
        chosen = self.scans[self._rows(len(self.scans), count)]
        return self._normalised(picture_scan_slices(chosen, self.pool, self.draws))

    def _normalised(self, made: SliceImages) -> tuple[Tensor, Tensor, Tensor]:
        source, target = (
            normalise_slices(
                made.images[name],
                made.brain,
                percentiles=FLAIR_PERCENTILES if name == "flair" else OTHER_PERCENTILES,
            ).clamp(LOWEST, HIGHEST)
            for name in self.contrasts
        )
        return source, target, made.brain

    def _rows(self, total: int, count: int) -> Tensor:
        chosen = self.draws.host.integers(total, size=count)
        return torch.from_numpy(chosen).to(self.draws.device, non_blocking=True)


def move_about(pairs: Pairs, draws: Draws) -> Pairs:
    """Random flip, rotation (up to 17 degrees), scaling (20 %), shift and elastic deformation, the
    same for all images of a pair.
    """
    count, _, size, _ = pairs.source.shape
    angle = draws.uniform(count, -0.3, 0.3).flatten()
    scale = draws.uniform(count, 0.8, 1.2).flatten()
    other = scale * draws.uniform(count, 0.9, 1.1).flatten()
    flip = draws.chance(count, 0.5).flatten().float() * 2 - 1
    shift = draws.uniform(2 * count, -0.05, 0.05).view(count, 2)
    rows = [
        torch.stack([angle.cos() * scale * flip, -angle.sin() * scale, shift[:, 0]], dim=1),
        torch.stack([angle.sin() * other * flip, angle.cos() * other, shift[:, 1]], dim=1),
    ]
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), [count, 1, size, size], align_corners=False
    )
    bend = torch.cat([draws.field(count, 6, size), draws.field(count, 6, size)], dim=1)
    grid = grid + 0.02 * bend.permute(0, 2, 3, 1)
    planes = torch.cat([pairs.source, pairs.target, pairs.brain.float()], dim=1)
    moved = functional.grid_sample(planes, grid, align_corners=False)
    brain = moved[:, 2:] > 0.6
    source, target = (torch.where(brain, moved[:, n : n + 1], 0) for n in (0, 1))
    return Pairs(source, target, brain)


def _fingerprint(arrays: Sequence[NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
