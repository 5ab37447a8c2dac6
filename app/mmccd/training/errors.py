"""What validation measures: the mean error under the strip, beside it, and in the brain."""

from __future__ import annotations

import math
from typing import Any

from ignite.metrics import Metric
from torch import Tensor


class MeanError(Metric):
    """Mean absolute error over the voxels of the brain that a rule selects, pooled over the
    validation set.

    Args:
        output_transform: engine output to ``(error, weight)``, tensors of one shape.
        device: where the sums live.
    """

    def reset(self) -> None:
        """Forget all voxels."""
        self.total = 0.0
        self.count = 0.0

    def update(self, output: tuple[Tensor, Tensor]) -> None:
        """Add a batch."""
        error, weight = output
        self.total += float((error.double() * weight).sum())
        self.count += float(weight.sum())

    def compute(self) -> float:
        """The mean; NaN where no voxel was selected."""
        return self.total / self.count if self.count else math.nan


def _select(output: Any, where: str) -> tuple[Tensor, Tensor]:
    truth, prediction = output["label"], output["pred"]
    if where == "cycle":
        error, region = (prediction[:, 1:] - truth["source"]).abs(), truth["mask"]
    else:
        error = (prediction[:, :1] - truth["target"]).abs()
        region = truth["mask"] if where == "masked" else ~truth["mask"]
    return error, (region & truth["brain"]).double()


def masked_error(output: Any) -> tuple[Tensor, Tensor]:
    """|f(x_r) - y| in the brain under the mask: what f imagines."""
    return _select(output, "masked")


def visible_error(output: Any) -> tuple[Tensor, Tensor]:
    """|f(x_r) - y| in the brain outside the mask: what f translates."""
    return _select(output, "visible")


def cycle_error(output: Any) -> tuple[Tensor, Tensor]:
    """|g(f(x_r)) - x| in the brain under the mask: the whole cycle on healthy tissue."""
    return _select(output, "cycle")


def brain_error(output: Any) -> tuple[Tensor, Tensor]:
    """|g(y) - x| in the brain."""
    truth = output["label"]
    return (output["pred"].float() - truth["target"]).abs(), truth["brain"].double()
