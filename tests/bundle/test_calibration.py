"""mmccd.bundle.calibration: when a calibration holds, and what is in it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mmccd.bundle.calibration import (
    ALGORITHM,
    QUANTILES,
    Calibration,
    CalibrationKey,
    describe,
)
from mmccd.core.operating_points import OPERATING_POINTS, RATES, OperatingPoint
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


POINTS = {
    name: OperatingPoint(rate, threshold, "pooled", 2, rate, rate, 2 * rate, 1.5, 3.0)
    for (name, rate), threshold in zip(RATES.items(), (0.9, 0.75, 0.5), strict=True)
}


class TestPoints:
    def test_json_keeps_them(self) -> None:
        calibration = replace(CALIBRATION, points=POINTS)
        read = Calibration.from_dict(json.loads(json.dumps(calibration.as_dict())))
        assert read == calibration
        assert calibration.summary()["points"]["specific"]["threshold"] == 0.9

    def test_each_has_its_threshold(self) -> None:
        calibration = replace(CALIBRATION, points=POINTS)
        found = [calibration.threshold_at(name) for name in OPERATING_POINTS]
        assert found == [0.9, 0.75, 0.5]
        assert calibration.threshold == 0.75, "for readers of before"

    def test_one_of_before_has_its_only_threshold(self) -> None:
        stored = json.loads(json.dumps(CALIBRATION.as_dict()))
        del stored["points"]
        read = Calibration.from_dict(stored)
        assert read == CALIBRATION
        assert [read.threshold_at(name) for name in OPERATING_POINTS] == [None, 0.75, None]

    @pytest.mark.parametrize(
        ("points", "named"),
        [
            ({"balanced": POINTS["balanced"]}, "specific, balanced, sensitive"),
            ({**POINTS, "other": POINTS["balanced"]}, "other"),
            ({**POINTS, "balanced": POINTS["specific"]}, "that of balanced, 0.9, got 0.75"),
            ({**POINTS, "specific": POINTS["sensitive"]}, "must fall"),
        ],
    )
    def test_refused(self, points: dict[str, OperatingPoint], named: str) -> None:
        with pytest.raises(ValueError, match=named):
            replace(CALIBRATION, points=points)

    def test_a_damaged_one_is_seen(self) -> None:
        content = replace(CALIBRATION, points=POINTS).as_dict()
        del content["points"]["specific"]["rate"]
        with pytest.raises(TypeError, match="rate"):
            Calibration.from_dict(content)


def test_describe() -> None:
    healthy = np.arange(1001) / 1000
    described = describe(healthy)
    assert described["mean"] == pytest.approx(0.5)
    assert described["std"] == pytest.approx(np.sqrt((1001**2 - 1) / 12) / 1000)
    assert {key: value for key, value in described.items() if key.startswith("q")} == pytest.approx(
        {f"q{100 * q:g}": q for q in QUANTILES}
    )
    json.dumps(described)
