"""A finished run made by hand, with a block above the threshold on one side; no cycle is run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tests.reports import merged, report_of

from mmccd.core.operating_points import OperatingPoint
from mmccd.core.result import Result
from mmccd.core.score_maps import ScoreMaps
from mmccd.core.volume import Volume
from mmccd.imaging.grid import GridTransform
from mmccd.postprocessing.components import measure_components
from mmccd.postprocessing.segmentation import segment
from mmccd.postprocessing.settings import Postprocessing

THRESHOLD = 0.7
SHAPE = (48, 60, 16)
SPACING = (3.0, 2.5, 6.0)
CALIBRATION: dict[str, Any] = {
    "key": {},
    "threshold": THRESHOLD,
    "origin": {
        "method": "voxel false-positive rate on healthy slices",
        "reached_rate": 0.02,
        "data": "phantoms",
        "cases": 6,
    },
    "healthy_error": {"mean": 0.1, "std": 0.1, "q50": 0.05, "q98": 0.7, "q99": 0.9},
}

POINTS: dict[str, dict[str, Any]] = {
    name: {
        "rate": rate,
        "threshold": threshold,
        "statistic": "median over cases",
        "cases": 6,
        "pooled_rate": 2 * rate,
        "median_share": rate,
        "largest_share": 10 * rate,
        "median_ml": 1.4,
        "largest_ml": 14.0,
    }
    for name, rate, threshold in (
        ("specific", 0.0005, 1.0),
        ("balanced", 0.001, THRESHOLD),
        ("sensitive", 0.01, 0.6),
    )
}


def at_point(name: str) -> dict[str, Any]:
    """The part of a report that says the threshold, at an operating point."""
    point = OperatingPoint(**POINTS[name])
    return {
        "value": point.threshold,
        "source": "calibration",
        "calibration": {**CALIBRATION, "points": POINTS},
        "operating_point": name,
        "meaning": point.meaning,
    }


def rotation(*degrees: float) -> NDArray[np.float64]:
    """About x, y and z in turn."""
    whole = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        one, other = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        whole = turn @ whole
    return whole


def affine(
    codes: str = "RAS", degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> NDArray[np.float64]:
    """Of a volume of :data:`SHAPE` whose axes run as ``codes`` say, turned; the voxel in the middle
    lies at (5, -7, 11) mm.
    """
    matrix = np.eye(4)
    signs = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    linear = np.zeros((3, 3))
    for axis, code in enumerate(codes):
        world, sign = signs[code]
        linear[world, axis] = sign * SPACING[world]
    matrix[:3, :3] = rotation(*degrees) @ linear
    middle = (np.array(shape_for(codes)) - 1) / 2
    matrix[:3, 3] = np.array([5.0, -7.0, 11.0]) - matrix[:3, :3] @ middle
    return matrix


def shape_for(codes: str) -> tuple[int, int, int]:
    """Shape of a volume stored in that axis order."""
    lengths = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    i, j, k = (SHAPE[lengths[code]] for code in codes)
    return i, j, k


def make_result(
    codes: str = "RAS",
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    min_component_ml: float = 0.0,
    threshold: float = THRESHOLD,
    side: str = "R",
    report: dict[str, Any] | None = None,
) -> Result:
    """An elliptic brain of noise with a bright block towards one side and the front, and specks of
    the map that a filter may remove.
    """
    place = affine(codes, degrees)
    shape = shape_for(codes)
    # Where each voxel lies in the head: towards right, anterior and superior, in mm from the
    # middle, whatever the tilt.
    inverse = rotation(*degrees).T
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).astype(
        float
    )
    head = (voxels @ place[:3, :3].T + place[:3, 3] - np.array([5.0, -7.0, 11.0])) @ inverse.T
    brain = ((head / np.array([58.0, 62.0, 40.0])) ** 2).sum(axis=-1) < 1
    random = np.random.default_rng(3)
    centre = np.array([28.0 if side == "R" else -28.0, 25.0, 6.0])
    block = (np.abs(head - centre) < np.array([12.0, 10.0, 9.0])).all(axis=-1)
    image = np.where(brain, random.uniform(60, 140, shape) + 60 * block, 0.0).astype(np.float32)
    anomaly = np.where(
        brain, random.uniform(0.0, 0.72, shape) + 1.5 * block * random.uniform(0.8, 1.0, shape), 0.0
    ).astype(np.float32)
    volume = Volume(image, place, "flair", {"file": "SMITH_JOHN_flair.nii.gz", "format": "NIfTI"})
    post = Postprocessing(median_size=1, min_component_ml=min_component_ml)
    segmentation = volume.with_data(
        segment(anomaly, brain, threshold, volume.voxel_ml, post), "mask"
    )
    components, count = measure_components(segmentation, anomaly)
    the_map, mask = (
        volume.with_data(anomaly, "anomaly"),
        volume.with_data(brain.astype(np.uint8), "mask"),
    )
    content = {
        "volumes_ml": {
            "brain": float(brain.sum() * volume.voxel_ml),
            "anomalous": round(int(segmentation.data.sum()) * volume.voxel_ml, 3),
        },
        "lesion_count": count,
        "lesions": [one.model_dump() for one in components],
        "unusual_ml": {"above_95_percent": 60.0, "expected_above_95_percent": 50.0},
        "threshold": {"value": threshold, "source": "calibration", "calibration": CALIBRATION},
        "input": {
            **volume.provenance,
            "shape": list(shape),
            "spacing_mm": list(volume.spacing),
            "brain_found_by": "given",
        },
        "settings": {
            "preset": "fast",
            "target": "t2",
            "cycle": {"reading": "paper", "steps": 1, "sign": "brighter"},
            "postprocessing": post.as_dict(),
            "seed": 0,
            "device": "cpu",
            "precision": "fp32",
        },
        "weights": {
            "forward": {
                "source": "flair",
                "target": "t2",
                "sha256": "ab" * 32,
                "normalisation": {"flair": {"kind": "paper"}},
            }
        },
        "warnings": ["SMITH_JOHN_flair.nii.gz: the brain was found <by> a test"],
    }
    return Result(
        volume,
        the_map,
        the_map,
        segmentation,
        mask,
        make_cycle(volume, mask),
        report_of(**merged(content, report or {})),
    )


def make_cycle(image: Volume, brain: Volume) -> ScoreMaps:
    """As if every strip had been run: what was imagined is the slice upside down, what returned is
    darker than the input.
    """
    transform = GridTransform.fit(image, brain.data > 0)
    inside = torch.from_numpy(transform.to_model(brain.data, 0.0) >= 0.5)[:, None]
    x = torch.from_numpy(transform.to_model(image.data, 0.0))[:, None] / 100
    nan = torch.full_like(x, float("nan"))
    layers = (torch.where(inside, layer, nan) for layer in (0.1 * x, 0.1 * x, x.flip(2), 0.9 * x))
    return ScoreMaps(*layers, coverage=inside.to(torch.float32))


def without_lesion(result: Result) -> Result:
    """The same where nothing lies above the threshold."""
    empty = result.segmentation.with_data(np.zeros_like(result.segmentation.data))
    volumes = result.report.volumes_ml.model_copy(update={"anomalous": 0.0})
    changes = {"lesions": (), "lesion_count": 0, "volumes_ml": volumes}
    report = result.report.model_copy(update=changes)
    return replace(result, segmentation=empty, report=report)
