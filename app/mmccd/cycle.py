"""The masked cycle (Alg. 2, Eq. 10): tensors in, :class:`~mmccd.result.CycleResult` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from mmccd.device import autocast
from mmccd.diffusion import MaskedDiffusionScheduler, masked_condition
from mmccd.errors import CancelledError
from mmccd.masks import ORIENTATIONS, strip_masks
from mmccd.noise import ANCESTRAL, CONDITION, INITIAL, NO_MASK, normal_noise
from mmccd.result import CycleResult

Progress = Callable[[int, int], None]
Network = Callable[..., Tensor]


SIGNS = ("both", "brighter", "darker")


@dataclass(frozen=True)
class CycleSettings:
    """How the cycle is run: everything that changes the map, except for weights, precision and seed.

    Attributes:
        reading: ``"paper"`` or ``"code"``, where the two differ (docs/how_it_works.md): which positions the strips have, whether the noise under the
            mask is drawn anew at each step, which timesteps DDIM takes, absolute or squared error.
        steps: sampling steps, 1 to 1000 (``code``: 100).
        stride: distance of neighbouring strips in pixels.
        width: thickness of a strip in pixels.
        orientations: ``"horizontal"``, ``"vertical"`` or both.
        sampler: ``"ddim"`` (eta 0) or ``"ancestral"`` (eta 1, all 1000 steps).
        sign: which differences count: ``"both"`` (Eq. 10), or only where the input is ``"brighter"`` or ``"darker"`` than what returns. On FLAIR most lesions
            are brighter, and healthy fluid is what returns too bright.
    """

    reading: str = "paper"
    steps: int = 100
    stride: int = 2
    width: int = 16
    orientations: tuple[str, ...] = ORIENTATIONS
    sampler: str = "ddim"
    sign: str = "both"

    def __post_init__(self) -> None:
        object.__setattr__(self, "orientations", tuple(self.orientations))
        if self.reading not in ("paper", "code"):
            raise ValueError(f"reading must be 'paper' or 'code', got {self.reading!r}")
        if self.sampler not in ("ddim", "ancestral"):
            raise ValueError(f"sampler must be 'ddim' or 'ancestral', got {self.sampler!r}")
        if self.sign not in SIGNS:
            raise ValueError(f"sign must be one of {', '.join(SIGNS)}, got {self.sign!r}")
        if self.sampler == "ancestral" and (self.steps != 1000 or self.reading != "paper"):
            raise ValueError("ancestral sampling runs all 1000 steps, in the 'paper' reading")

    @property
    def redraws_noise(self) -> bool:
        """Whether the noise under the mask is drawn anew at each step."""
        return self.reading == "code"

    def masks(self, size: tuple[int, int]) -> Tensor:
        """The strip masks of this reading, bool ``(masks, height, width)``."""
        border = "full" if self.reading == "paper" else "cut"
        return strip_masks(size, self.width, self.stride, border, self.orientations)

    def sampling(self, scheduler: MaskedDiffusionScheduler) -> MaskedDiffusionScheduler:
        """The same noise schedule with this reading's timesteps set."""
        spacing = "trailing" if self.reading == "paper" else "code"
        chosen = scheduler.with_sampling(spacing, eta=1.0 if self.sampler == "ancestral" else 0.0)
        chosen.set_timesteps(self.steps)
        return chosen

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "orientations": list(self.orientations)}


