"""mmccd.training.corruption.labels: how visible a change is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmccd.training.corruption import visible_change


def slow(before: Tensor, after: Tensor) -> Tensor:
    """The formula, pixel by pixel."""
    label = torch.zeros_like(before)
    count, _, height, width = before.shape
    for sample in range(count):
        for row in range(height):
            for column in range(width):
                total = 0.0
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        r, c = row + down, column + right
                        if 0 <= r < height and 0 <= c < width:
                            total += abs(float(after[sample, 0, r, c] - before[sample, 0, r, c]))
                label[sample, 0, row, column] = 1 - math.exp(-((total / 9 / 0.5) ** 2))
    return label


def test_is_the_formula() -> None:
    random = torch.Generator().manual_seed(0)
    before = torch.randn(2, 1, 7, 9, generator=random)
    after = before + 0.6 * torch.randn(2, 1, 7, 9, generator=random)
    assert torch.allclose(visible_change(before, after), slow(before, after), atol=1e-6)


def test_grows_with_the_change_and_says_nothing_of_its_sign() -> None:
    before = torch.zeros(1, 1, 9, 9)
    labels = [
        float(visible_change(before, before + change)[0, 0, 4, 4])
        for change in (0.0, 0.1, 0.5, 1.0, -1.0)
    ]
    assert labels[0] == 0
    assert labels[0] < labels[1] < labels[2] < labels[3] == labels[4] < 1
    assert labels[2] == pytest.approx(0.632, abs=1e-3)
