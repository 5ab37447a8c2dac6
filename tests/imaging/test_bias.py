"""mmccd.imaging.bias: a known field is taken out; the field's splines and the coarse grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

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
