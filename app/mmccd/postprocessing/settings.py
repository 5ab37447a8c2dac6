"""Settings of the way from a method's score to the segmentation, each a switch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

ERROR = "error"
ROBUST_Z = "slice_sd"
UNITS = (ERROR, ROBUST_Z)
THIN_MM = 2.5
"""The plain rule draws the line between thin and thick slices there, too."""


@dataclass(frozen=True)
class Postprocessing:
    """What happens to the map before and after the threshold.

    Attributes:
        units: ``"error"``: the score as the method gives it; ``"slice_sd"``: the robust z-score of
            the signed error within its slice, see :func:`~mmccd.imaging.robust_z`. The first
            compares a patient with other patients, the second a place with the rest of its slice.
        median_size: edge of the in-plane median filter in model pixels, odd; 1 = off. It works on
            the model grid, because the map has no finer detail; the smoothed map then goes to the
            native grid, where the threshold is applied.
        min_component_ml: components smaller than this many mL are removed from the segmentation; 0
            = off.
        across_mm: standard deviation in mm of a Gaussian across slices, after the median filter; 0
            = off. f and g see one slice at a time, so that neighbouring slices err independently of
            each other, while a lesion reaches through several.
        thin_median_size: as ``median_size``, for slices of :data:`THIN_MM` and thinner; None: the
            same. A stack of thin slices shows small lesions in several of them, and a median within
            each would take these away.
        thin_across_mm: likewise, as ``across_mm``.
    """

    median_size: int = 1
    min_component_ml: float = 0.0
    units: str = ERROR
    across_mm: float = 0.0
    thin_median_size: int | None = None
    thin_across_mm: float | None = None

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise ValueError(f"units must be one of {', '.join(UNITS)}, got {self.units!r}")
        for name in ("median_size", "thin_median_size"):
            size = getattr(self, name)
            if size is not None and (size < 1 or size % 2 == 0):
                raise ValueError(f"{name} must be odd and at least 1, got {size}")
        if self.min_component_ml < 0:
            raise ValueError(f"min_component_ml must not be negative, got {self.min_component_ml}")
        for name in ("across_mm", "thin_across_mm"):
            across = getattr(self, name)
            if across is not None and not 0 <= across < np.inf:
                raise ValueError(f"{name} must be 0 or more, got {across}")

    def reach(self, slice_mm: float) -> int:
        """How many slices away a slice still has a part in the smoothed map of another one; what is
        left out weighs less than 0.3 %.

        Args:
            slice_mm: distance of neighbouring slices in mm.
        """
        return int(np.ceil(3 * (self.smoothing(slice_mm)[1] / slice_mm)))

    def smoothing(self, slice_mm: float) -> tuple[int, float]:
        """Edge of the median filter in pixels and standard deviation across slices in mm, for a
        distance of neighbouring slices in mm.
        """
        if slice_mm > THIN_MM:
            return self.median_size, self.across_mm
        thin_size, thin_across = self.thin_median_size, self.thin_across_mm
        return (
            self.median_size if thin_size is None else thin_size,
            self.across_mm if thin_across is None else thin_across,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without those of thin slices that are None, so that keys from
        before there were any stay valid.
        """
        return {
            name: value
            for name, value in asdict(self).items()
            if not (name.startswith("thin_") and value is None)
        }
