"""mmccd.evaluation.sets.result: which groups there are, and what the first method is compared
with.
"""

from __future__ import annotations

from dataclasses import replace

from mmccd.evaluation.sets.choice import Choice
from mmccd.evaluation.sets.result import SetsResult


def test_groups(result: SetsResult) -> None:
    """All together come last, and not where there is one set."""
    assert result.groups == ["first", "second", None]
    one = result.methods[0]
    assert [case.case for case in one.of("second")] == ["c", "d"]
    assert len(one.of(None)) == 4
    alone = replace(one, cases=one.of("first"))
    assert replace(result, methods=[alone]).groups == ["first"]


def test_difference_to_the_rule(result: SetsResult) -> None:
    found = result.difference(None)
    assert found is not None
    assert (found.method, found.other, found.cases) == ("histogram", "rule", 3)
    assert (found.ahead, found.behind) == (1, 1)


def test_no_difference_to_itself_or_without_a_rule(result: SetsResult) -> None:
    histogram, rule, intensity = result.methods
    assert replace(result, methods=[rule, histogram]).difference(None) is None
    assert replace(result, methods=[histogram, intensity]).difference(None) is None


def test_the_side_is_told(result: SetsResult) -> None:
    one = result.methods[2]
    assert one.title == "INTENSITY"
    assert replace(one, choice=Choice(-1, 0.5, "healthy")).title == "INTENSITY, dark"
