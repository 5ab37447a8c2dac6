"""Networks, slices and a brain for the cycle."""

from __future__ import annotations

import pytest
import torch
from tests.methods.mmccd.cycles import SIZE, SLICES, Backward, Forward
from torch import Tensor


@pytest.fixture
def networks() -> tuple[Forward, Backward]:
    """f and g with random weights."""
    torch.manual_seed(1)
    return Forward().eval(), Backward().eval()


@pytest.fixture
def images() -> Tensor:
    """x of three slices."""
    return torch.randn(SLICES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def brain() -> Tensor:
    """A small disc in the first slice, a corner in the second, nothing in the third."""
    mask = torch.zeros(SLICES, 1, SIZE, SIZE, dtype=torch.bool)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    mask[0, 0] = (rows - 14) ** 2 + (columns - 9) ** 2 <= 5**2
    mask[1, 0, 27:, 29:] = True
    return mask
