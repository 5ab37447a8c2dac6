"""What a trainer or evaluator gets of a batch: the masked pair of Alg. 1, a strip, a plain pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.engines import DiffusionPrepareBatch, PrepareBatch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.methods import random_strip_masks, strip_masks, width_range
from mmccd.models import CONDITION, INITIAL, NO_MASK, masked_condition, normal_noise
from mmccd.training.cycle.conditions import Hiding, corrupted_source
from mmccd.training.cycle.pairs import Pairs


class MaskedDiffusionPrepareBatch(DiffusionPrepareBatch):
    """The training batch of f, Alg. 1, for MONAI's ``SupervisedTrainer`` with ``DiffusionInferer``.

    The batch's ``image`` is the source x, its ``label`` the target y; a strip of x is covered with
    noise, a timestep is drawn, and the network's target is y itself.

    Args:
        num_train_timesteps: T.
        strip_width: thickness of the strip in pixels, or the smallest and the largest one
            (:func:`~mmccd.methods.mmccd.masks.random_strip_masks`).
        high_noise_bias: 0: t is uniform in [0, T), as in the paper; b > 0: its density grows as
            t^b. The few steps of the quick presets start from, and mostly lie at, high noise.

    Raises:
        ValueError: a negative bias, strip widths that cannot be.
    """

    def __init__(
        self,
        num_train_timesteps: int = 1000,
        strip_width: int | Sequence[int] = 16,
        high_noise_bias: float = 0.0,
    ) -> None:
        super().__init__(num_train_timesteps=num_train_timesteps)
        width_range(strip_width)
        if high_noise_bias < 0:
            raise ValueError(f"high_noise_bias must be at least 0, got {high_noise_bias}")
        self.strip_width = strip_width
        self.high_noise_bias = high_noise_bias

    def get_timesteps(self, images: Tensor) -> Tensor:
        """One t for each image, int64 ``(batch,)``."""
        if not self.high_noise_bias:
            return torch.as_tensor(super().get_timesteps(images))
        draws = torch.rand(images.shape[0], device=images.device) ** (
            1 / (1 + self.high_noise_bias)
        )
        steps: int = self.num_train_timesteps
        return (draws * steps).long().clamp_max(steps - 1)

    def get_target(self, images: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """y_0 (prediction type "sample")."""
        return images

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor, tuple[()], dict[str, Any]]:
        """(y, target, no args, keyword arguments of the inferer); see the class."""
        swapped = {"image": batchdata["label"], "label": batchdata["label"]}
        target_image, target, _, arguments = super().__call__(
            swapped, device, non_blocking, **kwargs
        )
        source = batchdata["image"].to(target_image.device, non_blocking=non_blocking, **kwargs)
        condition = self.condition(source, batchdata)
        return target_image, target, (), {**arguments, "condition": condition, "mode": "concat"}

    def condition(self, source: Tensor, batchdata: dict[str, Tensor]) -> Tensor:
        """What f sees of x: noise under a strip.

        Args:
            source: x on the device, ``(batch, 1, height, width)``.
            batchdata: the whole batch.
        """
        size = (source.shape[-2], source.shape[-1])
        mask = random_strip_masks(source.shape[0], size, self.strip_width).to(source.device)
        return masked_condition(source, mask, torch.randn_like(source))


class CorruptedDiffusionPrepareBatch(MaskedDiffusionPrepareBatch):
    """The training batch of an f that leaves anomalies out: x has synthetic anomalies, scanner
    effects and mask slips (:mod:`mmccd.training.corruption`) and is hidden by a strip, by a veil or
    not at all; the target is the clean y.

    Args:
        num_train_timesteps: T.
        high_noise_bias: see :class:`MaskedDiffusionPrepareBatch`.
        hiding: how often and how x is hidden; None for the default.
    """

    def __init__(
        self,
        num_train_timesteps: int = 1000,
        high_noise_bias: float = 0.0,
        hiding: Hiding | None = None,
    ) -> None:
        super().__init__(num_train_timesteps, high_noise_bias=high_noise_bias)
        self.hiding = hiding or Hiding()

    def condition(self, source: Tensor, batchdata: dict[str, Tensor]) -> Tensor:
        """x corrupted and hidden; seeded by torch's global generator, so that an epoch's seed
        decides all of it.
        """
        brain = batchdata["brain"].to(source.device) > 0.5
        draws = Draws(int(torch.randint(2**31, (1,))), source.device)
        corrupted, _ = corrupted_source(Pairs(source, source, brain), draws)
        return self.hiding(corrupted, draws)


class StripPrepareBatch(PrepareBatch):
    """Validation batch of f: x, y, and one fixed strip per slice, the same at every validation.

    Args:
        width: thickness of the strips in pixels; of a range
            (:func:`~mmccd.methods.mmccd.masks.width_range`) the largest.
        stride: distance of the positions that are used in turn.
        seed: seed of the noise.

    Raises:
        ValueError: widths that cannot be.
    """

    def __init__(self, width: int | Sequence[int] = 16, stride: int = 8, seed: int = 0) -> None:
        self.width = width_range(width)[1]
        self.stride = stride
        self.seed = seed

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor], tuple[()], dict[str, Any]]:
        """(x, {y, x, brain, mask}, no args, keyword arguments of
        :class:`MaskedTranslationInferer`).
        """
        source, target, brain = _moved(batchdata, device, non_blocking, kwargs)
        size = (source.shape[-2], source.shape[-1])
        masks = strip_masks(size, self.width, self.stride)
        slices = torch.arange(source.shape[0], device=source.device)
        # Strips that cross the middle, where the brain is: those at the border would measure the
        # background.
        central = torch.nonzero(
            masks[:, size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4].flatten(1).any(1)
        ).flatten()
        chosen = central[(slices.cpu() * 7) % len(central)]
        mask = masks[chosen][:, None].to(source.device)
        arguments = {
            "mask": mask,
            "noise": normal_noise(self.seed, slices, chosen.to(source.device), 0, CONDITION, size),
            "initial": normal_noise(
                self.seed, slices, torch.full_like(slices, NO_MASK), 0, INITIAL, size
            ),
        }
        truth = {"target": target, "source": source, "brain": brain, "mask": mask}
        return source, truth, (), arguments


class CorruptedValidationBatch(PrepareBatch):
    """Validation batch of an f that leaves anomalies out: all of a corrupted x in sight, the same
    at every validation; the error counts in the whole brain.

    Args:
        seed: seed of corruption and noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor], tuple[()], dict[str, Any]]:
        """(corrupted x, {y, clean x, brain, mask}, no args, keyword arguments of
        :class:`MaskedTranslationInferer`).
        """
        source, target, brain = _moved(batchdata, device, non_blocking, kwargs)
        draws = Draws(self.seed, source.device)
        corrupted, _ = corrupted_source(Pairs(source, target, brain), draws)
        arguments = {
            "mask": torch.zeros_like(brain),
            "noise": torch.zeros_like(source),
            "initial": draws.normal(len(source), *source.shape[1:]),
        }
        truth = {
            "target": target,
            "source": source,
            "brain": brain,
            "mask": torch.ones_like(brain),
        }
        return corrupted, truth, (), arguments


class PairPrepareBatch(PrepareBatch):
    """Validation batch of g: its input, and the truth with the brain."""

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(input, {target, brain})."""
        source, target, brain = _moved(batchdata, device, non_blocking, kwargs)
        return source, {"target": target, "brain": brain}


def _moved(
    batchdata: dict[str, Tensor],
    device: str | torch.device | None,
    non_blocking: bool,
    arguments: dict[str, Any],
) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and the brain (bool) of a batch on a device."""
    source, target, brain = (
        batchdata[key].to(device, non_blocking=non_blocking, **arguments)
        for key in ("image", "label", "brain")
    )
    return source, target, brain > 0.5
