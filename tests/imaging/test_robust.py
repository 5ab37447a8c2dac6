"""mmccd.imaging.robust: values in standard deviations of their own slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from mmccd.imaging.robust import Sides, error_robust_z, robust_z


def slices(gain: float = 1.0, offset: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    values = random.normal(0, 2, (2, 60, 60)).astype(np.float32)
    values[0, :15, :40] += 20  # a lesion in a sixth of the slice
    return gain * values + offset, np.ones(values.shape, dtype=bool)


def test_a_bright_lesion_does_not_change_the_scale() -> None:
    values, brain = slices()
    healthy = robust_z(values, brain)[1]
    assert np.median(healthy) == pytest.approx(0, abs=1e-6)
    assert healthy.std() == pytest.approx(1, abs=0.1)
    ill = robust_z(values, brain)[0]
    assert ill[20:].std() == pytest.approx(1, abs=0.15)
    assert ill[:15, :40].mean() == pytest.approx(10, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_brightness_and_contrast_of_a_patient_do_not_matter(gain: float, offset: float) -> None:
    values, brain = slices()
    other, _ = slices(gain, offset)
    np.testing.assert_allclose(robust_z(other, brain), robust_z(values, brain), atol=2e-3)


def test_by_hand() -> None:
    """Values 0 to 100 in any order: median 50, 16 % quantile 16."""
    values = np.random.default_rng(1).permutation(101).astype(np.float32).reshape(1, 1, 101)
    np.testing.assert_allclose(
        robust_z(values, np.ones(values.shape, dtype=bool)), (values - 50) / 34, rtol=1e-5
    )


def test_small_slices_take_the_numbers_of_the_volume() -> None:
    values, brain = slices()
    brain[1] = False
    brain[1, :3, :3] = True
    low, centre = np.quantile(values[brain], (0.16, 0.5))
    expected = (values[1, :3, :3] - centre) / (centre - low)
    np.testing.assert_allclose(robust_z(values, brain)[1, :3, :3], expected, rtol=1e-5)


def test_nothing_to_scale() -> None:
    flat = np.full((1, 20, 20), 3, dtype=np.float32)
    assert not robust_z(flat, np.ones(flat.shape, dtype=bool)).any()
    assert not robust_z(flat, np.zeros(flat.shape, dtype=bool)).any()


def test_the_sides_of_an_error() -> None:
    """The side that the sign names, the other one by its weight, and both alike."""
    values = np.random.default_rng(0).normal(size=(1, 40, 40)).astype(np.float32)
    brain = np.ones(values.shape, dtype=bool)
    bright, dark = robust_z(values, brain).clip(0), robust_z(-values, brain).clip(0)
    for sign, expected in (
        ("brighter", np.maximum(bright, 0.25 * dark)),
        ("darker", np.maximum(0.25 * bright, dark)),
        ("both", np.maximum(bright, dark)),
    ):
        np.testing.assert_allclose(
            error_robust_z(values, brain, Sides(sign, 0.25)), expected, rtol=1e-6
        )
    np.testing.assert_array_equal(error_robust_z(values, brain), bright)
