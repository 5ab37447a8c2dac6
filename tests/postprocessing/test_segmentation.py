"""mmccd.postprocessing.segmentation: threshold and small components."""

from __future__ import annotations

import numpy as np
import pytest

from mmccd.postprocessing.segmentation import segment
from mmccd.postprocessing.settings import Postprocessing


def test_the_threshold_is_exclusive_and_inside_the_brain() -> None:
    smoothed = np.array([[[0.4, 0.5, 0.6, 0.6]]], dtype=np.float32)
    brain = np.array([[[True, True, True, False]]])
    segmentation = segment(smoothed, brain, 0.5, 1.0, Postprocessing())
    assert segmentation.dtype == np.uint8
    np.testing.assert_array_equal(segmentation, [[[0, 0, 1, 0]]])


@pytest.mark.parametrize(
    ("minimum", "kept"), [(0.0, {1, 2, 3}), (0.002, {2, 3}), (0.003, {3}), (0.0031, set())]
)
def test_small_components_are_removed(minimum: float, kept: set[int]) -> None:
    """Components of 1, 2 and 3 voxels of 0.001 mL; one of exactly the smallest volume stays."""
    smoothed = np.zeros((1, 9, 9), dtype=np.float32)
    smoothed[0, 0, 0] = smoothed[0, 4, 4] = smoothed[0, 5, 5] = smoothed[0, 8, 0] = smoothed[
        0, 8, 1
    ] = smoothed[0, 8, 2] = 1
    segmentation = segment(
        smoothed,
        np.ones(smoothed.shape, dtype=bool),
        0.5,
        0.001,
        Postprocessing(min_component_ml=minimum),
    )
    expected = np.zeros_like(segmentation)
    expected[0, 0, 0] = 1 in kept
    expected[0, [4, 5], [4, 5]] = 2 in kept
    expected[0, 8, :3] = 3 in kept
    np.testing.assert_array_equal(segmentation, expected)


def test_components_touch_at_corners_across_slices() -> None:
    smoothed = np.zeros((2, 3, 3), dtype=np.float32)
    smoothed[0, 0, 0] = smoothed[1, 1, 1] = 1
    brain = np.ones(smoothed.shape, dtype=bool)
    assert segment(smoothed, brain, 0.5, 1.0, Postprocessing(min_component_ml=2.0)).sum() == 2
    brain[1, 1, 1] = False
    assert segment(smoothed, brain, 0.5, 1.0, Postprocessing(min_component_ml=2.0)).sum() == 0, (
        "only what is in the brain counts"
    )


def test_nothing_found_is_no_error() -> None:
    smoothed = np.zeros((2, 3, 3), dtype=np.float32)
    assert not segment(smoothed, smoothed == 0, 0.5, 1.0, Postprocessing(3, 1.0)).any()
