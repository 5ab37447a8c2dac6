"""mmccd.jobs.outcome: what an account tells of a report."""

from __future__ import annotations

import json

import pytest
from tests.reports import report_of

from mmccd.jobs.outcome import summarise


@pytest.mark.parametrize("point", [None, "specific"])
def test_summary_of_a_report(point: str | None) -> None:
    summary = summarise(report_of(threshold={"operating_point": point}))
    assert (summary["threshold"], summary["operating_point"]) == (0.5, point)
    assert summary["volumes_ml"] == {"brain": 1400.0, "anomalous": 12.3}
    assert summary["preset"] == "fast"
    json.dumps(summary)
