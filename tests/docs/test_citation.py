"""CITATION.cff, CHANGELOG.md and the application's manifest name the package as it is: the version
stands in setup.cfg.
"""

from __future__ import annotations

import configparser
from importlib.metadata import version as installed_version
from typing import Any

import pytest
import yaml
from tests.docs.markdown import ROOT

from mmccd import __version__


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    """The file's content."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def version() -> str:
    """The one in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["metadata"]["version"]


def test_the_package_says_it(version: str) -> None:
    assert __version__ == version == installed_version("mmccd")


def test_the_manifest_says_it(version: str) -> None:
    manifest = yaml.safe_load((ROOT / "app" / "app.yaml").read_text())
    assert manifest["application"]["version"] == version


def test_what_the_format_demands(citation: dict[str, Any], version: str) -> None:
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == version
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


def test_the_version_has_its_changes(version: str) -> None:
    assert f"\n## {version} - " in (ROOT / "CHANGELOG.md").read_text()
