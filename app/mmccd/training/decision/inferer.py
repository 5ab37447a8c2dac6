"""d on whole volumes, with a cycle in front of it."""

from __future__ import annotations

from typing import Any

from monai.inferers import Inferer
from torch import Tensor, nn

from mmccd.methods import Combination, CycleScorer, DecidedScorer, Slices
from mmccd.models import choose_precision

_ALONE = Combination(intensity=0.0, error=0.0, decision=1.0)
_ANY_MM = 1.0
"""Neither the cycle nor d asks how far slices lie apart."""


class DecisionInferer(Inferer):
    """The cycle, then d: the probability that each pixel is anomalous.

    Args:
        cycle: f and g, ready to score.
        batch_size: slices per pass of d.
        precision: ``"auto"``, ``"fp32"`` or ``"bf16"``, of d.

    Raises:
        UsageError: an unknown precision.
    """

    def __init__(self, cycle: CycleScorer, batch_size: int = 16, precision: str = "auto") -> None:
        super().__init__()
        self.cycle = cycle
        self.batch_size = batch_size
        self.precision = choose_precision(precision, cycle.device)

    def __call__(
        self, inputs: Tensor, network: nn.Module, *args: Any, brain: Tensor, **kwargs: Any
    ) -> Tensor:
        """Score a volume.

        Args:
            inputs: x, all slices of the volume, ``(slices, 1, size, size)``.
            network: d, in evaluation mode on the device of the cycle.
            args, kwargs: not used; MONAI's engines may pass them.
            brain: bool of the shape of ``inputs``.

        Returns:
            float32 of the same shape in [0, 1], 0 outside the brain, on the CPU.
        """
        scorer = DecidedScorer(
            self.cycle, network, _ALONE, self.cycle.device, self.batch_size, self.precision
        )
        found = scorer.score(Slices(inputs.cpu(), brain.cpu(), _ANY_MM))
        return found.anomaly.nan_to_num(0.0)
