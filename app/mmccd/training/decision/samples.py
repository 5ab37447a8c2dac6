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
BLIND_SHARE = 0.33


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


@torch.no_grad()
def decision_sample(
    image: Tensor,
    brain: Tensor,
    draws: Draws,
    cycle: OneStepCycle | None = None,
    blind_share: float = BLIND_SHARE,
    families: Sequence[Family] = DECISION_FAMILIES,
) -> Samples:
    """Healthy slices varied, painted on, scanned and shown to the cycle.

    Args:
        image: x, normalised, ``(batch, 1, size, size)``, 0 outside the brain.
        brain: bool of the same shape.
        draws: random numbers, on the device of ``image``.
        cycle: f and g; None: d sees x only.
        blind_share: share of the slices in which d does not see what the cycle says, so that one
            network shows what x' is worth.
        families: what is painted.
    """
    varied = vary(image, brain, draws)
    seen = corrupted_slices(varied, brain, draws, families, APART)
    returned = _returned(seen, draws, cycle, blind_share)
    given = decision_input(seen.image, seen.brain, returned.reconstructed, returned.signed)
    given, label, mask = (middle(layer) for layer in (given, seen.label, seen.brain))
    return Samples(given.contiguous(memory_format=torch.channels_last), label, mask)


def _returned(seen: Seen, draws: Draws, cycle: OneStepCycle | None, blind_share: float) -> Returned:
    """What the cycle says of all but the blind slices."""
    found = Returned.nothing(seen.image)
    if cycle is None:
        return found
    rows = draws.some(len(seen.image), 1 - blind_share)
    if len(rows):
        made = cycle(seen.image[rows], seen.brain[rows], draws)
        found.reconstructed[rows] = made.reconstructed
        found.signed[rows] = made.signed
    return found


@dataclass(frozen=True)
class DecisionSamples:
    """Draws batches of :func:`decision_sample` from a pack.

    Attributes:
        pairs: where healthy slices come from.
        draws: random numbers; the same that ``pairs`` uses.
        cycle, blind_share, families: see :func:`decision_sample`.
    """

    pairs: HealthyPairs
    draws: Draws
    cycle: OneStepCycle | None = None
    blind_share: float = BLIND_SHARE
    families: Sequence[Family] = DECISION_FAMILIES

    def draw(self, count: int) -> Samples:
        """A batch of that many samples."""
        healthy = self.pairs.draw(count)
        return decision_sample(
            healthy.source, healthy.brain, self.draws, self.cycle, self.blind_share, self.families
        )
