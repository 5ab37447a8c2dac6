"""mmccd.postprocessing.smoothing: median filter and average across slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mmccd.postprocessing.settings import Postprocessing
from mmccd.postprocessing.smoothing import smooth

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
    smoothed = smooth(
        anomaly, np.ones(anomaly.shape, dtype=bool), 5.0, Postprocessing(median_size=size)
    )
    np.testing.assert_array_equal(smoothed, slow_median(anomaly, size))
    assert smoothed.dtype == np.float32


def test_off_means_unchanged() -> None:
    anomaly = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(smooth(anomaly, anomaly > 0.5, 5.0, Postprocessing()), anomaly)


def test_median_removes_a_speck_and_keeps_an_edge() -> None:
    anomaly = np.zeros((3, 15, 15), dtype=np.float32)
    anomaly[1, 3, 3] = 100
    anomaly[1, 6:, :] = 5
    smoothed = smooth(
        anomaly, np.ones(anomaly.shape, dtype=bool), 5.0, Postprocessing(median_size=5)
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
    smoothed = smooth(
        np.where(brain, anomaly, 0), brain, slice_mm, Postprocessing(across_mm=sigma_mm)
    )
    np.testing.assert_allclose(
        smoothed, slow_average(anomaly, brain, sigma_mm, slice_mm), atol=1e-5
    )
    assert smoothed.dtype == np.float32


def test_average_follows_the_median() -> None:
    anomaly = np.random.default_rng(1).random((4, 9, 9)).astype(np.float32)
    brain = np.ones(anomaly.shape, dtype=bool)
    both = smooth(anomaly, brain, 4.0, Postprocessing(median_size=3, across_mm=4.0))
    np.testing.assert_array_equal(
        both, smooth(slow_median(anomaly, 3), brain, 4.0, Postprocessing(across_mm=4.0))
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
    touched = np.flatnonzero(smooth(anomaly, np.ones(anomaly.shape, dtype=bool), slice_mm, chosen))
    assert (touched.min(), touched.max()) == (12 - reach, 12 + reach)


class TestThinSlices:
    SETTINGS = Postprocessing(median_size=5, across_mm=3.0, thin_median_size=1, thin_across_mm=1.5)

    @pytest.mark.parametrize(
        ("slice_mm", "expected"),
        [(1.0, Postprocessing(across_mm=1.5)), (2.5, Postprocessing(across_mm=1.5))]
        + [(2.51, Postprocessing(5, across_mm=3.0)), (6.0, Postprocessing(5, across_mm=3.0))],
    )
    def test_they_are_smoothed_in_their_own_way(
        self, slice_mm: float, expected: Postprocessing
    ) -> None:
        anomaly = np.random.default_rng(1).random((9, 12, 12)).astype(np.float32)
        brain = np.ones(anomaly.shape, dtype=bool)
        found = smooth(anomaly, brain, slice_mm, self.SETTINGS)
        np.testing.assert_array_equal(found, smooth(anomaly, brain, slice_mm, expected))
        assert self.SETTINGS.reach(slice_mm) == expected.reach(slice_mm)

    def test_without_settings_of_their_own_as_the_others(self) -> None:
        usual = Postprocessing(median_size=3, across_mm=2.0)
        assert usual.smoothing(1.0) == usual.smoothing(5.0) == (3, 2.0)
        assert "thin_median_size" not in usual.as_dict()
        assert self.SETTINGS.as_dict()["thin_across_mm"] == 1.5

    @pytest.mark.parametrize(
        "wrong", [{"thin_median_size": 2}, {"thin_median_size": 0}, {"thin_across_mm": -1.0}]
    )
    def test_sizes_that_do_not_exist(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="thin_"):
            Postprocessing(**wrong)  # type: ignore[arg-type]
