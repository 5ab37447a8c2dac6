"""CITATION.cff and CHANGELOG.md name the package as it is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.docs.markdown import ROOT

from mmccd import __version__


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    """The file's content."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_what_the_format_demands(citation: dict[str, Any]) -> None:
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"


def test_the_paper_is_preferred(citation: dict[str, Any]) -> None:
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == [
        "Liang",
        "Anthony",
        "Wagner",
        "Kamnitsas",
    ]
    assert paper["doi"].startswith("10.") and paper["year"] == 2023


def test_the_version_has_its_changes() -> None:
    assert f"\n## {__version__} - " in (ROOT / "CHANGELOG.md").read_text()
