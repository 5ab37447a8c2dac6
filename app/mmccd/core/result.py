"""What the cycle returns, and what a run over a volume returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from mmccd.core.volume import Volume

if TYPE_CHECKING:
    from mmccd.core.report import Report


@dataclass(frozen=True)
class CycleResult:
    """The cycle's maps on the model grid, float32 on the CPU, each ``(slices, 1, height, width)``.

    All means are over the masks that cover a voxel (sum_r m_r v_r / sum_r m_r, Eq. 10); NaN where
    no mask that was run covers it.

    Attributes:
        anomaly: a, the mean error between x and what returns (absolute or squared, as the reading
            says).
        signed: mean of x - x': positive where the input is brighter than what returns.
        imagined: mean y_0.
        returned: mean x'.
        coverage: number of masks over each voxel.
    """

    anomaly: Tensor
    signed: Tensor
    imagined: Tensor
    returned: Tensor
    coverage: Tensor


@dataclass(frozen=True)
class Result:
    """A run over one volume, on the input's own grid.

    Attributes:
        image: the input.
        anomaly_map: a per voxel, float32, 0 outside the brain.
        smoothed_map: what the threshold was applied to (the map itself where smoothing is off).
        segmentation: uint8, 1 = anomalous.
        brain_mask: uint8.
        cycle: the maps on the model grid.
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
    cycle: CycleResult
    report: Report
    percentile_map: Volume | None = None
