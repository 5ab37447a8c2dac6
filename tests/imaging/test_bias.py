"""mmccd.imaging.bias: a known field is taken out; the field's splines and the coarse grid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from mmccd.brain import zero_point
from mmccd.core import Volume
from mmccd.imaging.bias import _centred_samples, _spline_weights, correct_bias
from mmccd.phantom import Phantom


@pytest.mark.slow
def test_a_known_field_is_removed(healthy_phantom: Phantom) -> None:
    flair, brain = healthy_phantom.images["flair"], healthy_phantom.brain.data > 0
    ramp = np.geomspace(0.6, 1.6, flair.shape[0])[:, None, None]
    uneven = flair.with_data((flair.data * ramp).astype(np.float32))
    corrected = correct_bias(uneven, brain)
    middle = [
        np.median(image[:half][brain[:half]]) / np.median(image[half:][brain[half:]])
        for image, half in
        # fmt: skip
        ((uneven.data, flair.shape[0] // 2), (corrected.data, flair.shape[0] // 2))
    ]
    assert abs(np.log(middle[1])) < 0.4 * abs(np.log(middle[0]))
    assert corrected.data.dtype == np.float32
    assert corrected.same_grid(flair)
    assert 0.7 < corrected.data[brain].mean() / uneven.data[brain].mean() < 1.4


@pytest.mark.slow
@pytest.mark.parametrize("zero", [1000.0, -2.0])
def test_whatever_the_zero_point(zero: float) -> None:
    """A field multiplies what lies above the zero point, and that alone: shifted images come back
    as shifted; those that need no shift as if there were none.
    """
    brain = np.zeros((24, 24, 12), dtype=bool)
    brain[2:-2, 2:-2, 1:-1] = True
    random = np.random.default_rng(0)
    tissue = np.where(brain, 1 + 0.1 * random.standard_normal(brain.shape), 0)
    tissue[9:15, 9:15, 5:7] = 0.05  # fluid
    ramp = np.geomspace(0.6, 1.6, 24)[:, None, None]
    uneven = Volume((tissue * ramp).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    plain = correct_bias(uneven, brain)
    shifted = uneven.with_data(uneven.data + np.float32(zero))
    assert zero_point(shifted) == zero
    found = correct_bias(shifted, brain, zero_point(shifted))
    np.testing.assert_allclose(found.data - zero, plain.data, atol=2e-3)
    assert plain.data[brain].std() < 0.8 * uneven.data[brain].std()


@pytest.mark.slow
def test_a_brain_of_mean_0(healthy_phantom: Phantom) -> None:
    """z-scored, its background at 0, in the middle of the intensities."""
    flair, brain = healthy_phantom.images["flair"], healthy_phantom.brain.data > 0
    ramp = np.geomspace(0.6, 1.6, flair.shape[0])[:, None, None]
    uneven = flair.data * ramp
    values = np.where(brain, (uneven - uneven[brain].mean()) / uneven[brain].std(), 0)
    zscored = flair.with_data(values.astype(np.float32))
    corrected = correct_bias(zscored, brain, zero_point(zscored))
    half = flair.shape[0] // 2

    def difference(image: NDArray[np.float32]) -> float:
        halves = [np.median(image[part][brain[part]]) for part in (slice(half), slice(half, None))]
        return abs(float(halves[1] - halves[0]))

    assert difference(corrected.data) < 0.5 * difference(zscored.data)


@pytest.mark.parametrize("voxels", [1, 7, 40])
def test_the_field_is_evaluated_as_splines_are(voxels: int) -> None:
    """Against SciPy's B-splines with uniform knots, over the whole domain and both its ends."""
    count = 7
    weights = _spline_weights(count, voxels)
    place = np.linspace(0, count - 3, voxels)
    knots = np.arange(-3, count + 1)
    expected = BSpline.design_matrix(place, knots, 3).toarray()
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_samples_lie_in_the_middle() -> None:
    assert list(range(10))[_centred_samples(10, 4)] == [3, 7]
    assert list(range(9))[_centred_samples(9, 3)] == [1, 4, 7]
    assert list(range(2))[_centred_samples(2, 4)] == [1]
