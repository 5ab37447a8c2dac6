"""Training within a budget of time or iterations: the loop that all trainings from packs share."""

from __future__ import annotations

import json
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmccd.core import InputError, UnsuitableInputError, first_line
from mmccd.imaging import Draws
from mmccd.io import load_tensors
from mmccd.training.checkpoints import save_atomically
from mmccd.training.facts import as_text, differences, plain

logger = logging.getLogger(__name__)

_SMOOTHING = 0.1
_MAY_CHANGE = ("seconds", "iterations", "compile")
"""Of a recipe: how long and how fast, where a training goes on."""


@dataclass(frozen=True)
class Budget:
    """How long and how fast a training learns.

    Attributes:
        seconds: time budget of the training, all resumed parts together; the learning rate falls to
            0 at its end.
        iterations: the budget in iterations instead, so that the same seed gives the same networks;
            None: the time decides.
        batch_size: slices of an iteration.
        learning_rate: highest one, reached after ``warmup`` iterations.
        warmup: see ``learning_rate``.
        average: weight that the averaged network keeps in an iteration.
        seed: of everything random.
        precision: ``"fp32"`` or ``"bf16"``.
        compile: whether the networks run through ``torch.compile``, which fuses their
            normalisations; worth its minute of compilation on a GPU only.
    """

    seconds: float = 540.0
    iterations: int | None = None
    batch_size: int = 96
    learning_rate: float = 6e-4
    warmup: int = 200
    average: float = 0.998
    seed: int = 0
    precision: str = "fp32"
    compile: bool = False


