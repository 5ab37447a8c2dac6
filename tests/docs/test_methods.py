"""The table of methods in docs/evaluation.md against the registry."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from tests.docs.markdown import ROOT

from mmccd.methods.registry import find_method, method_names

ROWS = {
    line.split("|")[1].strip().strip("`"): line
    for line in (ROOT / "docs" / "evaluation.md").read_text().splitlines()
    if re.match(r"\| `\w+` \|", line) and line.count("|") >= 6
}


def test_every_method_has_a_row() -> None:
    assert set(method_names()) <= set(ROWS)


@pytest.mark.parametrize("name", method_names())
def test_settings_and_overlays(name: str) -> None:
    method = find_method(name)
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", ROWS[name])]
    assert re.findall(r"`(\w+)`", cells[5]) == [field.name for field in fields(method)]
    for need in method.needs.values():
        if need.kind == "run":
            overlay = f"{need.name}.json"
            assert f"`{overlay}`" in cells[2]
            assert list(ROOT.glob(f"bundles/*/configs/baselines/{overlay}"))
