"""mmccd.outputs.index.outliers: which cases come first, and why."""

from __future__ import annotations

import pytest
from tests.outputs.index.cases import QUALITY, case, cohort

from mmccd.outputs.index.outliers import LEAST_CASES, outliers_first, stand_out


def test_what_failed_then_what_stands_out() -> None:
    found = outliers_first(cohort())
    assert [one.name for one, _ in found[:3]] == ["broken", "strange", "large"]
    assert [out.by for _, out in found[1:3]] == ["OOD score", "volume"]
    deviations = [abs(out.deviation) for _, out in found[1:]]
    assert deviations == sorted(deviations, reverse=True)


def test_a_deviation_by_hand() -> None:
    """Median 3, median absolute deviation 1."""
    scores = [1.0, 2.0, 3.0, 4.0, 9.0]
    cases = [case(f"c{n}", 5.0, quality={"ood_score": one}) for n, one in enumerate(scores)]
    out = stand_out(cases)[-1]
    assert (out.by, out.deviation) == ("OOD score", pytest.approx(6 / 1.4826))


def test_only_the_bad_side_counts() -> None:
    """A low out-of-distribution score, or a high correlation, is nothing to look at."""
    odd = {**QUALITY, "ood_score": 0.01, "correlation": 1.0}
    cases = [case(f"c{n}", 5.0, quality={"ood_score": 1 + n / 10}) for n in range(7)]
    assert stand_out([*cases, case("odd", 5.0, quality=odd)])[-1].by == ""


def test_few_cases_are_not_compared() -> None:
    cases = [case(f"c{n}", float(n)) for n in range(LEAST_CASES - 1)]
    assert all(out.by == "" for out in stand_out(cases))
    assert [one.name for one, _ in outliers_first(cases)] == ["c3", "c2", "c1", "c0"]
