"""How f is run in validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from mmccd.models import MaskedDiffusionScheduler, masked_condition, reverse


class MaskedTranslationInferer(Inferer):
    """f under one mask per slice, and g behind it where g is given: ``(y_0, x')`` as ``(batch, 2,
    height, width)``.

    Args:
        scheduler: the sampler.
        steps: sampling steps.
        backward: g in evaluation mode, or None (then x' is NaN).
    """

    def __init__(
        self, scheduler: MaskedDiffusionScheduler, steps: int = 1, backward: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.steps = steps
        self.backward = backward.eval() if backward is not None else None

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """Translate ``inputs`` (x) under ``mask`` with ``noise``, from ``initial``."""
        condition = masked_condition(inputs, kwargs["mask"], kwargs["noise"])
        self.scheduler.set_timesteps(self.steps)
        image = reverse(network, kwargs["initial"], self.scheduler, lambda step: condition)
        reconstructed = torch.full_like(image, math.nan)
        if self.backward is not None:
            reconstructed = self.backward(image).float()
        return torch.cat([image, reconstructed], dim=1)
