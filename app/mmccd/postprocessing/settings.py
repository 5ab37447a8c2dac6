"""Settings of the way from a method's score to the segmentation, each a switch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

ERROR = "error"
ROBUST_Z = "slice_sd"
UNITS = (ERROR, ROBUST_Z)


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
    """

    median_size: int = 1
    min_component_ml: float = 0.0
    units: str = ERROR
    across_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise ValueError(f"units must be one of {', '.join(UNITS)}, got {self.units!r}")
        if self.median_size < 1 or self.median_size % 2 == 0:
            raise ValueError(f"median_size must be odd and at least 1, got {self.median_size}")
        if self.min_component_ml < 0:
            raise ValueError(f"min_component_ml must not be negative, got {self.min_component_ml}")
        if not 0 <= self.across_mm < np.inf:
            raise ValueError(f"across_mm must be 0 or more, got {self.across_mm}")

    def reach(self, slice_mm: float) -> int:
        """How many slices away a slice still has a part in the smoothed map of another one; what is
        left out weighs less than 0.3 %.

        Args:
            slice_mm: distance of neighbouring slices in mm.
        """
        return int(np.ceil(3 * (self.across_mm / slice_mm)))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
