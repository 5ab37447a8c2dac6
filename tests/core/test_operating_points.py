"""mmccd.core.operating_points: names, and what they mean in words."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from mmccd.core.operating_points import (
    OPERATING_POINTS,
    RATES,
    OperatingPoint,
    PointName,
    as_percent,
)

POINT = OperatingPoint(0.001, 1.5, "median over cases", 8, 0.002, 0.0009, 0.01)


def test_names_are_the_same_everywhere() -> None:
    assert OPERATING_POINTS == get_args(PointName) == tuple(RATES)
    assert sorted(RATES.values()) == list(RATES.values()), (
        "from the highest threshold to the lowest"
    )


@pytest.mark.parametrize(
    ("point", "meaning"),
    [
        (
            POINT,
            "at most 0.1 % of healthy brain is marked, median over the lesion-free slices of 8"
            " cases",
        ),
        (
            replace(POINT, rate=0.0005, statistic="pooled", cases=1),
            "at most 0.05 % of healthy brain is marked, pooled over the lesion-free slices of 1"
            " case",
        ),
    ],
)
def test_meaning(point: OperatingPoint, meaning: str) -> None:
    assert point.meaning == meaning


def test_percent() -> None:
    assert [as_percent(rate) for rate in RATES.values()] == ["0.05 %", "0.1 %", "1 %"]