class MaskedCycleInferer(Inferer):
    """Run x -> (masked) f -> y -> g -> x' for every slice and every strip, in batches over both.

    Args:
        scheduler: the noise schedule that f was trained with.
        settings: see :class:`CycleSettings`.
        batch_size: images per network pass; bounds the memory of the passes.
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
    ) -> CycleResult:
        """Run the cycle.

        Args:
            inputs: x, normalised, ``(slices, 1, height, width)``, on the device of the networks.
            network: f, called as ``f(cat(y_t, x_r), timesteps)``.
            backward: g, called as ``g(y_0)``.
            brain: bool of the shape of ``inputs``; strips that touch no brain and slices without brain are skipped, which changes nothing
                inside the brain. None: everything is run.
            slices: index of each slice in its volume, for the noise; 0, 1, ... where it is None.
            progress: called after each batch with (images done, images in all).
            cancelled: asked before each batch; True ends the run.

        Returns:
            The maps; see :class:`CycleResult`.

        Raises:
            ValueError: inputs of another shape.
            CancelledError: ``cancelled`` returned True.
        """
        if inputs.ndim != 4 or inputs.shape[1] != 1:
            raise ValueError(f"expected inputs of shape (slices, 1, height, width), got {tuple(inputs.shape)}")
        _check_companions(inputs, brain, slices)
        device = inputs.device
        size = (inputs.shape[-2], inputs.shape[-1])
        masks = self.settings.masks(size)
        touched = _touched(masks, brain, inputs.shape[0])
        numbers = torch.as_tensor(list(slices) if slices is not None else range(inputs.shape[0]), dtype=torch.int64)
        masks, numbers = masks.to(device), numbers.to(device)
        sums = torch.zeros(inputs.shape[0], 4, *size, device=device)
        work = torch.nonzero(touched)
        for done, items in _batches(work, self.batch_size):
            if cancelled is not None and cancelled():
                raise CancelledError("the run was cancelled; nothing was written")
            which, index = items[:, 0].to(device), items[:, 1].to(device)
            mask = masks[index][:, None]
            source = inputs[which].float()
            target = self._imagine(source, mask, numbers[which], index, network)
            returned = self._forward(backward, target)
            _accumulate(sums, items[:, 0].tolist(), mask, self._maps(source, target, returned))
            if progress is not None:
                progress(done, len(work))
        coverage = (touched.float() @ masks.cpu().flatten(1).float()).view(-1, 1, *size)
        return _means(sums.cpu(), coverage)

    def _imagine(self, source: Tensor, mask: Tensor, numbers: Tensor, index: Tensor, network: Network) -> Tensor:
        """y_0 under the masked condition, from the y_T that all masks of a slice share."""
        size = (source.shape[-2], source.shape[-1])
        different, which = torch.unique(numbers, return_inverse=True)
        image = normal_noise(self.seed, different, torch.full_like(different, NO_MASK), 0, INITIAL, size)[which]
        condition = source
        for step, timestep in enumerate(self.scheduler.timesteps.tolist()):
            if step == 0 or self.settings.redraws_noise:
                condition = masked_condition(source, mask, normal_noise(self.seed, numbers, index, step, CONDITION, size))
            times = torch.full((source.shape[0],), timestep, device=source.device, dtype=torch.int64)
            prediction = self._forward(network, torch.cat([image, condition], dim=1), times)
            noise = None
            if self.scheduler.eta > 0:
                noise = normal_noise(self.seed, numbers, index, step, ANCESTRAL, size)
            image, _ = self.scheduler.step(prediction, timestep, image, noise=noise)
        return image

    def _forward(self, network: Network, *arguments: Tensor) -> Tensor:
        with autocast(arguments[0].device, self.precision):
            output = network(*arguments)
        return output.float()

    def _maps(self, source: Tensor, target: Tensor, returned: Tensor) -> Tensor:
        """(error, x - x', y_0, x') as ``(batch, 4, height, width)``; the error is the L2 norm over channels, squared in the public code."""
        signed = source - returned
        counted = {"both": signed, "brighter": signed.clamp_min(0), "darker": signed.clamp_max(0)}[self.settings.sign]
        error = torch.linalg.vector_norm(counted, dim=1, keepdim=True)
        if self.settings.reading == "code":
            error = error.square()
        return torch.cat([error, signed, target, returned], dim=1)


def _check_companions(inputs: Tensor, brain: Tensor | None, slices: Sequence[int] | None) -> None:
    if brain is not None and brain.shape != inputs.shape:
        raise ValueError(f"expected a brain mask of shape {tuple(inputs.shape)}, got {tuple(brain.shape)}")
    if slices is not None and len(slices) != inputs.shape[0]:
        raise ValueError(f"expected {inputs.shape[0]} slice numbers, got {len(slices)}")


def _touched(masks: Tensor, brain: Tensor | None, count: int) -> Tensor:
    """Which mask touches the brain of which slice: bool ``(slices, masks)`` on the CPU."""
    if brain is None:
        return torch.ones(count, masks.shape[0], dtype=torch.bool)
    flat = brain.cpu().flatten(1).float()
    return (flat @ masks.flatten(1).float().T) > 0


def _batches(work: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """Parts of the work list (slice, mask), with the number of items done after each."""
    done = 0
    for items in work.split(size):
        done += len(items)
        if len(items):
            yield done, items


def _accumulate(sums: Tensor, slices: list[int], mask: Tensor, maps: Tensor) -> None:
    """Add item by item: the order, and with it the rounding, is the same for every batch size and device."""
    masked = maps * mask
    for item, index in enumerate(slices):
        sums[index] += masked[item]


def _means(sums: Tensor, coverage: Tensor) -> CycleResult:
    means = torch.where(coverage > 0, sums / coverage.clamp(min=1), torch.nan)
    anomaly, signed, imagined, returned = means.split(1, dim=1)
    return CycleResult(anomaly, signed, imagined, returned, coverage)
