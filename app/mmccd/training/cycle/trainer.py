"""Train f and g together, within a budget."""

from __future__ import annotations

import json
import logging
import math
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmccd.core import InputError, first_line
from mmccd.imaging import Draws
from mmccd.io import load_tensors
from mmccd.models import MaskedDiffusionScheduler, autocast
from mmccd.training.checkpoints import save_atomically
from mmccd.training.cycle.conditions import Hiding, corrupted_source
from mmccd.training.cycle.pairs import HealthyPairs, Pairs
from mmccd.training.shared import small_network

logger = logging.getLogger(__name__)

FORWARD, BACKWARD = "f", "g"
_LAST_STEP_SHARE = 0.6
"""Share of samples at the highest noise: the presets start, and mostly end, there."""
_OUTSIDE_WEIGHT = 0.1
_TARGET_NOISE = 0.05
_THROUGH_FROM = 0.2
_SMOOTHING = 0.1


@dataclass(frozen=True)
class Recipe:
    """Everything that a training depends on, beside the data and the machine.

    Attributes:
        source: contrast of x.
        target: contrast of y.
        networks: ``"f"``, ``"g"`` or both.
        network: what differs from :data:`mmccd.training.shared.SMALL` in both networks.
        seconds: time budget of the training, all resumed parts together; the learning rate falls to
            0 at its end.
        iterations: the budget in iterations instead, so that the same seed gives the same networks;
            None: the time decides.
        batch_size: slices of an iteration.
        learning_rate: highest one, reached after ``warmup`` iterations.
        warmup: see ``learning_rate``.
        average: weight that the averaged network keeps in an iteration.
        real_share: share of real slices.
        through_share: share of g's samples that show what f made of a corrupted x in the place of
            y, from a fifth of the budget on; 0 where there is no f. What f makes is smoother than
            y, and g has to know it.
        hiding: what f gets to see.
        seed: of everything random.
        precision: ``"fp32"`` or ``"bf16"``.
        compile: whether the networks run through ``torch.compile``, which fuses their
            normalisations; worth its minute of compilation on a GPU only.
    """

    source: str = "flair"
    target: str = "t2"
    networks: tuple[str, ...] = (FORWARD, BACKWARD)
    network: dict[str, Any] = field(default_factory=dict)
    seconds: float = 540.0
    iterations: int | None = None
    batch_size: int = 96
    learning_rate: float = 6e-4
    warmup: int = 200
    average: float = 0.998
    real_share: float = 0.2
    through_share: float = 0.5
    hiding: Hiding = field(default_factory=Hiding)
    seed: int = 0
    precision: str = "fp32"
    compile: bool = False


