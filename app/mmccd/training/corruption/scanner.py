"""What scanners do to a slice; no anomaly."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mmccd.imaging import Draws, blur

FULL_PIXELS = 3000
"""Brain pixels of a slice that is not near an end of the brain: about 105 cm^2."""
POOR_COIL_SHARE = 0.25
"""Share of slices whose bias field is strong: up to 1.9 times the signal, and finer."""
AIR = -4.0
"""Normalised intensity that counts as no signal."""


def scan(image: Tensor, draws: Draws) -> Tensor:
    """Bias field, gamma, lower resolution, blur, noise, gain and offset, each for some slices.

    Fields are multiplicative on the signal, smooth, up to about 40 %, of poor coils more; gamma
    changes the contrast between tissues; noise is white or, as in interpolated images, correlated.
    The result is in arbitrary units and has to be normalised
    (:func:`~mmccd.training.corruption.normalise_slices`). (Effects and ranges after Billot et al.,
    SynthSeg, MedIA 2023, with the bias field wider.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        draws: random numbers.
    """
    count, size = len(image), image.shape[-1]
    signal = (image - AIR).clamp_min(0) / -AIR
    signal = signal * torch.exp(_uneven(count, size, draws))
    signal = signal.clamp_min(1e-3) ** torch.exp(0.2 * draws.normal(count).clamp(-2, 2))
    signal = _lower_resolution(signal, draws)
    some = draws.some(count, 0.35)
    signal[some] = blur(signal[some], draws.uniform(len(some), 0.3, 1.0))
    return _with_noise(signal, draws) * draws.uniform(count, 0.8, 1.25)


def _uneven(count: int, size: int, draws: Draws) -> Tensor:
    """Logarithms of bias fields: a good coil's, or in a quarter of the slices a poor one's, which
    has finer parts, too.
    """
    poor = draws.chance(count, POOR_COIL_SHARE)
    coarse = draws.field(count, 3, size) + draws.field(count, 2, size)
    finer = torch.where(poor, draws.field(count, 4, size), 0)
    strength = torch.where(poor, draws.uniform(count, 0.1, 0.3), draws.uniform(count, 0, 0.2))
    return strength * (coarse + finer).clamp(-2.2, 2.2)


def _lower_resolution(signal: Tensor, draws: Draws) -> Tensor:
    """A third of the slices seen through coarser pixels."""
    signal = signal.clone()
    some = draws.some(len(signal), 0.3)
    size, coarse = (
        signal.shape[-1],
        int(draws.host.integers(signal.shape[-1] // 2, signal.shape[-1])),
    )
    if len(some):
        seen = functional.interpolate(signal[some], size=(coarse, coarse), mode="area")
        signal[some] = functional.interpolate(
            seen, size=(size, size), mode="bicubic", align_corners=False
        )
    return signal


def _with_noise(signal: Tensor, draws: Draws) -> Tensor:
    """White noise, or in half of the slices noise that neighbours share."""
    noise = draws.normal(len(signal), *signal.shape[1:])
    some = draws.some(len(signal), 0.5)
    noise[some] = 1.8 * blur(noise[some], 0.7)
    return signal + 0.1 * draws.uniform(len(signal)) ** 2 * noise


def jitter(image: Tensor, brain: Tensor, draws: Draws, apart: float = 0.0) -> Tensor:
    """Gain and offset that remain after normalisation, since a volume is normalised as a whole and
    its slices differ.

    Args:
        image: slices ``(batch, 1, size, size)``, each normalised by itself.
        brain: bool of the same shape.
        draws: random numbers.
        apart: how far the offset of half of the slices goes beyond the usual .2, and of a slice
            with little brain up to three times as far: the lowest and the topmost slices of a
            volume are as a whole brighter or darker than the rest, and nothing is wrong with them.
    """
    count = len(image)
    offset = draws.uniform(count, -0.2, 0.2)
    if apart:
        area = brain.sum((1, 2, 3), keepdim=True)
        farther = apart * (1 + 2 * (1 - area / FULL_PIXELS).clamp_min(0))
        offset = offset + draws.chance(count, 0.5) * farther * draws.uniform(count, -1, 1)
    changed = image * draws.uniform(count, 0.85, 1.18) + offset
    return torch.where(brain, changed, 0)
