"""What a viewer in a browser needs of a run: volumes cropped to the brain, and how the map becomes
a segmentation. The report embeds it; the page of ``mmccd serve`` reads it from files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from mmccd.core import Result
from mmccd.imaging import GridTransform
from mmccd.outputs.report.embedded import Box, covered_brain, encode, grey_levels
from mmccd.outputs.report.risks import risks_of
from mmccd.outputs.report.view import OUTLINE, RadiologicalView
from mmccd.outputs.report.viewer_files import VIEWER_FILE
from mmccd.outputs.report.wording import (
    confidence_sentence,
    map_sentence,
    map_unit,
    returned_sentence,
    threshold_sentence,
    warnings_without_names,
)

_COLOUR_STEPS = 16
_SHOWN_PERCENTILES = (0.5, 99.5)


def viewer_volumes(
    result: Result, view: RadiologicalView, box: Box, transform: GridTransform
) -> dict[str, bytes]:
    """The volumes, gzipped NIfTI on one grid: ``flair`` in 256 grey values, ``map`` (what the
    threshold is applied to, float32 to the bit), ``brain`` (where the map holds, 0 or 1).
    """
    levels, slope, intercept = grey_levels(box.cut(result.image.data), view.window)
    return {
        "flair": encode(levels, box.affine, slope, intercept),
        "map": encode(box.cut(np.asarray(result.smoothed_map.data, dtype=np.float32)), box.affine),
        "brain": encode(box.cut(covered_brain(result, transform)).astype(np.uint8), box.affine),
    }


def viewer_figures(result: Result, view: RadiologicalView, box: Box) -> dict[str, Any]:
    """How the volumes are shown, and how the map becomes a segmentation; plain values."""
    report = result.report
    calibration = report.threshold.calibration
    strongest = np.unravel_index(int(result.smoothed_map.data.argmax()), result.smoothed_map.shape)
    peak = result.smoothed_map.affine @ np.array([*strongest, 1.0])
    return {
        "threshold": report.threshold.value,
        "min_component_ml": (report.settings.postprocessing.get("min_component_ml", 0.0)),
        "voxel_ml": result.image.voxel_ml,
        "top": view.top,
        "range": max(view.top, report.threshold.value),
        "window": list(view.window),
        "first_slice": box.part[2].start,
        "slices": box.shape[2],
        "healthy_quantiles": {
            name[1:]: value
            for name, value in (calibration.healthy_error if calibration else {}).items()
            if name.startswith("q")
        },
        "lesion_voxels": [box.voxel(component.peak_mm) for component in report.lesions],
        "start_voxel": box.voxel(tuple(peak[:3])),
        "colours": _colours(),
        "outline": OUTLINE,
    }


def write_viewer(result: Result, folder: Path) -> None:
    """Write what the page of ``mmccd serve`` shows: the volumes with the reconstructed image among
    them, and :data:`VIEWER_FILE` with the figures and sentences. No header of the input, no name.

    Args:
        result: a finished run.
        folder: an existing folder.

    Raises:
        OSError: a file cannot be written.
    """
    view = RadiologicalView.of(result)
    transform = GridTransform.fit(result.image, result.brain_mask.data > 0)
    box = Box.around(result.brain_mask)
    volumes = viewer_volumes(result, view, box, transform)
    returned = _returned(result, box, transform)
    figures = viewer_figures(result, view, box)
    if returned is not None:
        volumes["returned"], figures["returned_window"] = returned
    report = result.report
    calibration = report.threshold.calibration
    figures |= {
        "volumes": list(volumes),
        "brain_ml": report.volumes_ml.brain,
        "anomalous_ml": report.volumes_ml.anomalous,
        "operating_point": report.threshold.operating_point,
        "points": {
            name: {"threshold": point.threshold, "meaning": point.per_litre}
            for name, point in (calibration.points if calibration else {}).items()
        },
        "map_unit": map_unit(report),
        "map_sentence": map_sentence(report),
        "threshold_sentence": threshold_sentence(report),
        "confidence_sentence": confidence_sentence(report),
        "returned_sentence": returned_sentence(report),
        "warnings": warnings_without_names(report),
        "risks": [{"title": one.title, "text": one.text} for one in risks_of(result)],
        "target": report.settings.target,
    }
    for name, content in volumes.items():
        (folder / f"{name}.nii.gz").write_bytes(content)
    (folder / VIEWER_FILE).write_text(json.dumps(figures, allow_nan=False), encoding="utf-8")


def _returned(
    result: Result, box: Box, transform: GridTransform
) -> tuple[bytes, tuple[float, float]] | None:
    """The reconstructed image x' on the input's grid, and the values that are drawn black and
    white: those of the input on the model grid, so that both have the same grey scale. None where
    the method reconstructs nothing.
    """
    maps = result.maps
    returned = np.asarray(maps.reconstructed[:, 0].numpy(), dtype=np.float32)
    known = np.isfinite(returned)
    if not known.any():
        return None
    # What returned plus the signed difference is the input.
    given = returned[known] + np.asarray(maps.signed[:, 0].numpy(), dtype=np.float32)[known]
    low, high = map(float, np.percentile(given, _SHOWN_PERCENTILES))
    window = low, high if high > low else low + 1.0
    native = transform.to_native(returned, known)
    outside = ~covered_brain(result, transform)
    native[outside] = low
    levels, slope, intercept = grey_levels(native, window)
    return encode(box.cut(levels), box.affine, slope, intercept), window


def _colours() -> list[list[int]]:
    """The map's colour scale from 0 to its top, red, green and blue from 0 to 255."""
    colours = matplotlib.colormaps["inferno"](np.linspace(0.0, 1.0, _COLOUR_STEPS + 1), bytes=True)
    return [[int(value) for value in colour[:3]] for colour in colours]
