"""mmccd.methods.mmccd.suspicion: what a further round hides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mmccd.methods.mmccd.suspicion import suspicious_region


@pytest.fixture
def signed() -> Tensor:
    """Noise of standard deviation 1, a bright block in the first slice and a dark one in the
    second.
    """
    error = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    error[0, 0, 10:30, 20:40] += 6
    error[1, 0, 40:50, 20:40] -= 6
    return error


@pytest.fixture
def brain(signed: Tensor) -> Tensor:
    return torch.ones_like(signed, dtype=torch.bool)


@pytest.mark.parametrize(
    ("sign", "bright", "dark"),
    [("brighter", True, False), ("darker", False, True), ("both", True, True)],
)
def test_the_lesion_with_a_margin(
    signed: Tensor, brain: Tensor, sign: str, bright: bool, dark: bool
) -> None:
    region = suspicious_region(signed, brain, 2.0, sign)
    assert (region.shape, region.dtype) == (signed.shape, torch.bool)
    for slice_, block, expected in (
        (0, np.s_[10:30, 20:40], bright),
        (1, np.s_[40:50, 20:40], dark),
    ):
        lesion = np.zeros((64, 64), dtype=bool)
        lesion[block] = True
        found = region[slice_, 0].numpy()
        if not expected:
            assert not found.any()
            continue
        assert found[lesion].all()
        assert found[~lesion].sum() > 0
        assert not found[~ndimage.binary_dilation(lesion, iterations=4)].any()


def test_less_is_suspicious_at_a_higher_bar(signed: Tensor, brain: Tensor) -> None:
    low, high = (suspicious_region(signed, brain, sd) for sd in (0.5, 3.0))
    assert int(high.sum()) < int(low.sum())
    assert bool((low | ~high).all())


def test_stays_in_the_brain(signed: Tensor, brain: Tensor) -> None:
    """What lies outside does not count, and NaN is no error; a slice with a few pixels has no
    region.
    """
    brain[0, 0, :, 30:] = False
    brain[1] = False
    brain[1, 0, 40:48, 20:28] = True
    error = torch.where(brain, signed, torch.nan)
    region = suspicious_region(error, brain, 2.0, "both")
    assert bool(region[0, 0, 12:28, 22:28].all())
    assert not bool(region[~brain].any())
    assert not bool(region[1].any())
