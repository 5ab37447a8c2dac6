"""From the map to the segmentation: units, median filter, smoothing across slices, threshold, small
components; each a switch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.imaging import Floats, error_in_slice_sd

UNITS = ("error", "slice_sd")


@dataclass(frozen=True)
class Postprocessing:
    """What happens to the map before and after the threshold.

    Attributes:
        units: ``"error"``: the map as the cycle gives it; ``"slice_sd"``: the signed error in
            standard deviations of the slice itself, see :func:`~mmccd.imaging.robust.in_slice_sd`.
            The first compares a patient with other patients, the second a place with the rest of
            its slice.
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
    units: str = "error"
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

    def scale(
        self,
        anomaly: Floats,
        signed: Floats,
        brain: NDArray[np.bool_],
        sign: str = "brighter",
        other_side: float = 0.0,
    ) -> Floats:
        """The map in the chosen units, 0 outside the brain.

        Args:
            anomaly: map on the model grid ``(slices, size, size)``.
            signed: x - x', likewise.
            brain: where they hold, likewise.
            sign: which differences count, as in :class:`~mmccd.methods.mmccd.cycle.CycleSettings`.
            other_side: weight of the other ones, likewise.
        """
        if self.units == "error":
            return np.where(brain, anomaly, np.float32(0.0))
        return error_in_slice_sd(signed, brain, sign, other_side)

    def smooth(self, anomaly: Floats, brain: NDArray[np.bool_], slice_mm: float) -> Floats:
        """Median-filter each slice, then average across slices.

        Args:
            anomaly: map on the model grid ``(slices, size, size)``, 0 outside the brain.
            brain: where it holds, likewise; what lies outside has no part in the average.
            slice_mm: distance of neighbouring slices in mm.

        Returns:
            Float32 of the same shape; where the average is taken, 0 outside the brain.
        """
        size = (1, self.median_size, self.median_size)
        smoothed = (
            anomaly
            if self.median_size == 1
            else np.asarray(ndimage.median_filter(anomaly, size=size, mode="constant"))
        )
        return (
            smoothed
            if self.across_mm == 0
            else _average_across(smoothed, brain, self.across_mm / slice_mm, self.reach(slice_mm))
        )

    def reach(self, slice_mm: float) -> int:
        """How many slices away a slice still has a part in the smoothed map of another one; what is
        left out weighs less than 0.3 %.

        Args:
            slice_mm: distance of neighbouring slices in mm.
        """
        return int(np.ceil(3 * (self.across_mm / slice_mm)))

    def segment(
        self, smoothed: Floats, brain: NDArray[np.bool_], threshold: float, voxel_ml: float
    ) -> NDArray[np.uint8]:
        """``map > threshold`` inside the brain, without small components (26-neighbourhood).

        Args:
            smoothed: native-grid map.
            brain: native brain mask.
            threshold: h.
            voxel_ml: volume of a voxel in mL.
        """
        segmentation = (smoothed > threshold) & brain
        if self.min_component_ml > 0 and segmentation.any():
            labels, _ = components(segmentation)
            large = np.bincount(labels.ravel()) * voxel_ml >= self.min_component_ml
            large[0] = False
            segmentation = large[labels]
        return np.asarray(segmentation, dtype=np.uint8)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def _average_across(values: Floats, brain: NDArray[np.bool_], sigma: float, reach: int) -> Floats:
    """Gaussian average of ``sigma`` slices over the brain's voxels at the same place of the slices
    up to ``reach`` away.
    """

    def blurred(volume: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(
            ndimage.gaussian_filter1d(volume, sigma, axis=0, mode="constant", radius=reach)
        )

    inside = brain.astype(np.float32)
    weights = blurred(inside)
    return np.where(brain, blurred(values * inside) / np.where(brain, weights, 1), 0).astype(
        np.float32
    )


def components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label the connected components (26-neighbourhood).

    Args:
        mask: 3-D.

    Returns:
        Labels from 1 on, 0 outside the mask, and their number.
    """
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return labels, int(count)


def erode_slices(brain: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The brain of each slice without its rim, by a disk.

    Args:
        brain: ``(slices, size, size)``.
        pixels: radius of the disk; 0 leaves the brain as it is (the paper's public code: 4 pixels
            of 1.875 mm).
    """
    if pixels == 0:
        return brain
    rows, columns = np.ogrid[-pixels : pixels + 1, -pixels : pixels + 1]
    disk = rows**2 + columns**2 <= pixels**2
    return np.asarray(ndimage.binary_erosion(brain, structure=disk[None]))
