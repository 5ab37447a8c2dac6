"""mmccd.evaluation.plain_rows: what stands in every table."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from mmccd.evaluation.candidates import Setup, make_candidates
from mmccd.evaluation.plain_rows import with_plain_rows


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["dae"], ["dae", "constant", "rule", "intensity"]),
        (["rule", "mmccd"], ["rule", "mmccd", "constant", "intensity"]),
        (["intensity", "rule", "constant"], ["intensity", "rule", "constant"]),
        (["constant:value=0.5"], ["constant:value=0.5", "constant", "rule", "intensity"]),
    ],
)
def test_behind_the_named_ones_each_once(
    setup: Setup, named: list[str], expected: list[str]
) -> None:
    found = with_plain_rows(make_candidates(named, setup), setup)
    assert [one.name for one in found] == expected


def test_what_another_contrast_cannot_have(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    """The rule is for FLAIR, and without weights for the contrast nobody knows the constant's
    units; the reasons are told.
    """
    other = replace(setup, source="t1")
    with caplog.at_level(logging.WARNING):
        found = with_plain_rows(make_candidates(["histogram"], other), other)
    assert [one.name for one in found] == ["histogram", "intensity"]
    first, second = caplog.messages
    assert first.startswith("the row constant is left out: ")
    assert "t1" in first
    assert second == "the row rule is left out: it is for flair, and t1 is scored"


def test_without_weights(setup: Setup, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = replace(setup, target="t1")
    found = with_plain_rows(make_candidates(["intensity"], bare), bare)
    assert [one.name for one in found] == ["intensity", "rule"]
    assert "the row constant is left out" in caplog.text
