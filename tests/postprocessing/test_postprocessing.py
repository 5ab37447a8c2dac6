"""mmccd.postprocessing.postprocessing: median filter, average across slices, threshold, small
components.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mmccd.postprocessing.postprocessing import Postprocessing, erode_slices

maps = hnp.arrays(np.float32, (2, 7, 6), elements=st.integers(0, 9).map(float))


def slow_median(anomaly: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Pixel by pixel; what lies beyond the border counts as 0."""
    reach = size // 2
    padded = np.pad(anomaly, ((0, 0), (reach, reach), (reach, reach)))
    result = np.zeros_like(anomaly)
    for index in np.ndindex(*anomaly.shape):
        s, r, c = index
        result[index] = np.median(padded[s, r : r + size, c : c + size])
    return result


@settings(deadline=None, max_examples=30)
@given(maps, st.sampled_from([3, 5]))
def test_median_within_each_slice(anomaly: NDArray[np.float32], size: int) -> None:
    smoothed = Postprocessing(median_size=size).smooth(
        anomaly, np.ones(anomaly.shape, dtype=bool), 5.0
    )
    np.testing.assert_array_equal(smoothed, slow_median(anomaly, size))
    assert smoothed.dtype == np.float32


def test_off_means_unchanged() -> None:
    anomaly = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(Postprocessing().smooth(anomaly, anomaly > 0.5, 5.0), anomaly)


def test_median_removes_a_speck_and_keeps_an_edge() -> None:
    anomaly = np.zeros((3, 15, 15), dtype=np.float32)
    anomaly[1, 3, 3] = 100
    anomaly[1, 6:, :] = 5
    smoothed = Postprocessing(median_size=5).smooth(
        anomaly, np.ones(anomaly.shape, dtype=bool), 5.0
    )
    assert smoothed[1, 3, 3] == 0
    np.testing.assert_array_equal(smoothed[1, 6:12, 4:11], 5)
    assert not smoothed[[0, 2]].any(), "no slice sees another"


def slow_average(
    anomaly: NDArray[np.float32], brain: NDArray[np.bool_], sigma_mm: float, slice_mm: float
) -> NDArray[np.float64]:
    """Voxel by voxel: neighbours within three standard deviations (rounded up to a slice), by the
    normal density at their distance in mm.
    """
    result = np.zeros(anomaly.shape)
    for s, r, c in zip(*np.nonzero(brain), strict=True):
        near = [
            k
            for k in range(len(anomaly))
            if brain[k, r, c] and abs(k - s) <= np.ceil(3 * (sigma_mm / slice_mm))
        ]
        weights = [np.exp(-(((k - s) * slice_mm / sigma_mm) ** 2) / 2) for k in near]
        result[s, r, c] = np.average([anomaly[k, r, c] for k in near], weights=weights)
    return result


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float32, (7, 3, 2), elements=st.integers(0, 9).map(float)),
    hnp.arrays(np.bool_, (7, 3, 2)),
    st.floats(0.5, 8),
    st.floats(0.8, 8),
)
def test_average_across_slices(
    anomaly: NDArray[np.float32], brain: NDArray[np.bool_], sigma_mm: float, slice_mm: float
) -> None:
    smoothed = Postprocessing(across_mm=sigma_mm).smooth(
        np.where(brain, anomaly, 0), brain, slice_mm
    )
    np.testing.assert_allclose(
        smoothed, slow_average(anomaly, brain, sigma_mm, slice_mm), atol=1e-5
    )
    assert smoothed.dtype == np.float32


def test_average_follows_the_median() -> None:
    anomaly = np.random.default_rng(1).random((4, 9, 9)).astype(np.float32)
    brain = np.ones(anomaly.shape, dtype=bool)
    both = Postprocessing(median_size=3, across_mm=4.0).smooth(anomaly, brain, 4.0)
    np.testing.assert_array_equal(
        both, Postprocessing(across_mm=4.0).smooth(slow_median(anomaly, 3), brain, 4.0)
    )


