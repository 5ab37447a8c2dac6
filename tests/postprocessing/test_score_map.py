"""mmccd.postprocessing.score_map: the one way from a score to its map, and the decision in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mmccd.core.score_maps import ScoreMaps
from mmccd.imaging.robust import Sides
from mmccd.postprocessing.normal_range import NormalRange, depth_mm
from mmccd.postprocessing.score_map import make_map
from mmccd.postprocessing.settings import Postprocessing
from mmccd.postprocessing.smoothing import smooth

SMOOTHED = Postprocessing(3, 0.0, "error", 4.0)


def scores_of(anomaly: NDArray[np.float32], signed: NDArray[np.float32]) -> ScoreMaps:
    """Maps whose reconstructed image is the anomaly turned upside down."""
    layers = [torch.from_numpy(layer)[:, None] for layer in (anomaly, signed)]
    return ScoreMaps(*layers, layers[0], layers[0].flip(2), torch.ones_like(layers[0]))


def sloped() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two slices of noise; a bright lesion in the first, a dark one in the second."""
    values = np.random.default_rng(0).normal(0, 2, (2, 60, 60)).astype(np.float32)
    values[0, :15, :40] += 20
    values[1, 30:40, 30:40] -= 20
    return values, np.ones(values.shape, dtype=bool)


@pytest.mark.parametrize(
    ("sign", "lesion", "dip"),
    [("brighter", True, False), ("darker", False, True), ("both", True, True)],
)
def test_robust_z_counts_one_sign(sign: str, lesion: bool, dip: bool) -> None:
    values, brain = sloped()
    scores, settings = scores_of(np.zeros_like(values), values), Postprocessing(units="slice_sd")
    made = make_map(scores, brain, 5.0, settings, Sides(sign))
    assert np.array_equal(made.raw, made.smoothed)
    assert (made.raw >= 0).all()
    assert bool((made.raw[0, :15, :40] > 4).all()) is lesion
    assert bool((made.raw[1, 30:40, 30:40] > 4).all()) is dip


def test_error_is_the_score_inside_the_brain() -> None:
    values, brain = sloped()
    brain[0] = False
    scores = scores_of(np.where(brain, values, np.nan).astype(np.float32), -values)
    made = make_map(scores, brain, 5.0, Postprocessing())
    np.testing.assert_array_equal(made.raw, np.where(brain, values, 0))
    assert made.percentile is None


def test_smoothed_in_millimetres() -> None:
    values, brain = sloped()
    made = make_map(scores_of(values, values), brain, 2.0, SMOOTHED)
    np.testing.assert_array_equal(made.smoothed, smooth(values, brain, 2.0, SMOOTHED))


def test_percentile_of_the_smoothed_map() -> None:
    """The kind of a voxel is that of its depth and of the reconstructed image."""
    values, brain = sloped()
    values = np.abs(values)
    normal = NormalRange.fit(values.ravel(), values.ravel(), depth_mm(brain).ravel())
    made = make_map(scores_of(values, values), brain, 2.0, SMOOTHED, normal_range=normal)
    expected = normal.percentile(made.smoothed, values[:, ::-1], depth_mm(brain))
    np.testing.assert_array_equal(made.percentile, expected)
