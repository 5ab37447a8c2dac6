"""mmccd.core.report and report_parts: the type, its schema, and that a report is made of its parts
alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError
from tests.reports import content_of, report_of

from mmccd.core.findings import Finding
from mmccd.core.operating_points import OperatingPoint
from mmccd.core.report import Component, Report, ReturnedImage, report_schema
from mmccd.core.report_parts import ReportParts, build_report
from mmccd.core.volume import Volume

VERSION_1 = json.loads(Path(__file__).with_name("reports_version_1.json").read_text())
"""Reports of three inputs and two presets, from before there were findings."""

CALIBRATION: dict[str, Any] = {
    "key": {"target": "t2"},
    "threshold": 1.0,
    "origin": {"cases": 8},
    "healthy_error": {"mean": 0.1},
    "points": {
        name: {
            "rate": rate,
            "threshold": threshold,
            "statistic": "median over cases",
            "cases": 8,
            "pooled_rate": 2 * rate,
            "median_share": rate,
            "largest_share": 9 * rate,
            "median_ml": 0.5,
            "largest_ml": None,
        }
        for name, rate, threshold in (
            ("specific", 0.0005, 1.2),
            ("balanced", 0.001, 1.0),
            ("sensitive", 0.01, 0.8),
        )
    },
}


def parts() -> ReportParts:
    """A cube of 2 mL of brain in voxels of 1 mL, one of which is marked."""
    brain = np.zeros((3, 3, 3), dtype=bool)
    brain[1, 1, 1:] = True
    anomaly = np.where(brain, 0.5, 0.0).astype(np.float32)
    anomaly[1, 1, 2] = 1.5
    content = content_of()
    notes = content["input"]
    read = (Finding("nifti.no_orientation", "no orientation"), Finding("dicom.lossy", "lossy"))
    return ReportParts(
        notice="for research only",
        image=Volume(
            np.zeros((3, 3, 3), np.float32),
            np.diag([10.0, 10.0, 10.0, 1.0]),
            "flair",
            {"file": "a.nii", "files": 3},
            findings=read,
        ),
        brain=brain,
        covered=brain,
        anomaly=anomaly,
        segmentation=(anomaly > 1).astype(np.uint8),
        percentile=np.where(anomaly > 1, 97.0, 50.0).astype(np.float32),
        returned=ReturnedImage(correlation=0.7, spread=0.9, error=0.2),
        components=[Component(volume_ml=1, centre_mm=(0, 0, 0), peak=1.5, peak_mm=(0, 0, 0))],
        component_count=1,
        threshold=1.0,
        calibration=None,
        operating_point=None,
        brain_notes={
            name: notes[name]
            for name in (
                "brain_found_by",
                "extractor",
                "bias_correction",
                "checks",
                "slices_with_brain",
            )
        },
        settings=content["settings"],
        weights=content["weights"],
        versions=content["versions"],
        seconds={"cycle": 1.23456},
        findings=(Finding("slices.thick", "thick slices"),),
    )


def test_a_report_is_made_of_its_parts_alone() -> None:
    assert build_report(parts()) == build_report(parts())
    other = build_report(replace(parts(), threshold=2.0))
    assert other != build_report(parts())


def test_figures() -> None:
    report = build_report(parts())
    assert (report.report_version, report.status, report.anomaly_found) == (1, "done", True)
    assert (report.volumes_ml.brain, report.volumes_ml.anomalous) == (2.0, 1.0)
    assert (report.map.mean, report.map.max) == (1.0, 1.5)
    assert report.map.p99 == pytest.approx(1.49)
    assert report.unusual_ml is not None
    assert report.unusual_ml["above_95_percent"] == 1.0
    assert report.unusual_ml["expected_above_95_percent"] == pytest.approx(0.1)
    assert report.timings_s == {"cycle": 1.235}
    assert (report.threshold.source, report.threshold.calibration) == ("given", None)


def test_operating_point() -> None:
    """Which of the calibration's it is, and what it promises, in figures and in words."""
    report = build_report(replace(parts(), calibration=CALIBRATION, operating_point="sensitive"))
    threshold = report.threshold
    assert (threshold.source, threshold.operating_point) == ("calibration", "sensitive")
    assert threshold.point == OperatingPoint(**CALIBRATION["points"]["sensitive"])
    assert threshold.meaning == threshold.point.meaning
    content = json.loads(json.dumps(report.model_dump(mode="json")))
    assert content["threshold"]["calibration"]["points"] == CALIBRATION["points"]
    assert Report.model_validate(content) == report
    jsonschema.validate(content, report_schema())


