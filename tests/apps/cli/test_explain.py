"""mmccd explain: what a code means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.markdown import ROOT, anchors

from mmccd.apps.cli import cli
from mmccd.apps.cli.commands.explain import _PAGES
from mmccd.core import all_codes


def test_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code, (kind, found) in all_codes().items():
        assert cli.run(["explain", code]) == 0
        printed = capsys.readouterr().out
        assert f"{code} ({kind}): {found}." in printed


def test_an_unknown_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", "brain.to_small"]) == 2
    assert "did you mean brain.too_small?" in capsys.readouterr().err


def test_the_pages_are_there() -> None:
    known = {code.partition(".")[0] for code in all_codes()}
    assert set(_PAGES) <= known
    for page in _PAGES.values():
        name, _, anchor = page.partition("#")
        path = ROOT / "docs" / name
        assert path.is_file()
        assert not anchor or anchor in anchors(path)


def test_an_error_says_how_to_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["predict", str(tmp_path / "none.nii")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    found = re.search(r"; see 'mmccd explain (\S+)'$", line)
    assert found is not None and found[1] in all_codes()


def test_a_general_code_says_no_more_than_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["predict"]) == 2
    assert "explain" not in capsys.readouterr().err
