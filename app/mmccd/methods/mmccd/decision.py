"""The decision network d: what it gets to see of a slice, and what it says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmccd.models import autocast

LOWEST, HIGHEST = -4.0, 8.0
"""Normalised intensities beyond which d sees no difference."""
DECISION_CHANNELS = 5
MIDDLE = (112, 96)
"""Rows and columns in the middle of a slice that d looks at, 210 x 180 mm, where the brain fits in:
it was trained on these, and its normalisations depend on how much of a slice is empty.
"""


def decision_input(image: Tensor, brain: Tensor, reconstructed: Tensor, signed: Tensor) -> Tensor:
    """x, x mirrored left to right, the brain, x', and x - x'.

    Args:
        image: x, normalised, ``(slices, 1, height, width)``, the brain in the middle.
        brain: bool of the same shape.
        reconstructed: x' of the same shape; NaN counts as 0.
        signed: x - x', levelled where the cycle's is; NaN counts as 0. Where both are 0
            everywhere, d decides without the cycle, as it did in a part of its training.

    Returns:
        float32 ``(slices, 5, height, width)``, 0 outside the brain.
    """
    seen = torch.where(brain, image.clamp(LOWEST, HIGHEST), 0)
    returned, error = (
        torch.where(brain, layer.nan_to_num(0.0), 0) for layer in (reconstructed, signed)
    )
    return torch.cat([seen, seen.flip(-1), brain.float(), returned, error], dim=1)


def middle(layer: Tensor, size: tuple[int, int] = MIDDLE) -> Tensor:
    """The middle of slices ``(slices, channels, height, width)``; all of a side that is shorter."""
    rows, columns = (
        slice(max(whole - part, 0) // 2, max(whole - part, 0) // 2 + min(whole, part))
        for whole, part in zip(layer.shape[-2:], size, strict=True)
    )
    return layer[..., rows, columns]


@torch.inference_mode()
def decide(network: nn.Module, given: Tensor, precision: str = "fp32") -> Tensor:
    """The probability that each pixel is anomalous.

    Args:
        network: d, in evaluation mode, on the device of ``given``.
        given: see :func:`decision_input`.
        precision: ``"fp32"`` or ``"bf16"`` (autocast).

    Returns:
        float32 ``(slices, 1, height, width)`` in [0, 1], 0 outside the brain.
    """
    brain = given[:, 2:3] > 0
    fits = int(middle(brain).sum()) == int(brain.sum())
    seen = middle(given) if fits else given
    with autocast(given.device, precision):
        logits = network(seen.contiguous(memory_format=torch.channels_last))
    said = torch.zeros_like(given[:, :1])
    (middle(said) if fits else said).copy_(logits.float().sigmoid())
    return torch.where(brain, said, 0)
