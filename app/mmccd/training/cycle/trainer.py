"""Train f and g together, within a budget."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmccd.imaging import Draws
from mmccd.models import MaskedDiffusionScheduler, autocast
from mmccd.training.budget import Budget, BudgetTrainer
from mmccd.training.cycle.conditions import Hiding, corrupted_source
from mmccd.training.cycle.pairs import HealthyPairs, Pairs
from mmccd.training.shared import small_network

FORWARD, BACKWARD = "f", "g"
_LAST_STEP_SHARE = 0.6
"""Share of samples at the highest noise: the presets start, and mostly end, there."""
_OUTSIDE_WEIGHT = 0.1
_TARGET_NOISE = 0.05
_THROUGH_FROM = 0.2


@dataclass(frozen=True)
class Recipe(Budget):
    """Everything that a training depends on, beside the data and the machine.

    Attributes:
        source: contrast of x.
        target: contrast of y.
        networks: ``"f"``, ``"g"`` or both.
        network: what differs from :data:`mmccd.training.shared.SMALL` in both networks.
        real_share: share of real slices.
        scan_share: share of slices of T1 scans, where there are any.
        through_share: share of g's samples that show what f made of a corrupted x in the place of
            y, from a fifth of the budget on; 0 where there is no f. What f makes is smoother than
            y, and g has to know it.
        hiding: what f gets to see.
    """

    source: str = "flair"
    target: str = "t2"
    networks: tuple[str, ...] = (FORWARD, BACKWARD)
    network: dict[str, Any] = field(default_factory=dict)
    real_share: float = 0.2
    scan_share: float = 0.35
    through_share: float = 0.5
    hiding: Hiding = field(default_factory=Hiding)


class CycleTrainer(BudgetTrainer):
    """One training run.

    Args:
        recipe: what to do.
        pairs: where healthy pairs come from.
        draws: random numbers; the same that ``pairs`` uses.
        folder: gets ``last.pt``, to go on from, and ``log.jsonl``.
    """

    def __init__(self, recipe: Recipe, pairs: HealthyPairs, draws: Draws, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        networks = {
            name: small_network(2 if name == FORWARD else 1, **recipe.network)
            for name in recipe.networks
        }
        super().__init__(recipe, networks, draws, folder)
        self.recipe, self.pairs = recipe, pairs
        self.schedule = MaskedDiffusionScheduler()
        self.through = self.averaged[FORWARD] if FORWARD in recipe.networks else None
        self.levels = self.schedule.alphas_cumprod.float().to(draws.device)

    def go_through(self, forward: nn.Module) -> None:
        """Let g see what a trained f makes, where f is not trained itself."""
        placed = forward.to(self.draws.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.through = placed.eval().requires_grad_(False)

    def learns_from(self) -> dict[str, Any]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.learns_from`."""
        return {"fingerprint": self.pairs.fingerprint}

    def helpers(self) -> tuple[nn.Module, ...]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.helpers`."""
        return () if self.through is None else (self.through,)

    def batch_losses(self) -> dict[str, Tensor]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.batch_losses`."""
        with torch.no_grad():
            pairs = self.pairs.draw(self.recipe.batch_size)
        return {name: self._loss(name, pairs) for name in self.recipe.networks}

    def _loss(self, name: str, pairs: Pairs) -> Tensor:
        weight = pairs.brain.float() + _OUTSIDE_WEIGHT
        wanted = pairs.target if name == FORWARD else pairs.source
        with torch.no_grad():
            arguments = self._noisy(pairs) if name == FORWARD else (self._for_g(pairs),)
        with autocast(self.draws.device, self.recipe.precision):
            made = self.networks[name](*arguments)
        error = (made.float() - wanted).square() * weight
        loss: Tensor = error.sum() / weight.sum()
        return loss

    def _noisy(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """f's input and timesteps: y_t beside the corrupted, hidden x (Alg. 1)."""
        count = len(pairs.source)
        condition = self.recipe.hiding(corrupted_source(pairs, self.draws)[0], self.draws)
        last = len(self.levels) - 1
        drawn = (self.draws.uniform(count) * (last + 1)).long().clamp_max(last)
        steps = self.draws.either(count, _LAST_STEP_SHARE, torch.full_like(drawn, last), drawn)
        return self._with_noise(pairs, condition, steps)

    def _with_noise(self, pairs: Pairs, condition: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """y at the noise of some timesteps ``(batch, 1, 1, 1)``, beside the condition."""
        count, size = len(condition), condition.shape[-1]
        level = self.levels[steps]
        noise = self.draws.normal(count, 1, size, size)
        noisy = level.sqrt() * pairs.target + (1 - level).sqrt() * noise
        both = torch.cat([noisy, condition], dim=1)
        return both.contiguous(memory_format=torch.channels_last), steps.flatten()

    def _for_g(self, pairs: Pairs) -> Tensor:
        """g's input: y with a little noise, and for some samples what f makes of x."""
        noise = self.draws.normal(len(pairs.target), *pairs.target.shape[1:])
        seen = pairs.target + _TARGET_NOISE * noise
        if self.through is not None and self.share_spent > _THROUGH_FROM:
            rows = self.draws.some(len(seen), self.recipe.through_share)
            chosen = Pairs(pairs.source[rows], pairs.target[rows], pairs.brain[rows])
            seen[rows] = self._imagined(chosen)
        return seen.contiguous(memory_format=torch.channels_last)

    def _imagined(self, pairs: Pairs) -> Tensor:
        """f's y from a corrupted x, clear or veiled, in one step."""
        assert self.through is not None
        hiding = replace(self.recipe.hiding, strips=0.0)
        condition = hiding(corrupted_source(pairs, self.draws)[0], self.draws)
        last = torch.full((len(condition), 1, 1, 1), len(self.levels) - 1, device=condition.device)
        with autocast(self.draws.device, self.recipe.precision):
            made: Tensor = self.through(*self._with_noise(pairs, condition, last))
        return made.float()

    def as_dict(self) -> dict[str, Any]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.as_dict`."""
        content = super().as_dict() | {"hiding": self.recipe.hiding.as_dict()}
        for name in ("source", "target", "networks", "network"):
            content.pop(name)
        return content
