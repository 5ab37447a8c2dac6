"""docs/tables.py: the tables of settings are those of the program."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from tests.docs.markdown import ROOT


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """The script."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_current(tables: ModuleType) -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        assert tables.renew(text) == text, f"{page}: run 'python docs/tables.py'"


def test_each_table_is_shown(tables: ModuleType) -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    for name in tables.TABLES:
        assert text.count(f"<!-- table: {name} -->") == 1
