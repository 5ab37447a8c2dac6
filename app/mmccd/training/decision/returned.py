"""x' of a trained cycle by the batch, as the quick presets make it: one step, one draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mmccd.imaging import Draws
from mmccd.methods import levelled
from mmccd.models import autocast


@dataclass(frozen=True)
class Returned:
    """What the cycle says, float32 ``(batch, 1, size, size)``, 0 outside the brain.

    Attributes:
        reconstructed: x'.
        signed: x - x' without its smooth offset.
    """

    reconstructed: Tensor
    signed: Tensor

    @classmethod
    def nothing(cls, image: Tensor) -> Returned:
        """As if there were no cycle."""
        return cls(torch.zeros_like(image), torch.zeros_like(image))


@dataclass(frozen=True)
class OneStepCycle:
    """f and g in one step from the highest noise.

    Attributes:
        forward: f, on the device of what it is given.
        backward: g, likewise.
        veil_sd: noise on the condition.
        last: T - 1, the highest timestep.
        precision: ``"fp32"`` or ``"bf16"``.
        hashes: SHA-256 of the weight files, by name; for cards.
    """

    forward: nn.Module
    backward: nn.Module
    veil_sd: float = 0.5
    last: int = 999
    precision: str = "fp32"
    hashes: Mapping[str, str] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, image: Tensor, brain: Tensor, draws: Draws) -> Returned:
        """Of normalised slices ``(batch, 1, size, size)`` and their brain."""
        start, veil = (draws.normal(len(image), *image.shape[1:]) for _ in range(2))
        given = torch.cat([start, image + self.veil_sd * veil], dim=1)
        steps = torch.full((len(image),), self.last, device=image.device)
        with autocast(image.device, self.precision):
            imagined = self.forward(given.contiguous(memory_format=torch.channels_last), steps)
            returned = self.backward(imagined).float()
        signed = levelled(image - returned, brain)
        return Returned(torch.where(brain, returned, 0), torch.where(brain, signed, 0))
