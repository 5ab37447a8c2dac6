"""Thresholds and the normal range of the error, each valid for one set of settings and weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import UnsuitableInputError
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
    """A threshold on the (smoothed) native-grid map, and where it came from.

    Attributes:
        key: when it holds.
        threshold: h; voxels above it are anomalous.
        origin: method, wanted and reached rate, data, number of patients and voxels, version.
        healthy_error: mean, standard deviation and quantiles of the map on the healthy data.
        normal_range: the same for each place and brightness, on the model grid; None in
            calibrations that were made without.
    """

    key: CalibrationKey
    threshold: float
    origin: dict[str, Any]
    healthy_error: dict[str, float] = field(default_factory=dict)
    normal_range: NormalRange | None = None

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
        )


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


def threshold_for_rate(healthy: NDArray[Any], rate: float) -> float:
    """The smallest threshold that at most the share ``rate`` of healthy voxels exceeds.

    Args:
        healthy: map values of healthy brain voxels, 1-D.
        rate: wanted voxel false-positive rate, in (0, 1).

    Raises:
        ValueError: a rate outside (0, 1).
        UnsuitableInputError: too few voxels for that rate.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the false-positive rate must be between 0 and 1, got {rate}")
    if healthy.size * rate < 1:
        raise UnsuitableInputError(
            f"{healthy.size} healthy voxels are too few for a false-positive rate of {rate}; give"
            " more data",
            code="calibration.too_few_voxels",
        )
    return float(np.quantile(healthy, 1 - rate, method="inverted_cdf"))


def describe(healthy: NDArray[Any]) -> dict[str, float]:
    """Mean, standard deviation and quantiles of the map on healthy voxels."""
    quantiles = np.quantile(healthy, QUANTILES)
    named = {
        f"q{100 * level:g}": float(value) for level, value in zip(QUANTILES, quantiles, strict=True)
    }
    return {"mean": float(healthy.mean()), "std": float(healthy.std()), **named}