@pytest.mark.parametrize("calibration", [None, {"points": {}}])
def test_no_operating_point(calibration: dict[str, Any] | None) -> None:
    """Of a given threshold, and of a calibration of before: nothing new stands there."""
    given = {**CALIBRATION, **calibration} if calibration else None
    report = build_report(replace(parts(), calibration=given))
    assert (report.threshold.point, report.threshold.meaning) == (None, None)
    threshold = report.model_dump(mode="json")["threshold"]
    assert list(threshold) == ["value", "source", "calibration"]
    assert "points" not in (threshold["calibration"] or {})


def test_components_of_before_have_neither_mean_nor_confidence() -> None:
    (component,) = build_report(parts()).lesions
    assert (component.mean, component.confidence) == (None, None)
    assert list(component.model_dump()) == ["volume_ml", "centre_mm", "peak", "peak_mm"]
    sure = component.model_copy(update={"mean": 1.25, "confidence": "high"})
    assert list(sure.model_dump())[-2:] == ["mean", "confidence"]
    with pytest.raises(ValidationError):
        Component.model_validate({**component.model_dump(), "confidence": 0.9})


def test_every_finding_is_a_warning_and_has_its_code() -> None:
    report = build_report(parts())
    assert report.warnings == ("thick slices", "no orientation; lossy")
    assert report.input.warning == "no orientation; lossy"
    assert [finding.code for finding in report.findings] == [
        "slices.thick",
        "nifti.no_orientation",
        "dicom.lossy",
    ]
    more = report.with_finding(Finding("dicom.no_objects", "none", "warning"))
    assert more.warnings[-1] == "none"
    assert more.findings[-1].code == "dicom.no_objects"


def test_json_and_back() -> None:
    report = build_report(parts())
    content = report.model_dump(mode="json")
    assert content["findings"][0] == {
        "code": "slices.thick",
        "text": "thick slices",
        "severity": "warning",
    }
    assert content["input"]["files"] == 3, "what a reader notes is kept"
    assert content["returned_image"] == {"correlation": 0.7, "spread": 0.9, "error": 0.2}
    without = build_report(replace(parts(), returned=None)).model_dump(mode="json")
    assert "returned_image" not in without, "a method that reconstructs nothing"
    assert "dicom" not in content
    assert "request" not in content
    assert Report.model_validate_json(json.dumps(content)) == report


@pytest.mark.parametrize("case", VERSION_1)
def test_version_1_stays_readable(case: str) -> None:
    """Reports of before there were findings: nothing in them is lost."""
    content = VERSION_1[case] | {"versions": {"mmccd": "0.1.0"}, "timings_s": {"cycle": 1.0}}
    again = Report.model_validate(content).model_dump(mode="json")
    assert again.pop("findings") == []
    assert again == content
    jsonschema.validate(content, report_schema())


@pytest.mark.parametrize(
    "changes",
    [
        {"report_version": 2},
        {"volumes_ml": {"brain": "much"}},
        {"threshold": {"source": "guessed"}},
        {"lesions": [{"volume_ml": 1.0}]},
    ],
)
def test_what_is_no_report(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        report_of(**changes)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        report_of().status = "done"


def test_the_published_schema_is_current(project: Path) -> None:
    text = (project / "docs" / "report.schema.json").read_text()
    assert json.loads(text) == report_schema(), (
        "python -m mmccd.core.report > docs/report.schema.json writes it anew"
    )
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_the_schema_knows_a_report() -> None:
    jsonschema.validate(content_of(), report_schema())
    jsonschema.validate(build_report(parts()).model_dump(mode="json"), report_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content_of(), "status": "perhaps"}, report_schema())


def test_core_does_without_pydantic_until_a_report_is_touched() -> None:
    code = (
        "import sys, mmccd.core as core; core.Volume; core.UsageError; core.Finding; core.Result;"
        " print('pydantic' in sys.modules); core.Report; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_without_names() -> None:
    """Everywhere, findings and the reader's warning too; nothing else changes."""
    text = '2 series; series 5 "Smith" was taken, not series 7 "Smith other" (axial)'
    report = report_of(
        input={
            "file": 'DICOM series 5 "Smith"',
            "format": "DICOM",
            "series_description": "Smith",
            "warning": 'DICOM series 5 "Smith": dark',
        },
        warnings=[text],
        findings=[{"code": "dicom.several_series", "text": text, "severity": "warning"}],
    )
    hidden = report.without_names()
    assert "Smith" not in hidden.model_dump_json()
    assert hidden.warnings == ("2 series; series 5 was taken, not series 7 (axial)",)
    assert hidden.findings[0].text == hidden.warnings[0]
    assert hidden.input.warning == "the input: dark"
    assert hidden.volumes_ml == report.volumes_ml
    assert hidden.without_names() == hidden


def test_without_names_of_a_file() -> None:
    report = report_of(
        input={"file": "SMITH.nii.gz", "format": "NIfTI"}, warnings=["SMITH.nii.gz: x"]
    )
    hidden = report.without_names()
    assert (hidden.input.file, hidden.input.format) == (None, "NIfTI")
    assert hidden.warnings == ("the input: x",)
