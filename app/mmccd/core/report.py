"""``report.json`` as types: what a run says of itself. docs/report.schema.json is made of them:

python -m mmccd.core.report > docs/report.schema.json
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmccd.core.findings import Finding
from mmccd.core.operating_points import Confidence, OperatingPoint, PointName

REPORT_VERSION = 1
SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"
_QUOTED = re.compile(r'(series (?:\d+|without number)) "[^"]*"')
"""How a DICOM series is called in a text, with its description."""


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: dict[str, Any]) -> bool:
    return not value


class _Part(BaseModel):
    """A part of the report: it cannot be changed; what a later version adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Volumes(_Part):
    """Volumes in mL."""

    brain: Annotated[float, Field(description="the brain mask")]
    anomalous: Annotated[float, Field(description="the segmentation")]


class MapFigures(_Part):
    """The anomaly map within the brain, before smoothing."""

    mean: float
    p99: Annotated[float, Field(description="its 99th percentile")]
    max: float


class Component(_Part):
    """One connected component (26-neighbourhood) of the segmentation.

    Attributes:
        volume_ml: its volume.
        centre_mm: its centre of mass, in mm of the NIfTI world (RAS+: positive towards right,
            anterior, superior). It may lie outside a bent one.
        peak: the largest value of the smoothed map in it, in the map's units.
        peak_mm: centre of the voxel that has it.
        mean: mean of the smoothed map in it, in the map's units; None in reports of before.
        confidence: how far the mean lies above what healthy brain shows: ``high`` where it is
            above the threshold of the operating point specific, ``moderate`` above that of
            balanced, else ``low``. It is no probability. None where the threshold was given by
            hand, or the calibration has no operating points.
    """

    volume_ml: float
    centre_mm: tuple[float, float, float]
    peak: float
    peak_mm: tuple[float, float, float]
    mean: Annotated[float | None, Field(exclude_if=_is_none)] = None
    confidence: Annotated[
        Confidence | None,
        Field(
            exclude_if=_is_none,
            description="mean against the thresholds of the operating points; no probability",
        ),
    ] = None


class CalibrationSummary(_Part):
    """Where a calibrated threshold comes from."""

    key: Annotated[
        dict[str, Any], Field(description="weights and settings that the calibration holds for")
    ]
    threshold: float
    origin: Annotated[dict[str, Any], Field(description="data, rule and rate")]
    healthy_error: Annotated[
        dict[str, float],
        Field(description="mean, std and quantiles (q50, ...) of the map in healthy brain"),
    ]
    points: Annotated[
        dict[PointName, OperatingPoint],
        Field(exclude_if=_is_empty, description="all operating points, by name"),
    ] = {}


class ReturnedImage(_Part):
    """The reconstructed image x' against the input x in healthy tissue: the brain without the
    segmentation, on the model grid.
    """

    correlation: Annotated[
        float, Field(description="Pearson's, of x and x'; 0 where x' is constant")
    ]
    spread: Annotated[float, Field(description="standard deviation of x' over that of x")]
    error: Annotated[float, Field(description="mean of |x - x'|, in normalised units")]


class Threshold(_Part):
    """What the smoothed map was cut at."""

    value: float
    source: Literal["calibration", "given"]
    calibration: CalibrationSummary | None
    operating_point: Annotated[
        PointName | None,
        Field(exclude_if=_is_none, description="the one of the calibration's that it is"),
    ] = None
    meaning: Annotated[
        str | None, Field(exclude_if=_is_none, description="what that promises, in words")
    ] = None

    @property
    def point(self) -> OperatingPoint | None:
        """The operating point with its figures; None where the threshold is of none."""
        if self.calibration is None or self.operating_point is None:
            return None
        return self.calibration.points.get(self.operating_point)


class Checks(_Part):
    """The numbers behind the findings of quality control (docs/checks.md)."""

    contrast_probabilities: dict[str, float]
    strangeness: Annotated[
        float, Field(description="out-of-distribution score: about 1 for what is usual")
    ]
    bias: float
    jump: float
    detail: float


class ReportInput(_Part):
    """What came in. A reader may note more than what is declared here, never of the patient."""

    model_config = ConfigDict(frozen=True, extra="allow")

    file: Annotated[str | None, Field(exclude_if=_is_none)] = None
    format: Annotated[str | None, Field(exclude_if=_is_none)] = None
    series_description: Annotated[str | None, Field(exclude_if=_is_none)] = None
    warning: Annotated[
        str | None, Field(exclude_if=_is_none, description="of the reader, joined by semicolons")
    ] = None
    shape: Annotated[tuple[int, int, int], Field(description="voxels")]
    spacing_mm: tuple[float, float, float]
    brain_found_by: Annotated[str, Field(description="given mask, already stripped or extraction")]
    extractor: Annotated[str | None, Field(description="where the brain was extracted")]
    bias_correction: bool
    checks: Checks
    slices_with_brain: Annotated[int, Field(description="on the model grid")]


