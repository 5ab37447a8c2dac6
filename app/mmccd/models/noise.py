"""Noise as a pure function of (seed, slice, mask, step, voxel).

Random numbers come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
3", SC 2011), a counter-based generator: the integers are equal on every device and for every batch
size and order of work. They become normal numbers by the Box-Muller transform, in float64 where the
device has it (agreement across devices about 1e-7, elsewhere 1e-6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

NO_MASK = 0xFFFFFFFF
"""Mask index of noise that all masks of a slice share (the initial noise y_T)."""
FIRST_DRAW = 1 << 31
"""Mask index of the first draw that hides the whole slice; further draws follow, and masks lie
below: no draw shares its noise with a mask."""
INITIAL, CONDITION, ANCESTRAL = 0, 1, 2
"""Streams: y_T, the noise that hides, the noise that a sampling step with eta > 0 adds."""

_LOW32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox4x32(counter: Sequence[Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Philox4x32-10.

    Args:
        counter: four int64 tensors of one shape (broadcastable), values in [0, 2^32).
        key: two integers in [0, 2^32).

    Returns:
        Four int64 tensors with values in [0, 2^32).
    """
    c0, c1, c2, c3 = torch.broadcast_tensors(*counter)
    k0, k1 = key
    for _ in range(_ROUNDS):
        hi0, lo0 = _multiply(c0, _MULTIPLIERS[0])
        hi1, lo1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0
        k0, k1 = (k0 + _WEYL[0]) & _LOW32, (k1 + _WEYL[1]) & _LOW32
    return [c0, c1, c2, c3]


def normal_noise(
    seed: int,
    slices: Tensor,
    masks: Tensor,
    step: int,
    stream: int,
    size: tuple[int, int],
) -> Tensor:
    """Standard normal noise for a batch of images.

    Args:
        seed: the run's seed, 0 <= seed < 2^64.
        slices: index of each image's slice in its volume, int64, shape ``(batch,)``.
        masks: index of each image's mask, int64, shape ``(batch,)``; :data:`NO_MASK` for noise that
            masks share, :data:`FIRST_DRAW` and above for draws that hide the whole slice.
        step: index of the sampling step, below 2^24; 0 for noise that does not change from step to
            step.
        stream: :data:`INITIAL`, :data:`CONDITION` or :data:`ANCESTRAL`.
        size: (height, width).

    Returns:
        float32 tensor ``(batch, 1, height, width)`` on the device of ``slices``.
    """
    height, width = size
    device = slices.device
    voxels = torch.arange((height * width + 3) // 4, device=device, dtype=torch.int64)
    fixed = torch.tensor((stream << 24) | step, device=device, dtype=torch.int64)
    counter = (
        voxels[None, :],
        slices.to(torch.int64)[:, None],
        masks.to(torch.int64)[:, None],
        fixed,
    )
    words = philox4x32(counter, (seed & _LOW32, (seed >> 32) & _LOW32))
    normals = torch.stack(_box_muller(words[0], words[1]) + _box_muller(words[2], words[3]), dim=-1)
    return normals.flatten(1)[:, : height * width].reshape(-1, 1, height, width).to(torch.float32)


def _multiply(values: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32 x 32 bit product; int64 wraps, and the mask drops the sign that
    the shift copies.
    """
    product = values * factor
    return (product >> 32) & _LOW32, product & _LOW32


def _box_muller(first: Tensor, second: Tensor) -> list[Tensor]:
    real = torch.float32 if first.device.type == "mps" else torch.float64
    scale = 2.0**-24 if real is torch.float32 else 2.0**-32
    shift = 8 if real is torch.float32 else 0
    radius = torch.sqrt(-2.0 * torch.log(((first >> shift).to(real) + 0.5) * scale))
    angle = (2.0 * math.pi) * ((second >> shift).to(real) + 0.5) * scale
    return [radius * torch.cos(angle), radius * torch.sin(angle)]
