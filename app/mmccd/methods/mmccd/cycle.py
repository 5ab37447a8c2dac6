"""The masked cycle (Alg. 2, Eq. 10): tensors in, :class:`~mmccd.core.ScoreMaps` out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial

import torch
from monai.inferers import Inferer
from torch import Tensor

from mmccd.core import CancelledError, ScoreMaps
from mmccd.methods.base import Progress
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.mmccd.suspicion import suspicious_region
from mmccd.models import (
    ANCESTRAL,
    CONDITION,
    INITIAL,
    NO_MASK,
    MaskedDiffusionScheduler,
    autocast,
    masked_condition,
    normal_noise,
    reverse,
)

logger = logging.getLogger(__name__)

Network = Callable[..., Tensor]


class MaskedCycleInferer(Inferer):
    """Run x -> (masked) f -> y -> g -> x' for every slice and every strip, in batches over both.

    Args:
        scheduler: the noise schedule that f was trained with.
        settings: see :class:`CycleSettings`.
        batch_size: images per network pass; bounds the memory of the passes. It is halved where a
            GPU's memory is too small.
        precision: ``"fp32"`` or ``"bf16"`` (autocast; noise, sampler and sums stay float32).
        seed: seed of all noise.
    """

    def __init__(
        self,
        scheduler: MaskedDiffusionScheduler,
        settings: CycleSettings | None = None,
        batch_size: int = 16,
        precision: str = "fp32",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        if precision not in ("fp32", "bf16"):
            raise ValueError(f"precision must be 'fp32' or 'bf16', got {precision!r}")
        self.settings = settings or CycleSettings()
        self.scheduler = self.settings.sampling(scheduler)
        self.batch_size = batch_size
        self.precision = precision
        self.seed = seed

    @torch.inference_mode()
    def __call__(
        self,
        inputs: Tensor,
        network: Network,
        backward: Network,
        brain: Tensor | None = None,
        slices: Sequence[int] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> ScoreMaps:
        """Run the cycle.

        Args:
            inputs: x, normalised, ``(slices, 1, height, width)``, on the device of the networks.
            network: f, called as ``f(cat(y_t, x_r), timesteps)``.
            backward: g, called as ``g(y_0)``.
            brain: bool of the shape of ``inputs``; strips that touch no brain and slices without
                brain are skipped, which changes nothing inside the brain. None: everything is run.
                With more than one round, the region to hide lies within the brain, too.
            slices: index of each slice in its volume, for the noise; 0, 1, ... where it is None.
            progress: called after each batch with (images done, images in all).
            cancelled: asked before each batch; True ends the run.

        Returns:
            The maps; see :class:`ScoreMaps`.

        Raises:
            ValueError: inputs of another shape.
            CancelledError: ``cancelled`` returned True.
        """
        if inputs.ndim != 4 or inputs.shape[1] != 1:
            raise ValueError(
                f"expected inputs of shape (slices, 1, height, width), got {tuple(inputs.shape)}"
            )
        _check_companions(inputs, brain, slices)
        device = inputs.device
        masks = self.settings.masks((inputs.shape[-2], inputs.shape[-1]))
        touched = _touched(masks, brain, inputs.shape[0])
        numbers = torch.as_tensor(
            list(slices) if slices is not None else range(inputs.shape[0]), dtype=torch.int64
        )
        masks = masks.to(device)
        inside = brain.cpu() if brain is not None else torch.ones(inputs.shape, dtype=torch.bool)
        hidden = torch.zeros(inputs.shape, dtype=torch.bool)
        count = int(touched.sum())
        result = None
        for number in range(self.settings.rounds):
            if result is not None:
                before, hidden = (
                    hidden,
                    suspicious_region(
                        result.signed, inside, self.settings.suspicious_sd, self.settings.sign
                    ),
                )
                changed = (hidden != before).flatten(1).any(1)
                touched = touched & changed[:, None]
            work = _Work(inputs, masks, touched, numbers, hidden.to(device))
            tell = _part_of_progress(progress, number, self.settings.rounds, count)
            new = self._round(work, network, backward, tell, cancelled)
            result = new if result is None else _replaced(result, new, changed)
        assert result is not None
        return result

    def count(self, brain: Tensor) -> int:
        """What progress counts to for a brain mask: strips that touch it, times rounds."""
        masks = self.settings.masks((brain.shape[-2], brain.shape[-1]))
        return int(_touched(masks, brain, brain.shape[0]).sum()) * self.settings.rounds

    def _round(
        self,
        work: _Work,
        network: Network,
        backward: Network,
        progress: Progress,
        cancelled: Callable[[], bool] | None,
    ) -> ScoreMaps:
        """All strips of all slices that have work to do."""
        size = (work.inputs.shape[-2], work.inputs.shape[-1])
        device = work.inputs.device
        sums = torch.zeros(work.inputs.shape[0], 4, *size, device=device)
        items = torch.nonzero(work.touched)
        done = 0
        while done < len(items):
            if cancelled is not None and cancelled():
                raise CancelledError("the run was cancelled; nothing was written")
            part = items[done : done + self.batch_size]
            if not self._batch(work, part, network, backward, sums):
                continue
            done += len(part)
            progress(done, len(items))
        if not len(items):
            progress(0, 0)
        coverage = (work.touched.float() @ work.masks.cpu().flatten(1).float()).view(-1, 1, *size)
        return _means(sums.cpu(), coverage)

    def _batch(
        self, work: _Work, part: Tensor, network: Network, backward: Network, sums: Tensor
    ) -> bool:
        """Add the maps of some items (slice, mask) to the sums.

        Returns:
            False where the GPU's memory was too small: nothing was added, and the batch size is
            half of what it was, for all that follows.

        Raises:
            torch.OutOfMemoryError: too small even for one image.
        """
        device = work.inputs.device
        try:
            which, index = part[:, 0].to(device), part[:, 1].to(device)
            mask = work.masks[index][:, None]
            source = work.inputs[which].float()
            target = self._translate(
                source, mask | work.hidden[which], work.numbers[part[:, 0]], index, network
            )
            maps = self._maps(source, target, self._forward(backward, target)) * mask
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            self.batch_size = max(1, len(part) // 2)
        else:
            _accumulate(sums, part[:, 0].tolist(), maps)
            return True
        # Here, where the error and what its frames hold are gone.
        if device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning(
            "the memory of %s is too small; going on with batches of %d", device, self.batch_size
        )
        return False

    def _translate(
        self, source: Tensor, mask: Tensor, numbers: Tensor, index: Tensor, network: Network
    ) -> Tensor:
        """y_0 under the masked condition, from the y_T that all masks of a slice share; ``numbers``
        on the CPU, so that no GPU is waited for.
        """
        size = (source.shape[-2], source.shape[-1])
        different, which = (
            part.to(source.device) for part in torch.unique(numbers, return_inverse=True)
        )
        numbers = numbers.to(source.device)
        start = normal_noise(
            self.seed, different, torch.full_like(different, NO_MASK), 0, INITIAL, size
        )[which]

        @lru_cache(maxsize=1)
        def condition(draw: int) -> Tensor:
            noise = normal_noise(self.seed, numbers, index, draw, CONDITION, size)
            return masked_condition(source, mask, noise)

        return reverse(
            partial(self._forward, network),
            start,
            self.scheduler,
            lambda step: condition(step if self.settings.redraws_noise else 0),
            lambda step: normal_noise(self.seed, numbers, index, step, ANCESTRAL, size),
        )

    def _forward(self, network: Network, *arguments: Tensor) -> Tensor:
        with autocast(arguments[0].device, self.precision):
            output = network(*arguments)
        return output.float()

    def _maps(self, source: Tensor, target: Tensor, reconstructed: Tensor) -> Tensor:
        """(error, x - x', y_0, x') as ``(batch, 4, height, width)``; the error is the L2 norm over
        channels, squared in the public code.
        """
        signed = source - reconstructed
        bright, dark = self.settings.sides.weights
        counted = torch.where(signed > 0, bright, dark) * signed
        error = torch.linalg.vector_norm(counted, dim=1, keepdim=True)
        if self.settings.reading == "code":
            error = error.square()
        return torch.cat([error, signed, target, reconstructed], dim=1)


@dataclass(frozen=True)
class _Work:
    """What one round has to do, on the device of the inputs except for ``touched`` and ``numbers``.

    Attributes:
        inputs: x.
        masks: the strips, bool ``(masks, height, width)``.
        touched: which strip is run for which slice, bool ``(slices, masks)`` on the CPU.
        numbers: index of each slice in its volume, on the CPU.
        hidden: what is hidden beside the strip, bool of the shape of ``inputs``.
    """

    inputs: Tensor
    masks: Tensor
    touched: Tensor
    numbers: Tensor
    hidden: Tensor


def _part_of_progress(progress: Progress | None, number: int, rounds: int, count: int) -> Progress:
    """Progress of one of several rounds of ``count`` images each; a round with less to do ends
    where the full one would.
    """

    def tell(done: int, total: int) -> None:
        if progress is not None and count:
            progress(number * count + (done if done < total else count), rounds * count)

    return tell


def _replaced(old: ScoreMaps, new: ScoreMaps, changed: Tensor) -> ScoreMaps:
    """The new maps of the slices that were run again, the old ones of the others."""
    chosen = changed[:, None, None, None]
    return ScoreMaps(
        **{
            field.name: torch.where(chosen, getattr(new, field.name), getattr(old, field.name))
            for field in fields(ScoreMaps)
        }
    )


def _check_companions(inputs: Tensor, brain: Tensor | None, slices: Sequence[int] | None) -> None:
    if brain is not None and brain.shape != inputs.shape:
        raise ValueError(
            f"expected a brain mask of shape {tuple(inputs.shape)}, got {tuple(brain.shape)}"
        )
    if slices is not None and len(slices) != inputs.shape[0]:
        raise ValueError(f"expected {inputs.shape[0]} slice numbers, got {len(slices)}")


def _touched(masks: Tensor, brain: Tensor | None, count: int) -> Tensor:
    """Which mask touches the brain of which slice: bool ``(slices, masks)`` on the CPU."""
    if brain is None:
        return torch.ones(count, masks.shape[0], dtype=torch.bool)
    flat = brain.cpu().flatten(1).float()
    return (flat @ masks.flatten(1).float().T) > 0


def _accumulate(sums: Tensor, slices: list[int], masked: Tensor) -> None:
    """Add item by item: the order, and with it the rounding, is the same for every batch size and
    device.
    """
    for item, index in enumerate(slices):
        sums[index] += masked[item]


def _means(sums: Tensor, coverage: Tensor) -> ScoreMaps:
    means = torch.where(coverage > 0, sums / coverage.clamp(min=1), torch.nan)
    anomaly, signed, translated, reconstructed = means.split(1, dim=1)
    return ScoreMaps(anomaly, signed, translated, reconstructed, coverage)
