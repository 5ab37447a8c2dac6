"""mmccd.bundle.operating_points: what the threshold of an operating point promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from mmccd.bundle.operating_points import (
    FEWEST_CASES,
    HealthyCase,
    choose_points,
    rates_around,
    threshold_for_rate,
)
from mmccd.core.errors import UnsuitableInputError
from mmccd.core.operating_points import RATES

healthy_maps = st.lists(st.integers(0, 20), min_size=1, max_size=200).map(
    lambda values: np.array(values, dtype=float)
)
rates = st.floats(0.005, 0.9)


def share(case: NDArray[np.float64], threshold: float) -> float:
    return float((case > threshold).mean())


@settings(deadline=None)
@given(healthy_maps, rates)
def test_at_most_the_wanted_share_is_above(healthy: np.ndarray, rate: float) -> None:
    if healthy.size * rate < 1:
        with pytest.raises(UnsuitableInputError, match="too few"):
            threshold_for_rate(healthy, rate)
        return
    threshold = threshold_for_rate(healthy, rate)
    assert (healthy > threshold).mean() <= rate + 1e-12
    assert threshold in healthy


@pytest.mark.parametrize(
    ("count", "rate", "expected"),
    [(10, 0.1, 8), (10, 0.2, 7), (100, 0.05, 94), (1001, 0.1, 900), (4, 0.5, 1)],
)
def test_the_threshold_is_the_smallest_that_does(count: int, rate: float, expected: int) -> None:
    """Of 0, 1, ..., n-1 in any order, n * rate values may lie above."""
    healthy = np.random.default_rng(0).permutation(count).astype(float)
    assert threshold_for_rate(healthy, rate) == expected


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        threshold_for_rate(np.arange(10.0), rate)


class TestThePoints:
    @settings(deadline=None)
    @given(
        st.lists(
            st.lists(st.integers(0, 30), min_size=1, max_size=60), min_size=FEWEST_CASES, max_size=9
        ),
        rates,
    )
    def test_the_smallest_threshold_whose_median_share_keeps_to_the_rate(
        self, values: list[list[int]], rate: float
    ) -> None:
        """Odd and even numbers of cases of any sizes, equal values among them, by trying all."""
        cases = [np.array(one, dtype=np.float64) for one in values]
        pooled = np.concatenate(cases)
        if pooled.size * rate < 1:
            with pytest.raises(UnsuitableInputError, match="too few"):
                choose_points([HealthyCase(one) for one in cases], {"balanced": rate})
            return
        found = choose_points([HealthyCase(one) for one in cases], {"balanced": rate})["balanced"]
        medians = {value: np.median([share(one, value) for one in cases]) for value in pooled}
        assert found.threshold == min(value for value in pooled if medians[value] <= rate)
        assert found.statistic == "median over cases"
        assert found.median_share == pytest.approx(medians[found.threshold])
        assert found.pooled_rate == pytest.approx(share(pooled, found.threshold))
        assert found.largest_share == pytest.approx(
            max(share(one, found.threshold) for one in cases)
        )

    def test_bad_cases_do_not_move_the_median_and_do_not_hide(self) -> None:
        """Two of seven cases are marked all over: the threshold stays, the figures tell."""
        good = [np.linspace(0, 1, 1001) for _ in range(5)]
        bad = [np.linspace(5, 6, 1001) for _ in range(2)]
        cases = [HealthyCase(one, 0.001) for one in (*good, *bad)]
        found = choose_points(cases, {"balanced": 0.01})["balanced"]
        assert found.threshold == pytest.approx(0.99)
        assert (found.median_share, found.largest_share) == (pytest.approx(0.01, abs=1e-3), 1.0)
        assert found.pooled_rate == pytest.approx((5 * 0.01 + 2) / 7, abs=1e-3)
        assert found.median_ml == pytest.approx(0.01, abs=1e-9)
        assert found.largest_ml == pytest.approx(1.001)

    def test_of_few_cases_the_pooled_rate_decides(self) -> None:
        cases = [np.linspace(0, 1, 1001), *(np.linspace(0, 0.1, 1001) for _ in range(3))]
        assert len(cases) == FEWEST_CASES - 1
        found = choose_points([HealthyCase(one) for one in cases], {"balanced": 0.05})["balanced"]
        assert found.statistic == "pooled"
        assert found.threshold == threshold_for_rate(np.concatenate(cases), 0.05)
        assert found.pooled_rate <= 0.05 < found.largest_share
        assert found.median_share < found.pooled_rate

    def test_float32_maps(self) -> None:
        """The threshold is a value of the map, so that what is equal to it is not marked."""
        random = np.random.default_rng(1)
        cases = [random.gamma(2, size=5000).astype(np.float32) for _ in range(FEWEST_CASES)]
        points = choose_points([HealthyCase(one, 0.002) for one in cases], RATES)
        for name, point in points.items():
            shares = [float((one > point.threshold).mean()) for one in cases]
            assert np.median(shares) == pytest.approx(point.median_share)
            assert point.median_share <= RATES[name] == point.rate
            assert np.float32(point.threshold) in np.concatenate(cases)
            assert point.largest_ml == pytest.approx(max(shares) * 5000 * 0.002)
        assert points["specific"].threshold > points["balanced"].threshold
        assert points["balanced"].threshold > points["sensitive"].threshold

    def test_volumes_where_the_voxel_size_is_known(self) -> None:
        cases = [HealthyCase(np.arange(100.0), 0.5), HealthyCase(np.arange(100.0))]
        point = choose_points(cases, {"balanced": 0.1})["balanced"]
        assert (point.median_ml, point.largest_ml) == (None, None)

    def test_without_a_case_or_a_voxel(self) -> None:
        with pytest.raises(ValueError, match="at least one healthy case"):
            choose_points([], RATES)
        with pytest.raises(ValueError, match="at least one healthy voxel"):
            HealthyCase(np.empty(0))

    @pytest.mark.parametrize("count", [1, FEWEST_CASES])
    def test_too_few_voxels(self, count: int) -> None:
        cases = [HealthyCase(np.arange(1999.0 // count)) for _ in range(count)]
        with pytest.raises(UnsuitableInputError, match="too few") as error:
            choose_points(cases, RATES)
        assert error.value.code == "calibration.too_few_voxels"


@pytest.mark.parametrize(
    ("balanced", "expected"),
    [
        (0.001, [0.0005, 0.001, 0.01]),
        (0.002, [0.0005, 0.002, 0.01]),
        (0.0001, [0.0001, 0.0001, 0.01]),
        (0.1, [0.0005, 0.1, 0.1]),
    ],
)
def test_other_points_do_not_cross_balanced(balanced: float, expected: list[float]) -> None:
    assert list(rates_around(balanced).values()) == expected
    assert list(rates_around(balanced)) == list(RATES)
