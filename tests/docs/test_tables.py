"""docs/tables.py: the tables of settings are those of the program."""

from __future__ import annotations

from types import ModuleType

import pytest
from tests.docs.markdown import ROOT
from tests.scripts import load_script


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """The script."""
    return load_script(ROOT / "docs" / "tables.py")


def test_the_pages_are_current(tables: ModuleType) -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        assert tables.renew(text) == text, f"{page}: run 'python docs/tables.py'"


def test_each_table_is_shown(tables: ModuleType) -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    for name in tables.TABLES:
        assert text.count(f"<!-- table: {name} -->") == 1
