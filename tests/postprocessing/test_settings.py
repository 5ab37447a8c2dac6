"""mmccd.postprocessing.settings: what is allowed."""

from __future__ import annotations

import pytest

from mmccd.postprocessing.settings import Postprocessing


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
