"""Training and validation batches of the baselines, and the loss of the VAE."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from monai.engines import PrepareBatch
from torch import Tensor, nn

from mmccd.models import INITIAL, NO_MASK, normal_noise

Batch = dict[str, Tensor]
Device = str | torch.device | None


class ReconstructionPrepareBatch(PrepareBatch):
    """Training batch of AE and VAE: the image is its own target."""

    def __call__(
        self, batchdata: Batch, device: Device = None, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """(x, x), each ``(batch, 1, height, width)``."""
        image = batchdata["image"].to(device, non_blocking=non_blocking, **kwargs)
        return image, image


class ReconstructionValidationBatch(PrepareBatch):
    """Validation batch of everything that reconstructs x."""

    def __call__(
        self, batchdata: Batch, device: Device = None, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Batch]:
        """(x, {target: x, brain})."""
        image, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "brain")
        )
        return image, {"target": image, "brain": brain > 0.5}


class CoarseNoisePrepareBatch(PrepareBatch):
    """Training batch of the DAE: coarse noise on the brain has to be removed.

    Noise of ``resolution`` x ``resolution`` values is enlarged to the image's size, rolled by a
    random distance, and added to the brain (Kascenas, Pugeault and O'Neil, "Denoising autoencoders
    for unsupervised anomaly detection in brain MRI", MIDL 2022: resolution 16 for 128 pixels,
    standard deviation 0.2 where the 99th percentile of the brain is 1).

    Args:
        resolution: values along each axis of the coarse noise.
        std: standard deviation of the coarse values in normalised units (ours are standard
            deviations of the brain, of which the 99th percentile holds five to seven: 0.2 of it is
            about 1.2).
    """

    def __init__(self, resolution: int = 16, std: float = 1.2) -> None:
        if resolution < 1 or std <= 0:
            raise ValueError(
                f"resolution must be 1 or more and std positive, got {resolution} and {std}"
            )
        self.resolution = resolution
        self.std = std

    def __call__(
        self, batchdata: Batch, device: Device = None, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """(x + noise, x), each ``(batch, 1, height, width)``."""
        image, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "brain")
        )
        coarse = self.std * torch.randn(
            len(image), 1, self.resolution, self.resolution, device=image.device
        )
        noise = F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=True)
        shifts = [int(torch.randint(size, (1,))) for size in image.shape[-2:]]
        return image + noise.roll(shifts, dims=(-2, -1)) * (brain > 0.5), image


class CoarseNoiseValidationBatch(CoarseNoisePrepareBatch):
    """Validation batch of the DAE: the same noise at every validation.

    Args:
        resolution: as in training.
        std: as in training.
        seed: seed of the noise.
    """

    def __init__(self, resolution: int = 16, std: float = 1.2, seed: int = 0) -> None:
        super().__init__(resolution, std)
        self.seed = seed

    def __call__(
        self, batchdata: Batch, device: Device = None, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Any]:
        """(x + noise, {target: x, brain})."""
        image, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "brain")
        )
        numbers = torch.arange(len(image), device=image.device)
        coarse = normal_noise(
            self.seed,
            numbers,
            torch.full_like(numbers, NO_MASK),
            0,
            INITIAL,
            (self.resolution, self.resolution),
        )
        noise = self.std * F.interpolate(
            coarse, size=image.shape[-2:], mode="bilinear", align_corners=True
        )
        return image + noise * (brain > 0.5), {"target": image, "brain": brain > 0.5}


class VariationalLoss(nn.Module):
    """Mean squared error plus ``beta`` times the Kullback-Leibler divergence, both per pixel.

    Args:
        beta: weight of the divergence; 1 is the evidence lower bound of a unit Gaussian up to a
            factor of two.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Loss of what :class:`~mmccd.models.baselines.VariationalNetwork` returns in training
        mode.
        """
        return F.mse_loss(prediction[:, :1], target) + self.beta * prediction[:, 1:].mean()
