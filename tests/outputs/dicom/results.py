"""Results made by hand on a series that was read from files: no cycle is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tests.reports import changed, report_of

from mmccd.core.result import Result
from mmccd.core.score_maps import ScoreMaps
from mmccd.core.volume import Volume
from mmccd.io.read import read_volume
from mmccd.postprocessing import measure_components

THRESHOLD = 0.5
CYCLE = ScoreMaps(*[torch.zeros(1, 1, 2, 2)] * 5)


def result_on(folder: Path, nothing: bool = False, seed: int = 0) -> Result:
    """A map with a block above the threshold off the middle of the volume (or nothing), on the
    series in a folder.
    """
    return result_of(read_volume(folder, "flair"), nothing, seed)


def result_of(volume: Volume, nothing: bool = False, seed: int = 0) -> Result:
    """The same on a volume."""
    brain = np.zeros(volume.shape, dtype=np.uint8)
    brain[tuple(slice(max(1, n // 6), n - max(1, n // 8)) for n in volume.shape)] = 1
    anomaly = (np.random.default_rng(seed).uniform(0.0, 0.3, volume.shape) * brain).astype(
        np.float32
    )
    if not nothing:
        anomaly[tuple(slice(n // 4, n // 4 + max(2, n // 5)) for n in volume.shape)] += 1.0
    segmentation = ((anomaly > THRESHOLD) & (brain > 0)).astype(np.uint8)
    the_map = volume.with_data(anomaly, "anomaly")
    values = anomaly[brain > 0]
    report = report_of(
        volumes_ml={
            "brain": round(float(brain.sum() * volume.voxel_ml), 3),
            "anomalous": round(float(segmentation.sum() * volume.voxel_ml), 3),
        },
        map={
            "mean": float(values.mean()),
            "p99": float(np.quantile(values, 0.99)),
            "max": float(values.max()),
        },
        threshold={"value": THRESHOLD, "source": "given", "calibration": None},
        warnings=["the brain was found by the test – look at it"],
    )
    return Result(
        volume,
        the_map,
        the_map,
        volume.with_data(segmentation, "mask"),
        volume.with_data(brain, "mask"),
        CYCLE,
        report,
    )


def with_lesions(result: Result) -> Result:
    """The same with lesions of 8, 4 and 1 voxels, measured as a run does."""
    mask = np.zeros(result.segmentation.shape, dtype=np.uint8)
    mask[2:4, 2:4, 1:3] = 1
    mask[7, 2:4, 2:4] = 1
    mask[8, 8, 4] = 1
    segmentation = result.segmentation.with_data(mask)
    lesions, count = measure_components(segmentation, result.smoothed_map.data)
    report = changed(
        result.report,
        lesions=[one.model_dump(mode="json") for one in lesions],
        lesion_count=count,
        volumes_ml={"anomalous": round(13 * segmentation.voxel_ml, 3)},
    )
    return replace(result, segmentation=segmentation, report=report)
