"""What a run over a volume returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmccd.core.score_maps import ScoreMaps
from mmccd.core.volume import Volume

if TYPE_CHECKING:
    from mmccd.core.report import Report


@dataclass(frozen=True)
class Result:
    """A run over one volume, on the input's own grid.

    Attributes:
        image: the input.
        anomaly_map: a per voxel, float32, 0 outside the brain.
        smoothed_map: what the threshold was applied to (the map itself where smoothing is off).
        segmentation: uint8, 1 = anomalous.
        brain_mask: uint8.
        maps: what the method found, on the model grid.
        report: what ``report.json`` holds.
        percentile_map: share of healthy voxels of the same kind with a smaller error, in percent
            (:mod:`mmccd.postprocessing.normal_range`), float32, 0 outside the brain; None where the
            settings have no calibration.
    """

    image: Volume
    anomaly_map: Volume
    smoothed_map: Volume
    segmentation: Volume
    brain_mask: Volume
    maps: ScoreMaps
    report: Report
    percentile_map: Volume | None = None
