"""mmccd.bundle.calibration: when a calibration holds, and what a threshold promises."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mmccd.bundle.calibration import (
    ALGORITHM,
    QUANTILES,
    Calibration,
    CalibrationKey,
    describe,
    threshold_for_rate,
)
from mmccd.core.errors import UnsuitableInputError
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.postprocessing.settings import Postprocessing

KEY = CalibrationKey(
    "t2",
    "mmccd",
    {"cycle": CycleSettings(steps=4).as_dict(), "postprocessing": Postprocessing(3).as_dict()},
    "fp32",
    {"forward": "aa", "backward": "bb"},
    ALGORITHM,
)
CALIBRATION = Calibration(KEY, 0.75, {"method": "rate", "patients": 3}, {"mean": 0.2})

healthy_maps = st.lists(st.integers(0, 20), min_size=1, max_size=200).map(
    lambda values: np.array(values, dtype=float)
)
rates = st.floats(0.005, 0.9)


@pytest.mark.parametrize(
    "other",
    [
        {"target": "t1"},
        {"precision": "bf16"},
        {"method": "other"},
        {"algorithm": ALGORITHM + 1},
        {"weights": {"forward": "ab", "backward": "bb"}},
        {"weights": {"forward": "aa", "backward": "bb", "decision": "cc"}},
        {
            "settings": {
                "cycle": CycleSettings(steps=5).as_dict(),
                "postprocessing": Postprocessing(3).as_dict(),
            }
        },
        {
            "settings": {
                "cycle": CycleSettings(steps=4).as_dict(),
                "postprocessing": Postprocessing(5).as_dict(),
            }
        },
        {"settings": {}},
    ],
)
def test_a_calibration_holds_for_its_key_only(other: dict[str, object]) -> None:
    different = replace(CALIBRATION, key=replace(KEY, **other))  # type: ignore[arg-type]
    read = Calibration.from_dict(json.loads(json.dumps(different.as_dict())))
    assert read.key == different.key
    assert read.key != KEY


def test_json_keeps_everything() -> None:
    read = Calibration.from_dict(json.loads(json.dumps(CALIBRATION.as_dict())))
    assert read == CALIBRATION
    assert read.key == KEY


def test_settings_that_came_later_have_their_defaults() -> None:
    """A calibration that was stored before a setting existed holds for that setting's default, and
    for nothing else.
    """
    stored = json.loads(json.dumps(CALIBRATION.as_dict()))
    del stored["key"]["settings"]["cycle"]["other_side"]
    del stored["key"]["settings"]["postprocessing"]["across_mm"]
    read = Calibration.from_dict(stored)
    assert read.key == KEY
    cycle = CycleSettings(steps=4, sign="brighter", other_side=0.5).as_dict()
    assert read.key != replace(KEY, settings={**KEY.settings, "cycle": cycle})


@pytest.mark.parametrize("missing", ["key", "threshold", "origin"])
def test_damaged_entries_are_seen(missing: str) -> None:
    content = CALIBRATION.as_dict()
    del content[missing]
    with pytest.raises((KeyError, TypeError)):
        Calibration.from_dict(content)


def test_unknown_fields_of_the_key_are_seen() -> None:
    content = CALIBRATION.as_dict()
    content["key"]["seed"] = 0
    with pytest.raises((KeyError, TypeError)):
        Calibration.from_dict(content)


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


def test_describe() -> None:
    healthy = np.arange(1001) / 1000
    described = describe(healthy)
    assert described["mean"] == pytest.approx(0.5)
    assert described["std"] == pytest.approx(np.sqrt((1001**2 - 1) / 12) / 1000)
    assert {key: value for key, value in described.items() if key.startswith("q")} == pytest.approx(
        {f"q{100 * q:g}": q for q in QUANTILES}
    )
    json.dumps(described)
