"""Which objects count as a study's results, where their user has chosen some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmccd.apps.pacs.archive import ArchivedSeries
from mmccd.apps.pacs.run import run
from mmccd.apps.pacs.wanted import has_results, superseded


def series(modality: str, manufacturer: str = "MMCCD") -> ArchivedSeries:
    return ArchivedSeries(f"2.25.{len(modality)}", modality, manufacturer, 1)


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        (("SEG", "OT", "SR"), ("SEG", "OT", "SR"), True),
        (("SEG", "SR"), ("SEG", "OT", "SR"), False),
        (("SEG",), ("SEG",), True),
        (("SEG", "SR"), ("DOC", "SEG", "SR"), False),
        ((), ("SEG",), False),
    ],
)
def test_what_was_asked_for_is_there(
    there: tuple[str, ...], wanted: tuple[str, ...], expected: bool
) -> None:
    assert has_results([series(one) for one in there], wanted) is expected
    others = [series(one, "Somebody else") for one in wanted]
    assert not has_results(others, wanted)


def test_a_report_is_a_predecessor_only_behind_a_whole_result() -> None:
    report, segmentation = series("SR"), series("SEG")
    assert superseded([report, segmentation], ("SEG", "SR")) == [report]
    assert superseded([report], ("SEG", "SR")) == []


def test_images_alone_are_nothing_for_an_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", "http://127.0.0.1:9/dicom-web", "--state", str(tmp_path / "state"), "--once"]
    environment: dict[str, Any] = {"MMCCD_OUTPUTS": "images"}
    assert run(words, environment) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "MMCCD_OUTPUTS" in text]
    assert "expected both or dicom" in line
    assert not (tmp_path / "state").exists()
