"""The one way from a method's score to the map that a threshold is applied to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmccd.core import ScoreMaps
from mmccd.imaging import ONE_SIDED, Floats, Sides, error_robust_z
from mmccd.postprocessing.normal_range import NormalRange, depth_mm
from mmccd.postprocessing.settings import ROBUST_Z, Postprocessing
from mmccd.postprocessing.smoothing import smooth


@dataclass(frozen=True)
class ScoreMap:
    """A map on the model grid, each array float32 ``(slices, size, size)``.

    Attributes:
        raw: the score in its units, 0 outside the brain.
        smoothed: the same after smoothing: what a threshold is applied to.
        percentile: share of healthy voxels of the same kind with a smaller value, in percent; None
            where their range is not known.
    """

    raw: Floats
    smoothed: Floats
    percentile: Floats | None = None


def make_map(
    scores: ScoreMaps,
    brain: NDArray[np.bool_],
    slice_mm: float,
    settings: Postprocessing,
    sides: Sides = ONE_SIDED,
    normal_range: NormalRange | None = None,
) -> ScoreMap:
    """Units, smoothing, percentile.

    Args:
        scores: what the method says; NaN counts as 0.
        brain: where the map holds, ``(slices, size, size)``.
        slice_mm: distance of neighbouring slices in mm.
        settings: units and smoothing.
        sides: which differences count in a robust z-score.
        normal_range: of the smoothed map in healthy tissue, where it is known.
    """
    raw = _in_units(scores, brain, settings.units, sides)
    smoothed = smooth(raw, brain, slice_mm, settings)
    if normal_range is None:
        return ScoreMap(raw, smoothed)
    reconstructed = _layer(scores.reconstructed)
    return ScoreMap(
        raw, smoothed, normal_range.percentile(smoothed, reconstructed, depth_mm(brain))
    )


def _in_units(scores: ScoreMaps, brain: NDArray[np.bool_], units: str, sides: Sides) -> Floats:
    if units == ROBUST_Z:
        return error_robust_z(_layer(scores.signed), brain, sides)
    return np.where(brain, _layer(scores.anomaly), np.float32(0.0))


def _layer(layer: Tensor) -> Floats:
    return np.asarray(np.nan_to_num(layer[:, 0].numpy()))
