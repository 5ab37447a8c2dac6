"""docs/checks.md lists every code that the package gives, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmccd.apps.pacs import archive
from mmccd.core import errors

SHAPE = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)?")


def texts(node: ast.expr | None, constants: dict[str, str]) -> Iterator[str]:
    """The texts that an expression can be: a constant, the name of one, or either of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, constants)
        yield from texts(node.orelse, constants)


def codes_in(source: str) -> set[str]:
    """Codes of errors (``code=``, or the second argument), findings and refusals (the first)."""
    tree = ast.parse(source)
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg == "code":
                found.update(texts(keyword.value, constants))
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ("Finding", "Refusal") and node.args:
            found.update(texts(node.args[0], constants))
        elif (name.endswith("Error") or name == "kind") and len(node.args) > 1:
            found.update(texts(node.args[1], constants))
    return found


def classes_below(kind: type[errors.MmccdError]) -> Iterator[type[errors.MmccdError]]:
    """A class of errors and those that derive from it, but for those of tests."""
    if kind.__module__ in (errors.__name__, archive.__name__):
        yield kind
    for one in kind.__subclasses__():
        yield from classes_below(one)


@pytest.fixture(scope="module")
def used(project: Path) -> set[str]:
    found = {kind.code for kind in classes_below(errors.MmccdError)}
    for path in (project / "app" / "mmccd").rglob("*.py"):
        found |= codes_in(path.read_text())
    return found


def test_the_table_and_the_code_know_the_same_codes(project: Path, used: set[str]) -> None:
    text = (project / "docs" / "checks.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|", text[text.index("## Codes") :], re.MULTILINE)
    assert sorted(used - set(rows)) == [], "codes without a row in docs/checks.md"
    assert sorted(set(rows) - used) == [], "rows of codes that nothing gives"
    assert rows == sorted(set(rows)), "in order, each once"


def test_codes_have_one_shape(used: set[str]) -> None:
    assert len(used) > 50
    assert not [code for code in used if not SHAPE.fullmatch(code)]
