"""Small slices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmccd.methods.base import Slices


@pytest.fixture
def image() -> Tensor:
    return torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def brain() -> Tensor:
    """Five slices, of which the third holds no brain."""
    inside = torch.zeros(5, 1, 16, 16, dtype=torch.bool)
    inside[:, :, 3:12, 4:14] = True
    inside[2] = False
    return inside


@pytest.fixture
def slices(image: Tensor, brain: Tensor) -> Slices:
    """Both, 5 mm apart."""
    return Slices(image, brain, 5.0)
