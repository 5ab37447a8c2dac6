"""mmccd.apps.cli.say: a result in one line."""

from __future__ import annotations

import pytest
from tests.reports import report_of

from mmccd.apps.cli.say import say_result


@pytest.mark.parametrize(
    ("point", "shown"), [(None, "0.5; see out"), ("sensitive", "0.5 (sensitive); see out")]
)
def test_a_result(point: str | None, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_result(report_of(threshold={"operating_point": point}), "out")
    assert capsys.readouterr().out == f"12.3 mL of 1400 mL above the threshold {shown}\n"
