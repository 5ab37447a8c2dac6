"""Choose a threshold on healthy slices of validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mmccd
from mmccd.calibration import Calibration, describe, threshold_for_rate
from mmccd.cycle import Progress
from mmccd.data.cases import Case, refuse_test_patients
from mmccd.data.slices import SliceRule, find_case_brain, load_case
from mmccd.errors import InputError, UnsuitableInputError
from mmccd.io.nifti import read_nifti
from mmccd.pipeline import AnomalyPipeline


def calibrate_on_cases(
    pipeline: AnomalyPipeline,
    cases: Sequence[Case],
    rate: float,
    slices_per_case: int | None = None,
    origin: dict[str, Any] | None = None,
    progress: Progress | None = None,
    test: Sequence[Case] = (),
) -> Calibration:
    """The threshold on the smoothed native-grid map that the share ``rate`` of healthy brain voxels exceeds.

    Args:
        pipeline: settings, weights and device; its own threshold is not used.
        cases: validation cases; slices with a lesion label are left out.
        rate: wanted voxel false-positive rate, in (0, 1).
        slices_per_case: only so many slices of each case, evenly spread; all where it is None.
        origin: what to note about the data.
        progress: called with (cases done, cases in all).
        test: cases of the test split, whose patients must not be among ``cases``.

    Raises:
        InputError, UnsuitableInputError: a case that cannot be used, or of a patient of the test split; no healthy slice.
    """
    refuse_test_patients(cases, test)
    values: list[NDArray[np.float32]] = []
    slices = 0
    for number, case in enumerate(cases):
        wanted = _healthy_slices(pipeline, case, slices_per_case)
        if wanted.any():
            volume = read_nifti(case.images[pipeline.source], pipeline.source)
            maps = pipeline.maps(volume, find_case_brain(case, volume), wanted)
            values.append(maps.smoothed[maps.brain])
            slices += int(wanted.sum())
        if progress is not None:
            progress(number + 1, len(cases))
    if not values:
        raise UnsuitableInputError(f"no slice without a lesion in {len(cases)} cases; give cases with healthy slices")
    healthy = np.concatenate(values)
    threshold = threshold_for_rate(healthy, rate)
    notes = {
        "method": "voxel false-positive rate on healthy slices",
        "wanted_rate": rate,
        "reached_rate": float((healthy > threshold).mean()),
        **(origin or {}),
        "cases": len(values),
        "slices": slices,
        "voxels": int(healthy.size),
        "seed": pipeline.seed,
        "mmccd": mmccd.__version__,
    }
    key = pipeline.pair.key(pipeline.preset, pipeline.precision)
    return Calibration(key, threshold, notes, describe(healthy))


def _healthy_slices(pipeline: AnomalyPipeline, case: Case, limit: int | None) -> NDArray[np.bool_]:
    """Which model slices of a case hold brain and no lesion, thinned out to ``limit``."""
    if pipeline.source not in case.images:
        raise InputError(f"case {case.name}: has no {pipeline.source}; found {sorted(case.images)}")
    slices = load_case(case, {pipeline.source: pipeline.normalisation})
    holding = SliceRule().select(slices.brain.flatten(1).sum(1).tolist())
    healthy = np.array([index for index in holding if not slices.has_lesion[index]], dtype=int)
    if limit is not None and len(healthy) > limit:
        healthy = healthy[np.unique(np.linspace(0, len(healthy) - 1, limit).round().astype(int))]
    chosen = np.zeros(len(slices.brain), dtype=bool)
    chosen[healthy] = True
    return chosen
