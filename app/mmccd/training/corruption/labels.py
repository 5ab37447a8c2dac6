"""Soft labels: how visible a painted change is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

VISIBLE_SD = 0.5
"""A change of this size, in standard deviations of the slice, gets the label 1 - exp(-1) = .63."""


def visible_change(before: Tensor, after: Tensor) -> Tensor:
    """1 - exp(-(d / .5)^2) with d the mean change over 3x3 pixels, in [0, 1).

    What nobody can see is nobody's anomaly: a label of 1 for it would teach a network to guess.
    (Soft labels of this form: Baugh et al., MICCAI 2023, "Many tasks make light work".)

    Args:
        before: slices ``(batch, 1, height, width)`` in normalised units.
        after: the same with something painted on.
    """
    change = functional.avg_pool2d((after - before).abs(), 3, 1, 1)
    return 1 - torch.exp(-((change / VISIBLE_SD) ** 2))
