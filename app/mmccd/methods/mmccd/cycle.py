"""The masked cycle (Alg. 2, Eq. 10): tensors in, :class:`~mmccd.core.ScoreMaps` out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial

import torch
from torch import Tensor

from mmccd.core import CancelledError, ScoreMaps
from mmccd.methods.base import Progress
from mmccd.methods.mmccd.hiding import (
    Hiding,
    Items,
    Strips,
    Veil,
    strips,
    touched_strips,
    veil,
    veiled,
)
from mmccd.methods.mmccd.level import levelled
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.mmccd.suspicion import suspicious_region
from mmccd.models import (
    ANCESTRAL,
    MaskedDiffusionScheduler,
    autocast,
    reverse,
)

logger = logging.getLogger(__name__)

Network = Callable[..., Tensor]


class MaskedCycleInferer:
    """Run x -> (masked) f -> y -> g -> x' for every slice and every strip or draw, in batches over
    both.

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
                With more than one round, the region to hide lies within the brain, too; so does
                what the level of a slice is taken from.
            slices: index of each slice in its volume, for the noise; 0, 1, ... where it is None.
            progress: called after each batch with (images done, images in all).
            cancelled: asked before each batch; True ends the run.

        Returns:
            The maps; see :class:`ScoreMaps`.

        Raises:
            ValueError: inputs of another shape.
            CancelledError: ``cancelled`` returned True.
        """
        _check(inputs, brain, slices)
        inside = brain.cpu() if brain is not None else torch.ones(inputs.shape, dtype=torch.bool)
        numbers = torch.as_tensor(range(len(inputs)) if slices is None else slices).to(torch.int64)
        run = _Run(network, backward, inside, cancelled)
        work, draws = self._strips(inputs, brain, numbers), self._veil(inputs, brain, numbers)
        shares = [int(work.touched.sum())] * self.settings.rounds if work else []
        tell = _Shares(progress, shares + ([int(draws.touched.sum())] if draws else []))
        found = []
        if work:
            found.append(self._all_rounds(work, run, tell))
        if draws:
            found.append(self._round(draws, run, tell))
        return found[0] if len(found) == 1 else _half_and_half(*found)

    def count(self, brain: Tensor) -> int:
        """What progress counts to for a brain mask: strips that touch it, times rounds, and draws
        of the slices that hold some.
        """
        settings = self.settings
        total = 0
        if settings.has_strips:
            masks = settings.masks((brain.shape[-2], brain.shape[-1]))
            total += int(touched_strips(masks, brain, len(brain)).sum()) * settings.rounds
        if settings.has_veil:
            total += int(veiled(settings.draws, brain, len(brain)).sum())
        return total

    def _strips(self, inputs: Tensor, brain: Tensor | None, numbers: Tensor) -> Strips | None:
        """The strips to be run, where the settings have some."""
        if not self.settings.has_strips:
            return None
        masks = self.settings.masks((inputs.shape[-2], inputs.shape[-1]))
        return strips(inputs, masks, brain, numbers)

    def _veil(self, inputs: Tensor, brain: Tensor | None, numbers: Tensor) -> Veil | None:
        """The draws of the whole slice to be run, where the settings have some."""
        if not self.settings.has_veil:
            return None
        return veil(inputs, self.settings.draws, self.settings.veil_sd, brain, numbers)

    def _all_rounds(self, work: Strips, run: _Run, tell: _Shares) -> ScoreMaps:
        """All strips; again with what is suspicious hidden."""
        result = self._round(work, run, tell)
        for _ in range(1, self.settings.rounds):
            work, changed = self._hide_suspicious(work, result, run.inside)
            result = _replaced(result, self._round(work, run, tell), changed)
        return result

    def _hide_suspicious(
        self, work: Strips, result: ScoreMaps, inside: Tensor
    ) -> tuple[Strips, Tensor]:
        """What the next round has to do, and which slices it changes, bool ``(slices,)``."""
        settings = self.settings
        hidden = suspicious_region(result.signed, inside, settings.suspicious_sd, settings.sign)
        changed = (hidden != work.hidden.cpu()).flatten(1).any(1)
        touched = work.touched & changed[:, None]
        return replace(work, touched=touched, hidden=hidden.to(work.inputs.device)), changed

    def _round(self, work: Hiding, run: _Run, tell: _Shares) -> ScoreMaps:
        """All strips (or draws) of all slices that have work to do."""
        size = (work.inputs.shape[-2], work.inputs.shape[-1])
        sums = torch.zeros(work.inputs.shape[0], 4, *size, device=work.inputs.device)
        pairs = torch.nonzero(work.touched)
        done = 0
        while done < len(pairs):
            if run.cancelled is not None and run.cancelled():
                raise CancelledError("the run was cancelled; nothing was written")
            part = pairs[done : done + self.batch_size]
            if not self._batch(work, part, run, sums):
                continue
            done += len(part)
            tell(done)
        tell.end()
        masks = work.masks.cpu().flatten(1).float()
        coverage = (work.touched.float() @ masks).view(-1, 1, *size)
        return self._finished(_means(sums.cpu(), coverage), isinstance(work, Veil), run.inside)

    def _finished(self, means: ScoreMaps, whole: bool, inside: Tensor) -> ScoreMaps:
        """The maps of the means: at the slice's own level where that is set, and where the whole
        slice was hidden, the error of the mean x' (not the mean of the errors of the draws).
        """
        if self.settings.level:
            signed = levelled(means.signed, inside)
            return replace(means, signed=signed, anomaly=self._error(signed))
        return replace(means, anomaly=self._error(means.signed)) if whole else means

    def _batch(self, work: Hiding, part: Tensor, run: _Run, sums: Tensor) -> bool:
        """Add the maps of some items (slice, mask) to the sums.

        Returns:
            False where the GPU's memory was too small: nothing was added, and the batch size is
            half of what it was, for all that follows.

        Raises:
            torch.OutOfMemoryError: too small even for one image.
        """
        device = work.inputs.device
        try:
            items = work.items(part)
            target = self._translate(work, items, run.network)
            maps = self._maps(items.source, target, self._forward(run.backward, target))
            maps = maps * work.masks[items.index][:, None]
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

    def _translate(self, work: Hiding, items: Items, network: Network) -> Tensor:
        """y_0 under the condition that hides a part of x."""

        @lru_cache(maxsize=1)
        def condition(draw: int) -> Tensor:
            return work.condition(self.seed, items, draw)

        return reverse(
            partial(self._forward, network),
            work.start(self.seed, items),
            self.scheduler,
            lambda step: condition(step if self.settings.redraws_noise else 0),
            lambda step: work.noise(self.seed, items, step, ANCESTRAL),
        )

    def _forward(self, network: Network, *arguments: Tensor) -> Tensor:
        with autocast(arguments[0].device, self.precision):
            output = network(*arguments)
        return output.float()

    def _maps(self, source: Tensor, target: Tensor, reconstructed: Tensor) -> Tensor:
        """(error, x - x', y_0, x') as ``(batch, 4, height, width)``."""
        signed = source - reconstructed
        return torch.cat([self._error(signed), signed, target, reconstructed], dim=1)

    def _error(self, signed: Tensor) -> Tensor:
        """The L2 norm over channels of what counts in x - x', squared in the public code."""
        bright, dark = self.settings.sides.weights
        counted = torch.where(signed > 0, bright, dark) * signed
        error: Tensor = torch.linalg.vector_norm(counted, dim=1, keepdim=True)
        return error.square() if self.settings.reading == "code" else error


