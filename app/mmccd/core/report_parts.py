"""From the parts of a run to its report: a pure function, without clock, files or global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core.findings import Finding
from mmccd.core.report import (
    Component,
    MapFigures,
    Report,
    ReportInput,
    ReturnedImage,
    Threshold,
    Volumes,
)
from mmccd.core.volume import Volume

UNUSUAL = (95.0, 99.0, 99.9)


@dataclass(frozen=True)
class ReportParts:
    """What a report is made of. All arrays are on the image's grid.

    Attributes:
        notice: what the result is not for.
        image: the input, with the reader's notes and findings.
        brain: bool, the brain.
        covered: bool, of that where the map holds.
        anomaly: the map before smoothing.
        segmentation: above 0 = anomalous.
        percentile: the map in percent of healthy voxels; None without a normal range.
        returned: figures of the reconstructed image; None where a method has none.
        components: of the segmentation, the largest first.
        component_count: how many there are in all.
        threshold: what the smoothed map was cut at.
        calibration: where that comes from; None where it was given.
        operating_point: of the calibration; None where it has none, or there is none.
        brain_notes: ``brain_found_by``, ``extractor``, ``bias_correction``, ``checks`` and
            ``slices_with_brain``, as :class:`~mmccd.core.report.ReportInput` has them.
        settings: see :class:`~mmccd.core.report.ReportSettings`.
        weights: see :class:`~mmccd.core.report.WeightsEntry`; by name.
        versions: of the software, by name.
        seconds: of each stage.
        findings: about models and input, without the reader's.
    """

    notice: str
    image: Volume
    brain: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    anomaly: NDArray[np.float32]
    segmentation: NDArray[Any]
    percentile: NDArray[np.float32] | None
    returned: ReturnedImage | None
    components: Sequence[Component]
    component_count: int
    threshold: float
    calibration: Mapping[str, Any] | None
    operating_point: str | None
    brain_notes: Mapping[str, Any]
    settings: Mapping[str, Any]
    weights: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    findings: Sequence[Finding]


def build_report(parts: ReportParts) -> Report:
    """The report of a run; equal parts give an equal report."""
    image = parts.image
    values = parts.anomaly[parts.covered]
    voxels = int((parts.segmentation > 0).sum())
    read = [finding.text for finding in image.findings]
    content = {
        "notice": parts.notice,
        "anomaly_found": voxels > 0,
        "volumes_ml": Volumes(
            brain=round(int(parts.brain.sum()) * image.voxel_ml, 3),
            anomalous=round(voxels * image.voxel_ml, 3),
        ),
        "map": MapFigures(
            mean=float(values.mean()),
            p99=float(np.quantile(values, 0.99)),
            max=float(values.max()),
        ),
        "lesion_count": parts.component_count,
        "lesions": tuple(parts.components),
        "unusual_ml": _unusual_ml(parts),
        "returned_image": parts.returned,
        "threshold": _threshold(parts),
        "input": _input(parts),
        "settings": parts.settings,
        "weights": parts.weights,
        "versions": parts.versions,
        "timings_s": {name: round(value, 3) for name, value in parts.seconds.items()},
        # Version 1 has the reader's as one text.
        "warnings": (
            *(finding.text for finding in parts.findings),
            *(["; ".join(read)] if read else []),
        ),
        "findings": (*parts.findings, *image.findings),
    }
    return Report.model_validate(content)


def _threshold(parts: ReportParts) -> Threshold:
    threshold = Threshold.model_validate(
        {
            "value": parts.threshold,
            "source": "calibration" if parts.calibration else "given",
            "calibration": parts.calibration or None,
            "operating_point": parts.operating_point,
        }
    )
    point = threshold.point
    return threshold.model_copy(update={"meaning": point.meaning if point else None})


def _input(parts: ReportParts) -> ReportInput:
    image = parts.image
    notes = {
        **image.provenance,
        "shape": image.shape,
        "spacing_mm": tuple(round(value, 4) for value in image.spacing),
        **parts.brain_notes,
    }
    if image.findings:
        notes["warning"] = "; ".join(finding.text for finding in image.findings)
    return ReportInput.model_validate(notes)


def _unusual_ml(parts: ReportParts) -> dict[str, float] | None:
    """Volume whose error is larger than that of 95, 99 and 99.9 % of the healthy voxels of its
    kind, and what would be expected by chance.
    """
    if parts.percentile is None:
        return None
    values, voxel_ml = parts.percentile[parts.covered], parts.image.voxel_ml
    named = {
        f"above_{level:g}_percent": round(int((values > level).sum()) * voxel_ml, 3)
        for level in UNUSUAL
    }
    expected = {
        f"expected_above_{level:g}_percent": round(values.size * voxel_ml * (1 - level / 100), 3)
        for level in UNUSUAL
    }
    return {**named, **expected}
