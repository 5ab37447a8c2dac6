"""Choose thresholds on validation cases, and learn the normal range of the error from their
healthy slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import mmccd
from mmccd.bundle import Calibration, HealthyCase, choose_points, describe, rates_around
from mmccd.core import BALANCED, InputError, OperatingPoint, UnsuitableInputError
from mmccd.data import (
    Case,
    SliceRule,
    find_case_brain,
    load_case,
    read_lesion,
    refuse_test_patients,
    say_doubtful_labels,
)
from mmccd.evaluation.metrics import best_dice
from mmccd.io import read_nifti
from mmccd.methods import Progress
from mmccd.pipeline import AnomalyPipeline, VolumeMaps
from mmccd.postprocessing import NormalRange, depth_mm

Values = NDArray[np.float32]


@dataclass(frozen=True)
class _CaseVoxels:
    """What one case contributes, each 1-D: native voxels, and pixels of healthy slices on the model
    grid.

    Attributes:
        values: smoothed native map of the brain's voxels.
        truth: lesion there.
        healthy: whether the voxel's slice is healthy.
        model: smoothed map, x' and depth of healthy slices on the model grid, ``(3, pixels)``.
        slices: number of slices, and of healthy ones.
        voxel_ml: volume of a native voxel in mL.
    """

    values: Values
    truth: NDArray[np.bool_]
    healthy: NDArray[np.bool_]
    model: Values
    slices: tuple[int, int]
    voxel_ml: float


@dataclass(frozen=True)
class _Choice:
    """Model slices of a case, each bool ``(slices,)``.

    Attributes:
        run: what the cycle is run on.
        counted: what the threshold is chosen on; the others are there for smoothing across slices.
        healthy: which of those hold no lesion.
    """

    run: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    healthy: NDArray[np.bool_]


def calibrate_on_cases(
    pipeline: AnomalyPipeline,
    cases: Sequence[Case],
    rate: float | None,
    slices_per_case: int | None = None,
    origin: dict[str, Any] | None = None,
    progress: Progress | None = None,
    test: Sequence[Case] = (),
) -> Calibration:
    """The operating points on the smoothed native-grid map, and the normal range of the error.

    Args:
        pipeline: settings, weights and device; its own threshold is not used.
        cases: validation cases.
        rate: of the operating point ``balanced``, in (0, 1): the largest share of the brain voxels
            in slices without a lesion that may be marked, see
            :func:`~mmccd.bundle.operating_points.rates_around` for the others. None: no operating
            points, but the one threshold with the best pooled Dice on the cases' lesion labels.
        slices_per_case: only so many slices of each case (healthy ones where a rate is wanted),
            evenly spread; all where it is None.
        origin: what to note about the data.
        progress: called with (cases done, cases in all).
        test: cases of the test split, whose patients must not be among ``cases``.

    Raises:
        InputError, UnsuitableInputError: a case that cannot be used, or of a patient of the test
            split; no healthy slice, or too few healthy voxels; no lesion for the best Dice.
    """
    refuse_test_patients(cases, test)
    say_doubtful_labels(cases)
    parts = _collect(pipeline, cases, slices_per_case, rate is not None, progress)
    values, truth, is_healthy = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("values", "truth", "healthy")
    )
    normal = values[is_healthy]
    points = {} if rate is None else _points(parts, rate)
    threshold, notes = (
        _at_balanced(points[BALANCED]) if points else _at_best_dice(values, truth, normal)
    )
    origin = {
        **notes,
        **(origin or {}),
        "cases": len(parts),
        "slices": sum(part.slices[0] for part in parts),
        "voxels": int(values.size),
        "seed": pipeline.seed,
        "mmccd": mmccd.__version__,
    }
    key = pipeline.models.key(pipeline.preset, pipeline.precision)
    normal_range = NormalRange.fit(*np.concatenate([part.model for part in parts], axis=1))
    return Calibration(key, threshold, origin, describe(normal), normal_range, points)


def _collect(
    pipeline: AnomalyPipeline,
    cases: Sequence[Case],
    slices_per_case: int | None,
    healthy_only: bool,
    progress: Progress | None,
) -> list[_CaseVoxels]:
    """What each case with counted slices contributes."""
    parts: list[_CaseVoxels] = []
    for number, case in enumerate(cases):
        choice = _choose_slices(pipeline, case, slices_per_case, healthy_only)
        if choice.counted.any():
            parts.append(_voxels(pipeline, case, choice))
        if progress is not None:
            progress(number + 1, len(cases))
    if not any(part.slices[1] for part in parts):
        raise UnsuitableInputError(
            f"no slice without a lesion in {len(cases)} cases; give cases with healthy slices"
        )
    return parts


def _points(parts: Sequence[_CaseVoxels], rate: float) -> dict[str, OperatingPoint]:
    """The operating points on the healthy slices of all cases that have any."""
    cases = [
        HealthyCase(part.values[part.healthy], part.voxel_ml)
        for part in parts
        if part.healthy.any()
    ]
    return choose_points(cases, rates_around(rate))


def _at_balanced(point: OperatingPoint) -> tuple[float, dict[str, Any]]:
    return point.threshold, {
        "method": "voxel false-positive rate on healthy slices",
        "statistic": point.statistic,
        "wanted_rate": point.rate,
        "reached_rate": point.pooled_rate,
    }


def _at_best_dice(
    values: Values, truth: NDArray[np.bool_], healthy: Values
) -> tuple[float, dict[str, Any]]:
    if not truth.any():
        raise UnsuitableInputError(
            "the cases have no lesion label; expected labelled lesions for the best Dice; use"
            " --rate instead"
        )
    dice, threshold = best_dice(truth, values)
    reached = float((healthy > threshold).mean())
    return threshold, {
        "method": "best pooled Dice on labelled cases",
        "dice": dice,
        "reached_rate": reached,
    }


def _voxels(pipeline: AnomalyPipeline, case: Case, choice: _Choice) -> _CaseVoxels:
    volume = read_nifti(case.images[pipeline.source], pipeline.source)
    maps = pipeline.maps(volume, find_case_brain(case, volume), choice.run)
    counted, healthy = (
        maps.slices.transform.slices_to_native(chosen)
        for chosen in (choice.counted, choice.healthy)
    )
    inside = maps.brain & counted
    return _CaseVoxels(
        maps.smoothed[inside],
        read_lesion(case, volume)[inside],
        healthy[inside],
        _model_pixels(maps, choice.healthy),
        (int(choice.counted.sum()), int(choice.healthy.sum())),
        volume.voxel_ml,
    )


def _model_pixels(maps: VolumeMaps, healthy: NDArray[np.bool_]) -> Values:
    brain = maps.slices.brain[:, 0].numpy()
    chosen = brain & healthy[:, None, None]
    layers = (
        maps.model.smoothed,
        np.nan_to_num(maps.scores.reconstructed[:, 0].numpy()),
        depth_mm(brain),
    )
    return np.stack([layer[chosen] for layer in layers])


def _choose_slices(
    pipeline: AnomalyPipeline, case: Case, limit: int | None, healthy_only: bool
) -> _Choice:
    """Which model slices of a case count, thinned out to ``limit``, and which are run beside them
    because smoothing reaches them.
    """
    if pipeline.source not in case.images:
        raise InputError(f"case {case.name}: has no {pipeline.source}; found {sorted(case.images)}")
    slices = load_case(case, {pipeline.source: pipeline.normalisation})
    ill = slices.has_lesion.numpy()
    pixels = slices.brain.flatten(1).sum(1).numpy()
    excluded = ill & healthy_only
    usable = np.array(
        [index for index in SliceRule().select(pixels.tolist()) if not excluded[index]], dtype=int
    )
    kept = usable
    if limit is not None and len(usable) > limit:
        kept = usable[np.unique(np.linspace(0, len(usable) - 1, limit).round().astype(int))]
    reach = pipeline.preset.postprocessing.reach(slices.transform.spacing[2])
    counted = np.isin(np.arange(len(ill)), kept)
    near = ndimage.binary_dilation(counted, np.ones(2 * reach + 1))
    return _Choice(near & (pixels > 0) & ~excluded, counted, counted & ~ill)