@pytest.mark.parametrize(
    ("across_mm", "slice_mm", "reach"),
    [(0.0, 5.0, 0), (3.0, 5.0, 2), (3.0, 1.0, 9), (3.0, 10.0, 1), (4.0, 3.0, 4)],
)
def test_what_lies_beyond_the_reach_has_no_part(
    across_mm: float, slice_mm: float, reach: int
) -> None:
    chosen = Postprocessing(across_mm=across_mm)
    assert chosen.reach(slice_mm) == reach
    anomaly = np.zeros((25, 1, 1), dtype=np.float32)
    anomaly[12] = 1
    touched = np.flatnonzero(chosen.smooth(anomaly, np.ones(anomaly.shape, dtype=bool), slice_mm))
    assert (touched.min(), touched.max()) == (12 - reach, 12 + reach)


def test_the_threshold_is_exclusive_and_inside_the_brain() -> None:
    smoothed = np.array([[[0.4, 0.5, 0.6, 0.6]]], dtype=np.float32)
    brain = np.array([[[True, True, True, False]]])
    segmentation = Postprocessing().segment(smoothed, brain, 0.5, 1.0)
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
    segmentation = Postprocessing(min_component_ml=minimum).segment(
        smoothed, np.ones(smoothed.shape, dtype=bool), 0.5, 0.001
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
    assert Postprocessing(min_component_ml=2.0).segment(smoothed, brain, 0.5, 1.0).sum() == 2
    brain[1, 1, 1] = False
    assert Postprocessing(min_component_ml=2.0).segment(smoothed, brain, 0.5, 1.0).sum() == 0, (
        "only what is in the brain counts"
    )


def test_nothing_found_is_no_error() -> None:
    smoothed = np.zeros((2, 3, 3), dtype=np.float32)
    assert not Postprocessing(3, 1.0).segment(smoothed, smoothed == 0, 0.5, 1.0).any()


def test_settings_survive_json() -> None:
    chosen = Postprocessing(5, 0.1, "slice_sd", 2.5)
    assert Postprocessing(**chosen.as_dict()) == chosen


@pytest.mark.parametrize(
    "arguments",
    [
        {"median_size": 0},
        {"median_size": 4},
        {"median_size": -3},
        {"min_component_ml": -1.0},
        {"units": "mm"},
        {"across_mm": -1.0},
        {"across_mm": float("nan")},
        {"across_mm": float("inf")},
    ],
)
def test_refuses(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Postprocessing(**arguments)  # type: ignore[arg-type]


class TestErosion:
    def test_disk(self) -> None:
        """A disk of radius 2 has 13 pixels: what is closer than that to the border or a hole
        goes.
        """
        brain = np.zeros((1, 11, 11), dtype=bool)
        brain[0, 1:10, 1:10] = True
        brain[0, 5, 5] = False
        eroded = erode_slices(brain, 2)
        expected = np.zeros_like(brain)
        expected[0, 3:8, 3:8] = True
        rows, columns = np.ogrid[:11, :11]
        expected[0, (rows - 5) ** 2 + (columns - 5) ** 2 <= 4] = False
        assert np.array_equal(eroded, expected)

    def test_slices_are_apart(self) -> None:
        brain = np.zeros((3, 9, 9), dtype=bool)
        brain[1, 1:8, 1:8] = True
        assert erode_slices(brain, 1)[1].sum() == 25
        assert not erode_slices(brain, 1)[[0, 2]].any()

    def test_nothing_to_erode(self) -> None:
        brain = np.ones((2, 4, 4), dtype=bool)
        assert np.array_equal(erode_slices(brain, 0), brain)


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
def test_units_count_one_sign(sign: str, lesion: bool, dip: bool) -> None:
    values, brain = sloped()
    scaled = Postprocessing(units="slice_sd").scale(np.zeros_like(values), values, brain, sign)
    assert (scaled >= 0).all()
    assert bool((scaled[0, :15, :40] > 4).all()) is lesion
    assert bool((scaled[1, 30:40, 30:40] > 4).all()) is dip


def test_units_off() -> None:
    values, brain = sloped()
    brain[0] = False
    scaled = Postprocessing().scale(values, -values, brain)
    np.testing.assert_array_equal(scaled, np.where(brain, values, 0))
