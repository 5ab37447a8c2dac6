"""The masked cycle with the decision network behind it, as a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Chosen, Context, Need, Progress, Slices, shipped
from mmccd.methods.mmccd.combination import MOST_ERROR, Combination, brightness
from mmccd.methods.mmccd.decision import decide, decision_input
from mmccd.methods.mmccd.method import CycleScorer, MaskedCycle
from mmccd.methods.mmccd.parallel import ParallelScorer
from mmccd.methods.scoring import batches


@dataclass(frozen=True)
class DecidedScorer:
    """The cycle, then d, then their sum with the intensity.

    Attributes:
        cycle: scores the slices first.
        network: d, in evaluation mode on ``device``; None where it has no weight in the sum.
        combination: weights of the sum.
        device: where d runs.
        batch_size: slices per pass of d.
        precision: of d's passes.
    """

    cycle: CycleScorer | ParallelScorer
    network: nn.Module | None
    combination: Combination
    device: torch.device
    batch_size: int = 16
    precision: str = "fp32"

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`: the cycle's maps with the sum as their anomaly.
        The brightness is that of the whole brain, whichever slices are scored.
        """
        before, total = self.cycle.count(slices.brain), self.count(slices.brain)
        maps = self.cycle.score(
            slices, progress and (lambda done, _: progress(done, total)), cancelled
        )
        weights = self.combination
        whole = slices.brain if slices.whole is None else slices.whole
        bright = brightness(slices.image, whole)
        error = maps.anomaly.nan_to_num(0.0).clamp_max(MOST_ERROR)
        score = weights.intensity * bright + weights.error * error
        tell = progress and (lambda done, _: progress(before + done, total))
        if self.network is not None:
            for part in batches(slices, self.batch_size, tell, cancelled):
                score[part] += weights.decision * self._decide(self.network, slices, maps, part)
        return replace(maps, anomaly=torch.where(slices.brain, score, torch.nan))

    def count(self, brain: Tensor) -> int:
        """What progress counts to for a brain mask."""
        passes = int(brain.flatten(1).any(1).sum()) if self.network is not None else 0
        return self.cycle.count(brain) + passes

    def _decide(self, network: nn.Module, slices: Slices, maps: ScoreMaps, part: Tensor) -> Tensor:
        layers = [maps.reconstructed[part], maps.signed[part]]
        if self.combination.blind:
            layers = [torch.zeros_like(layer) for layer in layers]
        given = decision_input(slices.image[part], slices.brain[part], *layers)
        return decide(network, given.to(self.device), self.precision).cpu()


def on_several_devices(scorers: Sequence[Any]) -> Any:
    """One scorer of several, each of a device of its own: they share the slices of the cycle,
    which scores them one by one; d runs on the first. Others than the cycle's run on the first.
    """
    first = scorers[0]
    if len(scorers) == 1:
        return first
    if isinstance(first, CycleScorer):
        return ParallelScorer(tuple(scorers))
    if isinstance(first, DecidedScorer):
        return replace(first, cycle=ParallelScorer(tuple(one.cycle for one in scorers)))
    return first


@dataclass(frozen=True)
class DecidedCycle(MaskedCycle):
    """The masked cycle, the decision network and the intensity in one score.

    Attributes:
        intensity: weight of the intensity, see :class:`Combination`, as the others; None as in the
            preset.
        error: weight of the cycle's normalised error.
        decision: weight of the decision network; 0 does without it.
        blind: whether the decision network does without the cycle.
    """

    name: ClassVar[str] = "mmccd_decision"
    title: ClassVar[str] = "MMCCD with decision"
    needs: ClassVar[Mapping[str, Need]] = {**MaskedCycle.needs, "decision": shipped("decision")}

    intensity: float | None = None
    error: float | None = None
    decision: float | None = None
    blind: bool | None = None

    def combination(self, context: Context) -> Combination:
        """Weights of the sum.

        Raises:
            ValueError: weights that do not exist.
        """
        return self.changed(context.combination or Combination())

    def key(self, context: Context) -> dict[str, Any]:
        """See :meth:`mmccd.methods.Method.key`."""
        return {**super().key(context), "combination": self.combination(context).as_dict()}

    def chosen(self, context: Context) -> Chosen:
        """See :meth:`MaskedCycle.chosen`."""
        return replace(super().chosen(context), combination=self.combination(context))

    def build(self, context: Context) -> DecidedScorer:  # type: ignore[override]
        """See :meth:`mmccd.methods.Method.build`."""
        precision, weights = self.precision_of(context), self.combination(context)
        return DecidedScorer(
            super().build(context),
            context.network("decision", precision) if weights.decision else None,
            weights,
            context.device,
            context.batch_size,
            precision,
        )