class ReportSettings(_Part):
    """What decided the numbers. A method may have more than what is declared here."""

    model_config = ConfigDict(frozen=True, extra="allow")

    preset: str
    cycle: dict[str, Any]
    combination: Annotated[
        dict[str, Any] | None,
        Field(
            exclude_if=_is_none,
            description="weights of intensity, error and decision, where the map is their sum",
        ),
    ] = None
    postprocessing: dict[str, Any]
    target: str
    precision: str
    batch_size: int
    device: str
    seed: int


class WeightsEntry(_Part):
    """A weight file, from its card."""

    source: str
    target: str
    sha256: str
    research_only: Annotated[bool | None, Field(exclude_if=_is_none)] = None
    licence: Annotated[Any, Field(exclude_if=_is_none)] = None
    data: Annotated[Any, Field(exclude_if=_is_none)] = None
    normalisation: Annotated[dict[str, dict[str, Any]] | None, Field(exclude_if=_is_none)] = None


class DicomObject(_Part):
    """A DICOM object that was written."""

    file: str
    sop_class: str
    sop_instance_uid: str


class EarlierReport(_Part):
    """A structured report of the same study that this result supersedes."""

    date: Annotated[
        str | None,
        Field(description="when it was made, ISO 8601, as it says itself; null where it does not"),
    ]
    sop_instance_uid: str


class Report(_Part):
    """All of ``report.json``, version 1. ``model_dump(mode="json")`` gives its content.

    Attributes:
        report_version: 1.
        notice: what this is not for.
        status: ``done``.
        anomaly_found: whether the segmentation holds a voxel.
        volumes_ml: of brain and segmentation.
        map: figures of the map.
        lesion_count: number of connected components of the segmentation.
        lesions: the largest of them.
        unusual_ml: volume whose error is larger than that of 95, 99 and 99.9 % of healthy voxels of
            its kind, and what chance would give; None where the settings have no calibration.
        returned_image: whether x' follows x; only of methods that reconstruct an image.
        threshold: value and origin.
        input: what came in.
        settings: what decided the numbers.
        weights: by name.
        versions: of the software.
        timings_s: seconds of each stage.
        warnings: texts of all findings.
        findings: the same one by one, with codes. Reports of before have none.
        request: what a run that is started again compares; only in what a command wrote.
        dicom: the DICOM objects; only for input from DICOM.
        supersedes: earlier structured reports of ours that lay beside the input; only where the
            report is written as a DICOM object.
    """

    report_version: Literal[1] = 1
    notice: str
    status: Literal["done"] = "done"
    anomaly_found: bool
    volumes_ml: Volumes
    map: MapFigures
    lesion_count: int
    lesions: tuple[Component, ...]
    unusual_ml: dict[str, float] | None
    returned_image: Annotated[ReturnedImage | None, Field(exclude_if=_is_none)] = None
    threshold: Threshold
    input: ReportInput
    settings: ReportSettings
    weights: dict[str, WeightsEntry]
    versions: dict[str, str]
    timings_s: dict[str, float]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    request: Annotated[dict[str, Any] | None, Field(exclude_if=_is_none)] = None
    dicom: Annotated[tuple[DicomObject, ...] | None, Field(exclude_if=_is_none)] = None
    supersedes: Annotated[tuple[EarlierReport, ...] | None, Field(exclude_if=_is_none)] = None

    def with_finding(self, finding: Finding) -> Report:
        """The same with one more finding, and its text among the warnings."""
        return self.model_copy(
            update={
                "warnings": (*self.warnings, finding.text),
                "findings": (*self.findings, finding),
            }
        )

    def without_names(self) -> Report:
        """The same without what is typed in by hand and may name a patient: the input's file name,
        and the descriptions of series, in the texts of findings and warnings, too.
        """
        hidden: dict[str, str | None] = {"file": None, "series_description": None}
        if self.input.warning is not None:
            hidden["warning"] = self._nameless(self.input.warning)
        findings = (replace(one, text=self._nameless(one.text)) for one in self.findings)
        return self.model_copy(
            update={
                "input": self.input.model_copy(update=hidden),
                "warnings": tuple(map(self._nameless, self.warnings)),
                "findings": tuple(findings),
            }
        )

    def _nameless(self, text: str) -> str:
        if self.input.file:
            text = text.replace(self.input.file, "the input")
        if self.input.series_description:
            text = text.replace(f' "{self.input.series_description}"', "")
        return _QUOTED.sub(r"\1", text)


def report_schema() -> dict[str, Any]:
    """JSON schema of ``report.json``."""
    return {"$schema": SCHEMA_ID, **Report.model_json_schema()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report_schema(), indent=2) + "\n")
