"""Healthy slices of a data set to what d is trained and validated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import DECISION_FAMILIES, Family
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.samples import BLIND_SHARE, decision_sample


class DecisionPrepareBatch(PrepareBatch):
    """The batch's ``image`` is a healthy x, normalised as :func:`~mmccd.training.load_cycle`
    checks, ``brain`` its brain.

    Args:
        cycle: f and g, on the device of the run.
        blind_share: share of the slices in which d does not see what the cycle says; 1: of all.
        families: what is painted.
        seed: of everything drawn for a batch, the same each time (validation); None: torch's
            global generator decides, so that an epoch's seed decides all of it.

    Raises:
        ValueError: a share outside 0 to 1.
    """

    def __init__(
        self,
        cycle: OneStepCycle,
        blind_share: float = BLIND_SHARE,
        families: Sequence[Family] = DECISION_FAMILIES,
        seed: int | None = None,
    ) -> None:
        if not 0 <= blind_share <= 1:
            raise ValueError(f"blind_share must lie in 0 to 1, got {blind_share}")
        self.cycle = cycle
        self.blind_share = blind_share
        self.families = families
        self.seed = seed

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(what d sees, ``(batch, 5, height, width)``, {target: soft label, brain: bool}, both
        ``(batch, 1, height, width)``): the middle of the slices.
        """
        image, brain = (
            batchdata[key].to(device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "brain")
        )
        seed = int(torch.randint(2**31, (1,))) if self.seed is None else self.seed
        made = decision_sample(
            image,
            brain > 0.5,
            Draws(seed, image.device),
            self.cycle,
            self.blind_share,
            self.families,
        )
        return made.given, {"target": made.label, "brain": made.brain}