@dataclass(frozen=True)
class _Run:
    """What all rounds of a call share.

    Attributes:
        network: f.
        backward: g.
        inside: the brain, on the CPU.
        cancelled: asked before each batch.
    """

    network: Network
    backward: Network
    inside: Tensor
    cancelled: Callable[[], bool] | None


class _Shares:
    """Progress of shares of known size, one after the other; a share with less to do than was
    planned ends where the planned one would.
    """

    def __init__(self, progress: Progress | None, shares: Sequence[int]) -> None:
        self._progress, self._shares = progress, shares
        self._number, self._told = 0, -1

    def __call__(self, done: int) -> None:
        """So many images of this share are done."""
        now = sum(self._shares[: self._number]) + done
        if self._progress is not None and now != self._told:
            self._progress(now, sum(self._shares))
        self._told = now

    def end(self) -> None:
        """This share is done, the next one begins."""
        planned = self._shares[self._number]
        if planned:
            self(planned)
        self._number += 1


def _replaced(old: ScoreMaps, new: ScoreMaps, changed: Tensor) -> ScoreMaps:
    """The new maps of the slices that were run again, the old ones of the others."""
    chosen = changed[:, None, None, None]
    return ScoreMaps(
        **{
            field.name: torch.where(chosen, getattr(new, field.name), getattr(old, field.name))
            for field in fields(ScoreMaps)
        }
    )


def _half_and_half(first: ScoreMaps, second: ScoreMaps) -> ScoreMaps:
    """The mean of strips and veil; the veil alone where no strip lies, which is outside the brain.
    Their coverages are added.
    """
    covered = first.coverage > 0
    mean = {
        field.name: torch.where(
            covered,
            (getattr(first, field.name) + getattr(second, field.name)) / 2,
            getattr(second, field.name),
        )
        for field in fields(ScoreMaps)
    }
    return ScoreMaps(**mean | {"coverage": first.coverage + second.coverage})


def _check(inputs: Tensor, brain: Tensor | None, slices: Sequence[int] | None) -> None:
    if inputs.ndim != 4 or inputs.shape[1] != 1:
        raise ValueError(
            f"expected inputs of shape (slices, 1, height, width), got {tuple(inputs.shape)}"
        )
    if brain is not None and brain.shape != inputs.shape:
        raise ValueError(
            f"expected a brain mask of shape {tuple(inputs.shape)}, got {tuple(brain.shape)}"
        )
    if slices is not None and len(slices) != inputs.shape[0]:
        raise ValueError(f"expected {inputs.shape[0]} slice numbers, got {len(slices)}")


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