class CycleTrainer:
    """One training run.

    Args:
        recipe: what to do.
        pairs: where healthy pairs come from.
        draws: random numbers; the same that ``pairs`` uses.
        folder: gets ``last.pt``, to go on from, and ``log.jsonl``.
    """

    def __init__(self, recipe: Recipe, pairs: HealthyPairs, draws: Draws, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.pairs, self.draws, self.folder = recipe, pairs, draws, folder
        self.schedule = MaskedDiffusionScheduler()
        self.networks = nn.ModuleDict(
            {
                name: small_network(2 if name == FORWARD else 1, **recipe.network)
                for name in recipe.networks
            }
        )
        self.networks.to(draws.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = deepcopy(self.networks).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(),
            recipe.learning_rate,
            weight_decay=1e-3,
            fused=draws.device.type == "cuda",
        )
        self.iteration, self.before = 0, 0.0
        self.losses = dict.fromkeys(recipe.networks, math.nan)
        self.through = self.averaged[FORWARD] if FORWARD in recipe.networks else None
        self.share_spent = 0.0
        self.stopped = False
        self.levels = self.schedule.alphas_cumprod.float().to(draws.device)

    def start_from(self, name: str, path: Path) -> None:
        """Take a network's weights from a file.

        Raises:
            InputError: it cannot be read or is of another network.
        """
        try:
            state = {key: value.float() for key, value in load_tensors(path).items()}
            self.networks[name].load_state_dict(state)
            self.averaged[name].load_state_dict(state)
        except (RuntimeError, AttributeError) as error:
            raise InputError(
                f"{path}: does not fit to the network {name} of this recipe ({first_line(error)});"
                " give weights of the same size, or none",
                code="checkpoint.damaged",
            ) from error

    def go_through(self, forward: nn.Module) -> None:
        """Let g see what a trained f makes, where f is not trained itself."""
        placed = forward.to(self.draws.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.through = placed.eval().requires_grad_(False)

    def run(self, checkpoint_every: float = 300.0, log_every: int = 100) -> None:
        """Train until the budget is spent, going on from ``last.pt`` where it is there."""
        self._resume()
        if self.recipe.compile:
            self._compile()
        start = saved = time.monotonic()
        first = self.iteration
        while (share := self._share(spent := self.before + time.monotonic() - start)) < 1:
            self.share_spent = share
            self._set_rate(share)
            losses = self._step()
            if not self.iteration % 20:
                self._remember(losses)
            if self.stopped:
                break
            if not self.iteration % log_every:
                slices = (self.iteration - first) * self.recipe.batch_size
                self._log(spent, slices / (time.monotonic() - start))
            if time.monotonic() - saved > checkpoint_every:
                self._save(spent)
                saved = time.monotonic()
        self._save(spent)
        self._log(spent, 0.0)

    def _share(self, spent: float) -> float:
        """How much of the budget is used after some seconds."""
        if self.recipe.iterations is not None:
            return self.iteration / self.recipe.iterations if self.recipe.iterations > 0 else 1.0
        return spent / self.recipe.seconds if self.recipe.seconds > 0 else 1.0

    def stop(self) -> None:
        """End after the running iteration, as if the budget were spent."""
        self.stopped = True

    def _compile(self) -> None:
        """In place, so that names of weights stay. Each network sees one shape of batch: no kernel
        has to do for several.
        """
        for network in self.networks.values():
            network.compile(dynamic=False)
        if self.through is not None:
            self.through.compile(dynamic=False)

    def _step(self) -> dict[str, Tensor]:
        """One iteration; the loss of each network, not waited for."""
        with torch.no_grad():
            pairs = self.pairs.draw(self.recipe.batch_size)
        losses = {name: self._loss(name, pairs) for name in self.recipe.networks}
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        for network in self.networks.values():
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self.optimizer.step()
        self.iteration += 1
        keep = min(self.recipe.average, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.networks.parameters()), 1 - keep
            )
        return losses

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

    def _set_rate(self, share: float) -> None:
        warm = min(1.0, (self.iteration + 1) / self.recipe.warmup)
        rate = self.recipe.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _remember(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            new, old = float(value.detach()), self.losses[name]
            self.losses[name] = new if math.isnan(old) else old + _SMOOTHING * (new - old)

    def _log(self, spent: float, rate: float) -> None:
        line = {
            "iteration": self.iteration,
            "seconds": round(spent, 1),
            "slices_per_s": round(rate, 2),
            "loss": {name: self.loss(name) for name in self.losses},
        }
        logger.info("%s", line)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _save(self, spent: float) -> None:
        content = {
            "networks": self.networks.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "seconds": spent,
            "losses": self.losses,
            "random": self.draws.state_dict(),
        }
        save_atomically(content, self.folder / "last.pt")

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.is_file():
            return
        content = load_tensors(path)
        try:
            self.networks.load_state_dict(content["networks"])
            self.averaged.load_state_dict(content["averaged"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.iteration, self.before = int(content["iteration"]), float(content["seconds"])
            self.losses = {name: float(content["losses"][name]) for name in self.losses}
            self.draws.load_state_dict(content["random"])
        except (RuntimeError, LookupError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: does not fit to this recipe ({first_line(error)}); remove it or choose"
                " another folder",
                code="checkpoint.damaged",
            ) from error
        logger.info("going on after %d iterations, %.0f s", self.iteration, self.before)

    def loss(self, name: str) -> float | None:
        """Running mean of a network's loss; None before it was first measured."""
        value = self.losses[name]
        return None if math.isnan(value) else round(value, 5)

    def as_dict(self) -> dict[str, Any]:
        """The recipe and how far the run came, for a card."""
        recipe = asdict(self.recipe) | {"hiding": self.recipe.hiding.as_dict()}
        for name in ("source", "target", "networks", "network"):
            recipe.pop(name)
        return recipe | {
            "iterations": self.iteration,
            "slices": self.iteration * self.recipe.batch_size,
        }
