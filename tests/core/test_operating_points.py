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


@pytest.mark.parametrize(
    ("rate", "millilitres"), [(0.0005, "0.5"), (0.001, "1"), (0.01, "10"), (0.0123, "12.3")]
)
def test_what_is_marked_of_a_litre(rate: float, millilitres: str) -> None:
    start = f"of 1000 mL healthy brain at most {millilitres} mL is marked, "
    assert replace(POINT, rate=rate).per_litre == f"{start}the median over 8 validation cases"
    pooled = replace(POINT, rate=rate, statistic="pooled", cases=1)
    assert pooled.per_litre == f"{start}over 1 validation case taken together"


def test_the_usual_share() -> None:
    assert POINT.usual_share == 0.0009
    assert replace(POINT, statistic="pooled").usual_share == 0.002


def test_percent() -> None:
    assert [as_percent(rate) for rate in RATES.values()] == ["0.05 %", "0.1 %", "1 %"]
