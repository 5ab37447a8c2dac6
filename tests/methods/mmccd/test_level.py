"""mmccd.methods.mmccd.level: a smooth offset goes, a small lesion stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy import ndimage
from torch import Tensor

from mmccd.methods.mmccd.level import levelled

SIZE = 128
ROWS, COLUMNS = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
BRAIN = (((ROWS - 64) / 50) ** 2 + ((COLUMNS - 64) / 42) ** 2 <= 1)[None, None]


def field(offset: float, slope: float) -> Tensor:
    """An offset that grows from left to right."""
    return (offset + slope * (COLUMNS - 64) / 42)[None, None].float()


@settings(max_examples=30, deadline=None)
@given(
    offset=st.floats(-0.5, 0.5),
    slope=st.floats(-0.2, 0.2),
    row=st.integers(35, 90),
    column=st.integers(45, 80),
    height=st.floats(0.5, 5.0),
)
def test_a_smooth_offset_goes_and_a_small_lesion_stays(
    offset: float, slope: float, row: int, column: int, height: float
) -> None:
    lesion = (((ROWS - row) ** 2 + (COLUMNS - column) ** 2) <= 3**2)[None, None] & BRAIN
    found = levelled(field(offset, slope) + height * lesion, BRAIN)
    far = BRAIN & (((ROWS - row) ** 2 + (COLUMNS - column) ** 2) > 40**2)
    assert float(found[far].mean().abs()) < 0.1
    assert float(found[lesion].mean()) > 0.7 * height
    contrast = float(found[lesion].mean() - found[BRAIN & ~lesion].mean())
    assert contrast == pytest.approx(height, abs=0.25 * max(height, 1))


@pytest.mark.parametrize("offset", [-0.75, 0.25, 1.0])
def test_a_constant_goes_to_the_last_digit(offset: float) -> None:
    signed = torch.full((2, 1, SIZE, SIZE), offset)
    found = levelled(signed, BRAIN.expand(2, -1, -1, -1))
    torch.testing.assert_close(found[:, :, BRAIN[0, 0]], torch.zeros(2, 1, int(BRAIN.sum())))
    assert torch.equal(found[:, :, ~BRAIN[0, 0]], signed[:, :, ~BRAIN[0, 0]]), "outside as it was"


def test_equals_the_normalised_gaussian_of_scipy() -> None:
    signed = 2 * torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    inside = BRAIN[0, 0].double().numpy()

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.gaussian_filter(values, 20, mode="constant", truncate=7))

    clipped = np.clip(signed[0, 0].double().numpy(), -1, 1) * inside
    expected = signed[0, 0].double().numpy() - smooth(clipped) / np.maximum(smooth(inside), 1e-9)
    found = levelled(signed, BRAIN)[0, 0].double().numpy()
    np.testing.assert_allclose(found[inside > 0], expected[inside > 0], atol=1e-5)


def test_what_is_not_known_has_no_part() -> None:
    signed = torch.full((1, 1, SIZE, SIZE), 0.5)
    signed[..., 60:70, 60:70] = torch.nan
    found = levelled(signed, BRAIN)
    assert torch.equal(found.isnan(), signed.isnan())
    assert float(found[BRAIN & ~signed.isnan()].abs().max()) < 1e-6


def test_slices_are_levelled_one_by_one_and_none_without_brain() -> None:
    signed = torch.randn(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    brain = BRAIN.repeat(3, 1, 1, 1)
    brain[1] = False
    whole = levelled(signed, brain)
    torch.testing.assert_close(levelled(signed[2:], brain[2:]), whole[2:])
    assert torch.equal(whole[1], signed[1])
    assert whole.dtype == torch.float32
