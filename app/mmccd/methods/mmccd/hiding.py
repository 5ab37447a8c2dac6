"""What is hidden from f: one strip of the slice at a time, or the whole slice behind a veil."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mmccd.models import (
    CONDITION,
    FIRST_DRAW,
    INITIAL,
    NO_MASK,
    masked_condition,
    normal_noise,
)


@dataclass(frozen=True)
class Items:
    """Some pairs of a slice and a mask (or a draw), on the device of the inputs.

    Attributes:
        source: x of each, ``(items, 1, height, width)``.
        which: place of each slice in the inputs.
        numbers: index of each slice in its volume, on the CPU, so that no GPU is waited for.
        index: of each mask or draw among those of a slice.
    """

    source: Tensor
    which: Tensor
    numbers: Tensor
    index: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.source.shape[-2], self.source.shape[-1]


@dataclass(frozen=True)
class Hiding(ABC):
    """What has to be run, on the device of the inputs except for ``touched`` and ``numbers``.

    Attributes:
        inputs: x.
        numbers: index of each slice in its volume, on the CPU.
        touched: which mask (or draw) is run for which slice, bool ``(slices, masks)`` on the CPU.
        masks: where the result of each counts, bool ``(masks, height, width)``.
    """

    inputs: Tensor
    numbers: Tensor
    touched: Tensor
    masks: Tensor

    def items(self, part: Tensor) -> Items:
        """Some of the pairs (slice, mask), int64 ``(items, 2)`` on the CPU."""
        which, index = (column.to(self.inputs.device) for column in part.unbind(1))
        return Items(self.inputs[which].float(), which, self.numbers[part[:, 0]], index)

    @abstractmethod
    def start(self, seed: int, items: Items) -> Tensor:
        """y_T."""

    @abstractmethod
    def condition(self, seed: int, items: Items, draw: int) -> Tensor:
        """What f sees of x; ``draw`` numbers the draws of noise."""

    @abstractmethod
    def noise(self, seed: int, items: Items, step: int, stream: int) -> Tensor:
        """Noise that each item has for itself."""


@dataclass(frozen=True)
class Strips(Hiding):
    """Strips of noise (Alg. 2).

    Attributes:
        hidden: what is noise beside the strip, bool of the shape of ``inputs``.
    """

    hidden: Tensor

    def start(self, seed: int, items: Items) -> Tensor:
        """One y_T for all strips of a slice."""
        device = items.source.device
        different, which = (
            part.to(device) for part in torch.unique(items.numbers, return_inverse=True)
        )
        shared = torch.full_like(different, NO_MASK)
        return normal_noise(seed, different, shared, 0, INITIAL, items.size)[which]

    def condition(self, seed: int, items: Items, draw: int) -> Tensor:
        """x_r (Eq. 8)."""
        mask = self.masks[items.index][:, None] | self.hidden[items.which]
        return masked_condition(items.source, mask, self.noise(seed, items, draw, CONDITION))

    def noise(self, seed: int, items: Items, step: int, stream: int) -> Tensor:
        """By slice, strip and step."""
        numbers = items.numbers.to(items.index.device)
        return normal_noise(seed, numbers, items.index, step, stream, items.size)


@dataclass(frozen=True)
class Veil(Hiding):
    """Partial noise on everything, background included, one or several draws of it.

    Attributes:
        sd: its standard deviation; 0 is clear sight.
    """

    sd: float

    def start(self, seed: int, items: Items) -> Tensor:
        """A y_T for each draw."""
        return self.noise(seed, items, 0, INITIAL)

    def condition(self, seed: int, items: Items, draw: int) -> Tensor:
        """x + sd * eps."""
        if self.sd == 0:
            return items.source
        return items.source + self.sd * self.noise(seed, items, draw, CONDITION)

    def noise(self, seed: int, items: Items, step: int, stream: int) -> Tensor:
        """By slice, draw and step; none of it is a strip's."""
        numbers = items.numbers.to(items.index.device)
        return normal_noise(seed, numbers, items.index + FIRST_DRAW, step, stream, items.size)


def strips(inputs: Tensor, masks: Tensor, brain: Tensor | None, numbers: Tensor) -> Strips:
    """The strips that touch the brain; all where no brain is given.

    Args:
        inputs: x, ``(slices, 1, height, width)``.
        masks: bool ``(masks, height, width)``.
        brain: bool of the shape of ``inputs``, or None.
        numbers: index of each slice in its volume, on the CPU.
    """
    return Strips(
        inputs,
        numbers,
        touched_strips(masks, brain, len(inputs)),
        masks.to(inputs.device),
        torch.zeros(inputs.shape, dtype=torch.bool, device=inputs.device),
    )


def veil(inputs: Tensor, draws: int, sd: float, brain: Tensor | None, numbers: Tensor) -> Veil:
    """All draws of the slices that hold brain; of all where no brain is given.

    Args:
        inputs: x, ``(slices, 1, height, width)``.
        draws: their number.
        sd: standard deviation of the noise.
        brain: bool of the shape of ``inputs``, or None.
        numbers: index of each slice in its volume, on the CPU.
    """
    whole = torch.ones(1, 1, 1, dtype=torch.bool, device=inputs.device)
    masks = whole.expand(draws, inputs.shape[-2], inputs.shape[-1])
    return Veil(inputs, numbers, veiled(draws, brain, len(inputs)), masks, sd)


def touched_strips(masks: Tensor, brain: Tensor | None, count: int) -> Tensor:
    """Which mask touches the brain of which slice: bool ``(slices, masks)`` on the CPU."""
    if brain is None:
        return torch.ones(count, masks.shape[0], dtype=torch.bool)
    flat = brain.cpu().flatten(1).float()
    return (flat @ masks.flatten(1).float().T) > 0


def veiled(draws: int, brain: Tensor | None, count: int) -> Tensor:
    """Which slice holds brain: bool ``(slices, draws)`` on the CPU, alike for all draws."""
    if brain is None:
        return torch.ones(count, draws, dtype=torch.bool)
    return brain.cpu().flatten(1).any(1)[:, None].expand(-1, draws)
