"""How d does on lesions that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mmccd.core import UnsuitableInputError
from mmccd.data import Case, load_case, say_doubtful_labels
from mmccd.imaging import Draws, Normalisation
from mmccd.methods import decide, decision_input
from mmccd.training.cycle.pack import MIN_BRAIN_PIXELS
from mmccd.training.decision.returned import OneStepCycle, Returned

_BATCH = 8
_SEED = 99


@dataclass(frozen=True)
class ValidationSet:
    """Slices of labelled cases, as d sees them; on the CPU.

    Attributes:
        name: of the set.
        given: ``(slices, 5, size, size)``.
        lesion: bool ``(slices, 1, size, size)``.
        brain: likewise.
    """

    name: str
    given: Tensor
    lesion: Tensor
    brain: Tensor

    @torch.no_grad()
    def measure(self, network: nn.Module) -> dict[str, float]:
        """AUPRC over all brain pixels, and the share of the lesion-free slices' brain (of all
        healthy pixels where there are none) in which d is more sure than not.
        """
        from sklearn.metrics import average_precision_score

        device = next(network.parameters()).device
        said = torch.cat(
            [decide(network, part.to(device)).cpu() for part in self.given.split(_BATCH)]
        )
        free = self.brain & ~self.lesion.flatten(1).any(1)[:, None, None, None]
        healthy = free if free.any() else self.brain & ~self.lesion
        truth, score = self.lesion[self.brain].numpy(), said[self.brain].numpy()
        return {
            "auprc": round(float(average_precision_score(truth, score)), 4),
            "marked_healthy": round(float((said[healthy] > 0.5).float().mean()), 5),
        }


def validation_set(
    name: str,
    cases: Sequence[Case],
    source: str,
    per_case: int,
    cycle: OneStepCycle | None,
    device: torch.device,
) -> ValidationSet:
    """Up to ``per_case`` slices of each case, three quarters of them with a lesion, evenly from the
    lowest to the topmost.

    Args:
        name: of the set.
        cases: with labels.
        source: contrast of x.
        per_case: slices of a case at the most.
        cycle: gives x', with a seed of its own; None: d sees none.
        device: where the cycle runs.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.data.load_case`; no lesion at all.
    """
    say_doubtful_labels(cases)
    draws = Draws(_SEED, device)
    parts = [_slices(case, source, per_case) for case in cases]
    image, lesion, brain = (torch.cat(group) for group in zip(*parts, strict=True))
    if not lesion.any():
        raise UnsuitableInputError(
            f"validation set {name}: {len(cases)} cases without any lesion; expected labels"
        )
    given = []
    for rows in torch.arange(len(image)).split(_BATCH):
        seen, inside = image[rows].to(device), brain[rows].to(device)
        found = cycle(seen, inside, draws) if cycle else Returned.nothing(seen)
        given.append(decision_input(seen, inside, found.reconstructed, found.signed).cpu())
    return ValidationSet(name, torch.cat(given), lesion, brain)


def _slices(case: Case, source: str, per_case: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, lesion and brain of the chosen slices."""
    found = load_case(case, {source: Normalisation.for_modality(source)})
    large = found.brain.flatten(1).sum(1) >= MIN_BRAIN_PIXELS
    with_lesion = torch.nonzero(large & found.lesion.flatten(1).any(1)).flatten()
    without = torch.nonzero(large & ~found.has_lesion).flatten()
    ill = _evenly(with_lesion, per_case - per_case // 4)
    rows = torch.cat([ill, _evenly(without, per_case - len(ill))])
    return found.images[source][rows], found.lesion[rows], found.brain[rows]


def _evenly(rows: Tensor, count: int) -> Tensor:
    places = np.linspace(0, max(len(rows) - 1, 0), min(count, len(rows)))
    return rows[torch.from_numpy(places.round().astype(np.int64))]
