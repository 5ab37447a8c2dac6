"""|x - x'| with x' from partial noising and denoising by a diffusion model of healthy images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmccd.methods.base import Context, Method, Need, trained
from mmccd.methods.scoring import BatchedScorer
from mmccd.models import (
    INITIAL,
    NO_MASK,
    MaskedDiffusionScheduler,
    TranslationUNet,
    normal_noise,
    reverse,
)

LEVEL = 250
STEPS = 25


class PartialDiffusionInferer:
    """Noise an image up to a level and denoise it again with a diffusion model of healthy images.

    Pinaya et al. (MICCAI 2022) and Wyatt et al. ("AnoDDPM", CVPR workshops 2022); here with
    Gaussian noise and few DDIM steps (eta 0).

    Args:
        scheduler: the noise schedule that the network was trained with.
        level: timestep of the noised image, 1 to T (Wyatt et al.: 250 of 1000).
        steps: denoising steps, 1 to ``level``.
        seed: seed of the noise.
    """

    def __init__(
        self,
        scheduler: MaskedDiffusionScheduler,
        level: int = LEVEL,
        steps: int = STEPS,
        seed: int = 0,
    ) -> None:
        self.scheduler = scheduler.with_sampling()
        self.scheduler.set_timesteps(steps, levels=level)
        self.level, self.steps, self.seed = level, steps, seed

    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        numbers: Tensor | None = None,
        *args: object,
        **kwargs: object,
    ) -> Tensor:
        """Noise and denoise.

        Args:
            inputs: x, ``(batch, 1, height, width)``.
            network: called as ``network(x_t, timesteps)``.
            numbers: index of each image, int64 ``(batch,)``, for its noise; 0, 1, ... where it is
                None.

        Returns:
            x', of the shape of ``inputs``.
        """
        numbers = (
            torch.arange(len(inputs), device=inputs.device)
            if numbers is None
            else numbers.to(inputs.device)
        )
        size = (inputs.shape[-2], inputs.shape[-1])
        noise = normal_noise(
            self.seed, numbers, torch.full_like(numbers, NO_MASK), 0, INITIAL, size
        )
        first = int(self.scheduler.timesteps[0])
        image = self.scheduler.add_noise(inputs, noise, torch.full_like(numbers, first))
        return reverse(network, image, self.scheduler)


@dataclass(frozen=True)
class DiffusionScorer(BatchedScorer):
    """|x - x'| with x' from partial noising and denoising.

    Attributes:
        inferer: noising and denoising.
        network: the unconditional diffusion model, in evaluation mode on ``device``.
        device: where the passes run.
        batch_size: slices per pass.
    """

    inferer: PartialDiffusionInferer
    network: nn.Module
    device: torch.device
    batch_size: int = 16

    def reconstruct(self, image: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`BatchedScorer.reconstruct`."""
        found = self.inferer(image, self.network, numbers)
        return found, found


@dataclass(frozen=True)
class Diffusion(Method):
    """Noise to a level and denoise.

    Attributes:
        level: timestep of the noised image, 1 to 1000.
        steps: denoising steps, 1 to ``level``.
    """

    name: ClassVar[str] = "ddpm"
    title: ClassVar[str] = "DDPM"
    needs: ClassVar[Mapping[str, Need]] = {"network": trained("ddpm", TranslationUNet)}

    level: int = LEVEL
    steps: int = STEPS

    def key(self, context: Context) -> dict[str, Any]:
        """See :meth:`mmccd.methods.Method.key`."""
        self._inferer(context)  # an impossible level is told before any work
        return {**super().key(context), "seed": context.seed}

    def build(self, context: Context) -> DiffusionScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return DiffusionScorer(self._inferer(context), context.network("network"), context.device)

    def _inferer(self, context: Context) -> PartialDiffusionInferer:
        scheduler = context.weights["network"].load_scheduler()
        return PartialDiffusionInferer(scheduler, self.level, self.steps, context.seed)
