"""The cycle's error with one number in the place of the reconstructed image: what a method is worth
that reconstructs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from mmccd.core import ScoreMaps
from mmccd.imaging import Sides
from mmccd.methods.base import BRIGHT, Cancelled, Context, Method, Need, Progress, Slices, shipped
from mmccd.methods.scoring import error_within


@dataclass(frozen=True)
class ConstantScorer:
    """|x - c|, on the sides that count.

    Attributes:
        value: c, in normalised units.
        sides: which differences count.
    """

    value: float
    sides: Sides

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`."""
        one = torch.full_like(slices.image, self.value)
        return error_within(slices, torch.full_like(one, torch.nan), one, self.sides.weights)


@dataclass(frozen=True)
class Constant(Method):
    """|x - c| with the preset's ``sign`` and ``other_side``, in the units of f.

    Attributes:
        value: c, the median of healthy brain in normalised units.
    """

    name: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant in the place of x'"
    needs: ClassVar[Mapping[str, Need]] = {"forward": shipped("forward")}

    value: float = 0.1

    def key(self, context: Context) -> dict[str, Any]:
        """See :meth:`mmccd.methods.Method.key`; the weights give their normalisation alone."""
        return {"value": self.value, **self.sides(context)._asdict()}

    def build(self, context: Context) -> ConstantScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        return ConstantScorer(self.value, self.sides(context))

    def polarities(self, source: str, signed: bool) -> tuple[int, ...]:
        """The cycle's sign says which side counts."""
        return (BRIGHT,)

    def sides(self, context: Context) -> Sides:
        """Those of the preset's cycle."""
        return context.cycle.sides
