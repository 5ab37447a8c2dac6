"""mmccd.postprocessing.normal_range: how many healthy voxels of the same place and brightness have
a smaller error.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mmccd.postprocessing.normal_range import LEVELS, MIN_VOXELS, NormalRange, depth_mm

COUNT = 120_000


@pytest.fixture(scope="module")
def healthy() -> dict[str, np.ndarray]:
    """In fifths of x' the error rises with it, and twice as large in the rim."""
    random = np.random.default_rng(0)
    reconstructed = random.uniform(0, 1, COUNT)
    depth = random.uniform(1, 40, COUNT)
    error = (
        random.exponential(1, COUNT)
        * (0.1 + np.floor(5 * reconstructed) / 5)
        * np.where(depth < 6, 2, 1)
    )
    return {
        name: values.astype(np.float32)
        for name, values in (
            ("smoothed", error),
            ("reconstructed", reconstructed),
            ("depth", depth),
        )
    }


@pytest.fixture(scope="module")
def normal(healthy: dict[str, np.ndarray]) -> NormalRange:
    return NormalRange.fit(**healthy)


def test_healthy_percentiles_are_uniform_in_every_kind(
    normal: NormalRange, healthy: dict[str, np.ndarray]
) -> None:
    """That is what a percentile means, and without the table bright rims would all be unusual."""
    percent = normal.percentile(**healthy)
    groups = [
        healthy["depth"] < 6,
        healthy["depth"] > 20,
        healthy["reconstructed"] > 0.9,
        (healthy["depth"] < 6) & (healthy["reconstructed"] < 0.15),
    ]
    for group in groups:
        for level in (10, 50, 90, 99):
            assert (percent[group] > level).mean() == pytest.approx(1 - level / 100, abs=0.04)
    plain = np.searchsorted(np.sort(healthy["smoothed"]), healthy["smoothed"]) / COUNT * 100
    assert (plain[groups[0] & groups[2]] > 90).mean() > 0.3


def test_the_same_error_is_less_unusual_where_errors_are_large(normal: NormalRange) -> None:
    error, depth = np.float32([1.0, 1.0]), np.float32([3.0, 30.0])
    rim, deep = normal.percentile(error, np.float32([0.5, 0.5]), depth)
    dark, bright = normal.percentile(error, np.float32([0.05, 0.95]), np.float32([30.0, 30.0]))
    assert rim < deep
    assert bright < dark


def test_against_counting(normal: NormalRange, healthy: dict[str, np.ndarray]) -> None:
    """Independent count among the healthy voxels of the same kind, at stored levels and between
    them.
    """
    low, high = normal.reconstructed_edges[1:3]
    same = (
        (healthy["depth"] >= 20)
        & (healthy["reconstructed"] >= low)
        & (healthy["reconstructed"] < high)
    )
    for error in (0.1, 0.5, 1.0, 2.0):
        expected = 100 * (healthy["smoothed"][same] < error).mean()
        (found,) = normal.percentile(
            np.float32([error]), np.float32([(low + high) / 2]), np.float32([25.0])
        )
        assert found == pytest.approx(expected, abs=1.0)


def test_ends() -> None:
    """Errors that are often 0: zero is not unusual at all, and more than ever seen is 100."""
    error = np.concatenate([np.zeros(7000), np.linspace(0.001, 1, 3000)]).astype(np.float32)
    normal = NormalRange.fit(error, np.zeros(10_000, np.float32), np.full(10_000, 10, np.float32))
    values = np.float32([-1.0, 0.0, 1e-4, 1.0, 1.001])
    percent = normal.percentile(values, np.zeros(5, np.float32), np.full(5, 10, np.float32))
    assert percent[0] == percent[1] == 0
    assert 60 <= percent[2] <= 70, "between the stored levels around the share of zeros"
    assert percent[3] == 100
    assert percent[4] == 100


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 10, width=32), min_size=2, max_size=20))
def test_larger_errors_are_never_less_unusual(errors: list[float]) -> None:
    random = np.random.default_rng(1)
    normal = NormalRange.fit(
        random.gamma(1, 1, 5000).astype(np.float32),
        random.random(5000, np.float32),
        np.full(5000, 9, np.float32),
    )
    values = np.sort(np.float32(errors))
    percent = normal.percentile(
        values, np.full(len(values), 0.5, np.float32), np.full(len(values), 9, np.float32)
    )
    assert (np.diff(percent) >= 0).all()
    assert (percent >= 0).all() and (percent <= 100).all()


def test_rare_kinds_borrow_from_their_place() -> None:
    random = np.random.default_rng(2)
    count = 3 * MIN_VOXELS
    error = random.random(count).astype(np.float32)
    reconstructed = np.concatenate([np.zeros(count - 5), np.ones(5)]).astype(np.float32)
    normal = NormalRange.fit(error, reconstructed, np.full(count, 10, np.float32))
    assert sum(map(sum, normal.voxels)) == count
    (found,) = normal.percentile(np.float32([0.5]), np.float32([1.0]), np.float32([50.0]))
    assert found == pytest.approx(50, abs=3), "no deep voxel was seen: the range of all"


def test_json_keeps_everything(normal: NormalRange) -> None:
    content = json.loads(json.dumps(normal.as_dict(), allow_nan=False))
    assert NormalRange.from_dict(content) == normal
    with pytest.raises(ValueError, match="calibrate again"):
        NormalRange.from_dict({**content, "levels": [0.0, *LEVELS]})


def test_no_voxel() -> None:
    with pytest.raises(ValueError, match="healthy"):
        NormalRange.fit(*[np.zeros(0, np.float32)] * 3)


def test_depth() -> None:
    """A brain that touches the border of the grid ends there."""
    brain = np.zeros((2, 9, 9), dtype=bool)
    brain[0, 2:7, 2:7] = True
    brain[1] = True
    depth = depth_mm(brain)
    assert depth[0, 4, 4] == pytest.approx(3 * 1.875)
    assert depth[0, 2, 4] == pytest.approx(1.875)
    assert not depth[0][~brain[0]].any()
    assert depth[1, 4, 4] == pytest.approx(5 * 1.875)
    assert depth_mm(np.zeros((0, 4, 4), dtype=bool)).shape == (0, 4, 4)
