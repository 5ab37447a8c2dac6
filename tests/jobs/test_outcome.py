"""mmccd.jobs.outcome: what an account tells of a report, and how a case stands."""

from __future__ import annotations

import json

import pytest
from tests.reports import report_of

from mmccd.core import STATUSES
from mmccd.jobs.outcome import Outcome, status_of, summarise
from mmccd.jobs.states import State


@pytest.mark.parametrize("point", [None, "specific"])
def test_summary_of_a_report(point: str | None) -> None:
    summary = summarise(report_of(threshold={"operating_point": point}))
    assert (summary["threshold"], summary["operating_point"]) == (0.5, point)
    assert summary["volumes_ml"] == {"brain": 1400.0, "anomalous": 12.3}
    assert summary["preset"] == "fast"
    json.dumps(summary)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(1, "a"), "unfinished"),
        (Outcome(1, "a", State.RUNNING), "unfinished"),
        (Outcome(1, "a", State.DONE, 0), "done"),
        (Outcome(1, "a", State.DONE, 0, skipped=True), "skipped"),
        (Outcome(1, "a", State.REFUSED, 4), "failed"),
        (Outcome(1, "a", State.FAILED, 1), "failed"),
    ],
)
def test_status_of_a_case(outcome: Outcome, status: str) -> None:
    """Every word is one of those that the tables and the index count."""
    assert status_of(outcome) == status
    assert status in STATUSES
