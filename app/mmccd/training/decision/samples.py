"""What d is trained on: anomalies painted on slices, what the cycle says of them, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.methods import decision_input, middle
from mmccd.training.corruption import DECISION_FAMILIES, Family, vary
from mmccd.training.cycle.conditions import Seen, corrupted_slices
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.decision.returned import OneStepCycle, Returned

APART = 1.0
"""Slices of a volume lie as far apart as this, in units of the normalised image."""


@dataclass(frozen=True)
class Samples:
    """A batch, the middle of its slices, float32 or bool ``(batch, channels, height, width)``.

    Attributes:
        given: what d sees, see :func:`~mmccd.methods.decision_input`.
        label: soft label, one channel.
        brain: where the loss counts.
    """

    given: Tensor
    label: Tensor
    brain: Tensor


@dataclass(frozen=True)
class DecisionSamples:
    """Draws batches.

    Attributes:
        pairs: where healthy slices come from.
        draws: random numbers; the same that ``pairs`` uses.
        cycle: f and g; None: d is trained without.
        blind_share: share of samples in which d does not see what the cycle says, so that one
            network shows what x' is worth.
        families: what is painted.
    """

    pairs: HealthyPairs
    draws: Draws
    cycle: OneStepCycle | None = None
    blind_share: float = 0.33
    families: Sequence[Family] = DECISION_FAMILIES

    @torch.no_grad()
    def draw(self, count: int) -> Samples:
        """A batch of that many samples."""
        healthy = self.pairs.draw(count)
        varied = vary(healthy.source, healthy.brain, self.draws)
        seen = corrupted_slices(varied, healthy.brain, self.draws, self.families, APART)
        returned = self._returned(seen)
        given = decision_input(seen.image, seen.brain, returned.reconstructed, returned.signed)
        given, label, brain = (middle(layer) for layer in (given, seen.label, seen.brain))
        return Samples(given.contiguous(memory_format=torch.channels_last), label, brain)

    def _returned(self, seen: Seen) -> Returned:
        found = Returned.nothing(seen.image)
        if self.cycle is None:
            return found
        rows = self.draws.some(len(seen.image), 1 - self.blind_share)
        if len(rows):
            made = self.cycle(seen.image[rows], seen.brain[rows], self.draws)
            found.reconstructed[rows] = made.reconstructed
            found.signed[rows] = made.signed
        return found
