"""Thresholds at the operating points and the normal range of the error, each valid for one set of
settings and weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import BALANCED, OPERATING_POINTS, SENSITIVE, SPECIFIC, OperatingPoint
from mmccd.methods import Combination, CycleSettings
from mmccd.postprocessing import NormalRange, Postprocessing

ALGORITHM = 1
"""Version of the algorithm. Whoever changes the map that the same weights and settings give raises
it, and with that no calibration of before holds any longer.
"""
QUANTILES = (0.5, 0.9, 0.95, 0.98, 0.99, 0.999)


@dataclass(frozen=True)
class CalibrationKey:
    """What a threshold depends on. The seed is not part of it.

    Attributes:
        target: modality that f imagines.
        method: what scores the slices.
        settings: the preset's method settings and post-processing.
        precision: ``fp32`` or ``bf16``.
        weights: SHA-256 of all weight files, by name.
        algorithm: version of what happens between weights and map.
    """

    target: str
    method: str
    settings: dict[str, Any]
    precision: str
    weights: dict[str, str]
    algorithm: int


@dataclass(frozen=True)
class Calibration:
    """Thresholds on the (smoothed) native-grid map, and where they came from.

    Attributes:
        key: when it holds.
        threshold: h; voxels above it are anomalous. That of ``balanced`` where there are points.
        origin: method, wanted and reached rate, data, number of patients and voxels, version.
        healthy_error: mean, standard deviation and quantiles of the map on the healthy data.
        normal_range: the same for each place and brightness, on the model grid; None in
            calibrations that were made without.
        points: the operating points by name; empty in calibrations that have one threshold only
            (those of before, and those of the best Dice).

    Raises:
        ValueError: points of other names, out of order, or whose ``balanced`` has another
            threshold.
    """

    key: CalibrationKey
    threshold: float
    origin: dict[str, Any]
    healthy_error: dict[str, float] = field(default_factory=dict)
    normal_range: NormalRange | None = None
    points: dict[str, OperatingPoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.points:
            _check_points(self.points, self.threshold)

    def threshold_at(self, point: str) -> float | None:
        """The threshold at an operating point; None where the calibration has no such point. One
        without points has its only threshold where ``balanced`` is asked for, the default.
        """
        if point in self.points:
            return self.points[point].threshold
        return self.threshold if point == BALANCED else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "normal_range": self.normal_range.as_dict() if self.normal_range else None,
        }

    def summary(self) -> dict[str, Any]:
        """The same without the table of the normal range, for reports; their readers find each hash
        by the name of the weights, too.
        """
        content = {name: value for name, value in self.as_dict().items() if name != "normal_range"}
        hashes = {f"{name}_sha256": value for name, value in self.key.weights.items()}
        return {**content, "key": {**content["key"], **hashes}}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Calibration:
        """From :meth:`as_dict`.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or unknown.
        """
        normal_range = content.get("normal_range")
        return cls(
            CalibrationKey(
                **{**content["key"], "settings": _completed(content["key"]["settings"])}
            ),
            float(content["threshold"]),
            dict(content["origin"]),
            dict(content.get("healthy_error", {})),
            NormalRange.from_dict(normal_range) if normal_range else None,
            {name: OperatingPoint(**point) for name, point in content.get("points", {}).items()},
        )


def _check_points(points: dict[str, OperatingPoint], threshold: float) -> None:
    if set(points) != set(OPERATING_POINTS):
        raise ValueError(f"points must be {', '.join(OPERATING_POINTS)}, got {', '.join(points)}")
    balanced = points[BALANCED].threshold
    if balanced != threshold:
        raise ValueError(f"threshold must be that of balanced, {balanced}, got {threshold}")
    falling = [points[name].threshold for name in OPERATING_POINTS]
    if falling != sorted(falling, reverse=True):
        raise ValueError(f"thresholds must fall from {SPECIFIC} to {SENSITIVE}, got {falling}")


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that came after a calibration was stored have their defaults: the cycle ran with
    them, and so did what follows it.
    """
    kinds: dict[str, type[CycleSettings] | type[Combination] | type[Postprocessing]] = {
        "cycle": CycleSettings,
        "combination": Combination,
        "postprocessing": Postprocessing,
    }
    return {
        name: kinds[name](**value).as_dict() if name in kinds else value
        for name, value in settings.items()
    }


def describe(healthy: NDArray[Any]) -> dict[str, float]:
    """Mean, standard deviation and quantiles of the map on healthy voxels."""
    quantiles = np.quantile(healthy, QUANTILES)
    named = {
        f"q{100 * level:g}": float(value) for level, value in zip(QUANTILES, quantiles, strict=True)
    }
    return {"mean": float(healthy.mean()), "std": float(healthy.std()), **named}