class BudgetTrainer(ABC):
    """One training run; a subclass says what its networks learn.

    Args:
        recipe: the budget, and what the subclass adds to it.
        networks: untrained, by name.
        draws: random numbers.
        folder: gets ``last.pt``, to go on from, and ``log.jsonl``.
    """

    def __init__(
        self, recipe: Budget, networks: Mapping[str, nn.Module], draws: Draws, folder: Path
    ) -> None:
        self.budget, self.draws, self.folder = recipe, draws, folder
        self.networks = nn.ModuleDict(dict(networks))
        self.networks.to(draws.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = deepcopy(self.networks).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(),
            recipe.learning_rate,
            weight_decay=1e-3,
            fused=draws.device.type == "cuda",
        )
        self.iteration, self.before = 0, 0.0
        self.losses = dict.fromkeys(self.networks, math.nan)
        self.share_spent = 0.0
        self.stopped = False

    @abstractmethod
    def batch_losses(self) -> dict[str, Tensor]:
        """The loss of each network on a new batch."""

    @abstractmethod
    def learns_from(self) -> dict[str, Any]:
        """What it learns from, plain values, for a card; it may not change on the way."""

    def helpers(self) -> tuple[nn.Module, ...]:
        """Networks that are run but not trained, beside the averaged ones."""
        return ()

    def measure(self) -> dict[str, Any] | None:
        """Figures for the log, where there is something to measure after this iteration."""
        return None

    def start_from(self, name: str, path: Path) -> None:
        """Take a network's weights from a file.

        Raises:
            InputError: it cannot be read or is of another network.
        """
        load_into(self.networks[name], path, f"the network {name} of this recipe")
        self.averaged[name].load_state_dict(self.networks[name].state_dict())

    def run(self, checkpoint_every: float = 300.0, log_every: int = 100) -> None:
        """Train until the budget is spent, going on from ``last.pt`` where it is there."""
        self._resume()
        if self.budget.compile:
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
                slices = (self.iteration - first) * self.budget.batch_size
                self._log(spent, slices / (time.monotonic() - start))
            if (figures := self.measure()) is not None:
                self.write_log({"iteration": self.iteration, **figures})
            if time.monotonic() - saved > checkpoint_every:
                self._save(spent)
                saved = time.monotonic()
        self._save(spent)
        self._log(spent, 0.0)

    def stop(self) -> None:
        """End after the running iteration, as if the budget were spent."""
        self.stopped = True

    def loss(self, name: str) -> float | None:
        """Running mean of a network's loss; None before it was first measured."""
        value = self.losses[name]
        return None if math.isnan(value) else round(value, 5)

    def as_dict(self) -> dict[str, Any]:
        """The recipe, what the run learnt from and how far it came, for a card."""
        return asdict(self.budget) | {
            "learnt_from": self.learns_from(),
            "iterations": self.iteration,
            "slices": self.iteration * self.budget.batch_size,
        }

    def write_log(self, line: Mapping[str, Any]) -> None:
        """One line of ``log.jsonl``."""
        logger.info("%s", line)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _share(self, spent: float) -> float:
        """How much of the budget is used after some seconds."""
        if self.budget.iterations is not None:
            return self.iteration / self.budget.iterations if self.budget.iterations > 0 else 1.0
        return spent / self.budget.seconds if self.budget.seconds > 0 else 1.0

    def _compile(self) -> None:
        """In place, so that names of weights stay. Each network sees one shape of batch: no kernel
        has to do for several.
        """
        for network in (*self.networks.values(), *self.helpers()):
            network.compile(dynamic=False)

    def _step(self) -> dict[str, Tensor]:
        """One iteration; the loss of each network, not waited for."""
        losses = self.batch_losses()
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        for network in self.networks.values():
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self.optimizer.step()
        self.iteration += 1
        keep = min(self.budget.average, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.networks.parameters()), 1 - keep
            )
        return losses

    def _set_rate(self, share: float) -> None:
        warm = min(1.0, (self.iteration + 1) / self.budget.warmup)
        rate = self.budget.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _remember(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            new, old = float(value.detach()), self.losses[name]
            self.losses[name] = new if math.isnan(old) else old + _SMOOTHING * (new - old)

    def _log(self, spent: float, rate: float) -> None:
        self.write_log(
            {
                "iteration": self.iteration,
                "seconds": round(spent, 1),
                "slices_per_s": round(rate, 2),
                "loss": {name: self.loss(name) for name in self.losses},
            }
        )

    def _save(self, spent: float) -> None:
        content = {
            "networks": self.networks.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "seconds": spent,
            "losses": self.losses,
            "random": self.draws.state_dict(),
            "recipe": self._recipe(),
        }
        save_atomically(content, self.folder / "last.pt")

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.is_file():
            return
        content = load_tensors(path)
        self._check_recipe(path, content.get("recipe"))
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

    def _recipe(self) -> dict[str, Any]:
        """What may not change on the way."""
        recipe = plain(asdict(self.budget))
        kept = {name: value for name, value in recipe.items() if name not in _MAY_CHANGE}
        return kept | {"learns_from": self.learns_from()}

    def _check_recipe(self, path: Path, before: Any) -> None:
        """Refuse to go on with other settings or data than the checkpoint's, where it names
        them.
        """
        if not isinstance(before, dict):
            logger.warning("%s: does not say with which settings it was trained", path)
        elif changed := differences(before, self._recipe()):
            raise UnsuitableInputError(
                f"{path}: is of another training: {as_text(changed)}; give what it was trained"
                " with, remove it, or choose another folder",
                code="checkpoint.other_training",
            )


def load_into(network: nn.Module, path: Path, what: str) -> None:
    """Bring the weights of a file into a network.

    Args:
        network: gets them.
        path: a state dict, float16 or float32.
        what: the network, for messages.

    Raises:
        InputError: the file cannot be read or is of another network.
    """
    try:
        network.load_state_dict({key: value.float() for key, value in load_tensors(path).items()})
    except (RuntimeError, AttributeError) as error:
        raise InputError(
            f"{path}: does not fit to {what} ({first_line(error)}); give weights of the same size,"
            " or none",
            code="checkpoint.damaged",
        ) from error
