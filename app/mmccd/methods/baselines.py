"""Scorers of the baselines: each turns normalised slices into an anomaly map, as
:class:`mmccd.methods.scorer.Scorer` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from monai.inferers import Inferer
from scipy.stats import rankdata
from torch import Tensor, nn

from mmccd.core import CancelledError, CycleResult
from mmccd.methods.mmccd.cycle import Progress
from mmccd.models import INITIAL, NO_MASK, MaskedDiffusionScheduler, normal_noise

Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class IntensityScorer:
    """The input's own intensity: the brighter, the more anomalous."""

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> CycleResult:
        """See :meth:`mmccd.methods.scorer.Scorer.score`; nothing is imagined or returned."""
        return score_within(brain, image)


@dataclass(frozen=True)
class HistogramScorer:
    """Rank of the intensity within the slice's brain, in (0, 1]: the intensity after histogram
    equalisation.

    Meissen, Kaissis and Rueckert, "Challenging current semi-supervised anomaly segmentation methods
    for brain MRI", BrainLes 2021.
    """

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> CycleResult:
        """See :meth:`mmccd.methods.scorer.Scorer.score`; nothing is imagined or returned."""
        ranks = torch.zeros_like(image)
        for index in range(len(image)):
            inside = image[index][brain[index]]
            if inside.numel():
                ranks[index][brain[index]] = torch.from_numpy(
                    rankdata(inside.numpy()) / inside.numel()
                ).float()
        return score_within(brain, ranks)


@dataclass(frozen=True)
class ReconstructionScorer:
    """|x - x'| with x' from a network that reconstructs healthy slices.

    Attributes:
        network: AE, VAE or DAE in evaluation mode on ``device``.
        device: where the passes run.
        batch_size: slices per pass.
    """

    network: nn.Module
    device: torch.device
    batch_size: int = 16

    @torch.inference_mode()
    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> CycleResult:
        """See :meth:`mmccd.methods.scorer.Scorer.score`; ``imagined`` is the reconstruction."""
        returned = torch.zeros_like(image)
        for part in batches(brain, self.batch_size, progress, cancelled):
            returned[part] = self.network(image[part].to(self.device)).float().cpu()
        return error_within(brain, image, returned, returned)


@dataclass(frozen=True)
class TranslationCycleScorer:
    """|x - g(h(x))| with two deterministic translators: the cycle without masks and without
    diffusion ("Cyclic UNet").

    Attributes:
        forward: h, source to target, in evaluation mode on ``device``.
        backward: g, target to source, likewise.
        device: where the passes run.
        batch_size: slices per pass.
    """

    forward: nn.Module
    backward: nn.Module
    device: torch.device
    batch_size: int = 16

    @torch.inference_mode()
    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> CycleResult:
        """See :meth:`mmccd.methods.scorer.Scorer.score`."""
        imagined, returned = torch.zeros_like(image), torch.zeros_like(image)
        for part in batches(brain, self.batch_size, progress, cancelled):
            target = self.forward(image[part].to(self.device)).float()
            imagined[part] = target.cpu()
            returned[part] = self.backward(target).float().cpu()
        return error_within(brain, image, imagined, returned)


class PartialDiffusionInferer(Inferer):
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
        self, scheduler: MaskedDiffusionScheduler, level: int = 250, steps: int = 25, seed: int = 0
    ) -> None:
        super().__init__()
        self.scheduler = scheduler.with_sampling("trailing", 0.0)
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
        timesteps = self.scheduler.timesteps.tolist()
        image = self.scheduler.add_noise(inputs, noise, torch.full_like(numbers, timesteps[0]))
        for timestep in timesteps:
            prediction = network(image, torch.full_like(numbers, timestep)).float()
            image, _ = self.scheduler.step(prediction, timestep, image)
        return image


@dataclass(frozen=True)
class DiffusionScorer:
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

    @torch.inference_mode()
    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> CycleResult:
        """See :meth:`mmccd.methods.scorer.Scorer.score`."""
        returned = torch.zeros_like(image)
        for part in batches(brain, self.batch_size, progress, cancelled):
            returned[part] = self.inferer(image[part].to(self.device), self.network, part).cpu()
        return error_within(brain, image, returned, returned)


def batches(
    brain: Tensor, size: int, progress: Progress | None, cancelled: Cancelled | None
) -> Iterator[Tensor]:
    """Indices of the slices that hold brain, a few at a time.

    Raises:
        CancelledError: ``cancelled`` returned True.
    """
    holding = torch.nonzero(brain.flatten(1).any(1)).flatten()
    done = 0
    for part in holding.split(size):
        if cancelled is not None and cancelled():
            raise CancelledError("the run was cancelled; nothing was written")
        if len(part):
            yield part
        done += len(part)
        if progress is not None:
            progress(done, len(holding))


def score_within(brain: Tensor, score: Tensor) -> CycleResult:
    """A score of the input itself, where nothing is imagined or returned."""
    nothing = torch.full_like(score, torch.nan)
    return result_within(brain, score, score, nothing, nothing)


def error_within(brain: Tensor, image: Tensor, imagined: Tensor, returned: Tensor) -> CycleResult:
    """|x - x'| and what it was made of."""
    signed = image - returned
    return result_within(brain, signed.abs(), signed, imagined, returned)


def result_within(
    brain: Tensor, anomaly: Tensor, signed: Tensor, imagined: Tensor, returned: Tensor
) -> CycleResult:
    """Maps that hold inside the brain of the slices that were scored; NaN elsewhere."""
    inside = [
        torch.where(brain, layer, torch.nan) for layer in (anomaly, signed, imagined, returned)
    ]
    return CycleResult(inside[0], inside[1], inside[2], inside[3], brain.float())
