"""Reports made by hand, for whatever reads them."""

from __future__ import annotations

from typing import Any

from mmccd.core.report import Report


def content_of(**changes: Any) -> dict[str, Any]:
    """What ``report.json`` holds, with other parts where they are given."""
    return merged(_content(), changes)


def report_of(**changes: Any) -> Report:
    """The same as a report."""
    return Report.model_validate(content_of(**changes))


def changed(report: Report, **changes: Any) -> Report:
    """The report with other parts."""
    return Report.model_validate(merged(report.model_dump(mode="json"), changes))


def merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Entries of dictionaries within take the place of those with the same name."""
    both = {
        name: merged(content[name], value)
        for name, value in changes.items()
        if isinstance(value, dict) and isinstance(content.get(name), dict)
    }
    return {**content, **changes, **both}


def _content() -> dict[str, Any]:
    return {
        "report_version": 1,
        "notice": "for research only",
        "status": "done",
        "anomaly_found": True,
        "volumes_ml": {"brain": 1400.0, "anomalous": 12.3},
        "map": {"mean": 0.1, "p99": 0.5, "max": 1.0},
        "lesion_count": 0,
        "lesions": [],
        "unusual_ml": None,
        "threshold": {"value": 0.5, "source": "given", "calibration": None},
        "input": {
            "shape": [10, 10, 10],
            "spacing_mm": [1.0, 1.0, 1.0],
            "brain_found_by": "given mask",
            "extractor": None,
            "bias_correction": False,
            "checks": {
                "contrast_probabilities": {"flair": 0.9, "t1": 0.1, "t2": 0.0},
                "strangeness": 1.0,
                "bias": 0.1,
                "jump": 0.01,
                "detail": 0.2,
            },
            "slices_with_brain": 10,
        },
        "settings": {
            "preset": "fast",
            "cycle": {"steps": 1, "stride": 16},
            "postprocessing": {},
            "target": "t2",
            "precision": "fp32",
            "batch_size": 16,
            "device": "cpu",
            "seed": 0,
        },
        "weights": {
            "forward": {"source": "flair", "target": "t2", "sha256": "ab" * 32},
            "backward": {"source": "t2", "target": "flair", "sha256": "cd" * 32},
        },
        "versions": {"mmccd": "0.1.0"},
        "timings_s": {"cycle": 1.0},
        "warnings": [],
    }
