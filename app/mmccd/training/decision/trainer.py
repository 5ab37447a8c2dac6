"""Train d within a budget, and stop on what it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmccd.imaging import Draws
from mmccd.io import load_tensors
from mmccd.methods import DECISION_CHANNELS
from mmccd.models import TranslationUNet, autocast
from mmccd.training.budget import Budget, BudgetTrainer
from mmccd.training.checkpoints import save_atomically
from mmccd.training.decision.samples import DecisionSamples
from mmccd.training.decision.validation import ValidationSet
from mmccd.training.shared import small_network

DECISION = "d"
NETWORK: dict[str, Any] = {
    "factor": 2,
    "channels": [64, 96, 128, 160],
    "attention_levels": [False, False, True, True],
    "num_head_channels": [0, 0, 32, 32],
}
"""7.0 M parameters; lesions of 3 mm are too small for a coarser grid."""
OVERLAP_WEIGHT = 0.3
_OVERLAP_PIXELS = 20.0


@dataclass(frozen=True)
class DecisionRecipe(Budget):
    """Everything that a training of d depends on, beside the data and the machine.

    Attributes:
        network: what differs from :data:`mmccd.training.shared.SMALL`.
        real_share: share of real healthy slices.
        scan_share: share of slices of T1 scans, where there are any.
        validate_every: iterations between measurements; 0: none.
    """

    network: dict[str, Any] = field(default_factory=lambda: dict(NETWORK))
    real_share: float = 0.2
    scan_share: float = 0.35
    validate_every: int = 0


class DecisionTrainer(BudgetTrainer):
    """One training run of d.

    The averaged network of the best measurement on the first validation set is kept in
    ``best.pt``: the training's own loss goes on falling while d gets worse on what was not painted
    by the same brush.

    Args:
        recipe: what to do.
        samples: where batches come from.
        draws: random numbers; the same that ``samples`` uses.
        folder: gets ``last.pt``, ``best.pt`` and ``log.jsonl``.
        validation: what is measured; the first one decides.
    """

    def __init__(
        self,
        recipe: DecisionRecipe,
        samples: DecisionSamples,
        draws: Draws,
        folder: Path,
        validation: Sequence[ValidationSet] = (),
    ) -> None:
        torch.manual_seed(recipe.seed)
        super().__init__(recipe, {DECISION: decision_network(recipe.network)}, draws, folder)
        self.recipe, self.samples, self.validation = recipe, samples, tuple(validation)

    def learns_from(self) -> dict[str, Any]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.learns_from`."""
        cycle = self.samples.cycle
        hashes = dict(cycle.hashes) if cycle else None
        return {"fingerprint": self.samples.pairs.fingerprint, "cycle": hashes}

    def helpers(self) -> tuple[nn.Module, ...]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.helpers`."""
        cycle = self.samples.cycle
        return () if cycle is None else (cycle.forward, cycle.backward)

    def batch_losses(self) -> dict[str, Tensor]:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.batch_losses`."""
        batch = self.samples.draw(self.recipe.batch_size)
        with autocast(self.draws.device, self.recipe.precision):
            logits = self.networks[DECISION](batch.given)
        return {DECISION: decision_loss(logits.float(), batch.label, batch.brain)}

    def measure(self) -> dict[str, Any] | None:
        """See :meth:`~mmccd.training.budget.BudgetTrainer.measure`."""
        every = self.recipe.validate_every
        if not self.validation or not every or self.iteration % every:
            return None
        network = self.averaged[DECISION]
        figures = {one.name: one.measure(network) for one in self.validation}
        self._keep_best(figures[self.validation[0].name]["auprc"])
        return {"validation": figures}

    def best(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The weights to be used, and which they are, for a card: those of the best measurement,
        or the averaged ones where nothing was measured.
        """
        if not (self.folder / "best.pt").is_file():
            return self.averaged[DECISION].state_dict(), {"taken": "last"}
        content = load_tensors(self.folder / "best.pt")
        about = {name: content[name] for name in ("iteration", "auprc", "validation")}
        return content["network"], {"taken": "best", **about}

    def _keep_best(self, auprc: float) -> None:
        path = self.folder / "best.pt"
        if path.is_file() and load_tensors(path)["auprc"] >= auprc:
            return
        content = {
            "network": self.averaged[DECISION].state_dict(),
            "iteration": self.iteration,
            "auprc": auprc,
            "validation": self.validation[0].name,
        }
        save_atomically(content, path)


def decision_network(settings: dict[str, Any]) -> TranslationUNet:
    """An untrained d, from what differs from :data:`mmccd.training.shared.SMALL`."""
    return small_network(DECISION_CHANNELS, **settings)


def decision_loss(logits: Tensor, label: Tensor, brain: Tensor) -> Tensor:
    """Cross-entropy with soft labels within the brain, and .3 of a soft Dice loss a slice, with 20
    pixels added to both of its sides, so that a slice without anomaly does not decide.

    Args:
        logits: ``(batch, 1, height, width)``.
        label: in [0, 1], of the same shape.
        brain: bool of the same shape.
    """
    inside = brain.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, label, reduction="none")
    mean = (entropy * inside).sum() / inside.sum().clamp_min(1)
    said = logits.sigmoid() * inside
    both, sums = ((part).flatten(1).sum(1) for part in (said * label, said + label * inside))
    overlap = (2 * both + _OVERLAP_PIXELS) / (sums + _OVERLAP_PIXELS)
    loss: Tensor = mean + OVERLAP_WEIGHT * (1 - overlap).mean()
    return loss
