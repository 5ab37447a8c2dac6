"""mmccd.apps.cli.say: a result in one line, tables that fit, and pages that open."""

from __future__ import annotations

import logging
import webbrowser
from pathlib import Path

import pytest
from tests.reports import report_of

from mmccd.apps.cli.say import fitted, open_page, say_fitted, say_result


@pytest.mark.parametrize(
    ("point", "shown"), [(None, "0.5; see out"), ("sensitive", "0.5 (sensitive); see out")]
)
def test_a_result(point: str | None, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_result(report_of(threshold={"operating_point": point}), "out")
    assert capsys.readouterr().out == f"12.3 mL of 1400 mL above the threshold {shown}\n"


def test_lines_fit_below_their_second_column() -> None:
    text = "methods      ae, vae, dae, ddpm, cyclic_unet, masked_translation\nshort"
    lines = fitted(text, 40).split("\n")
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith(" " * 13 + "cyclic_unet")
    assert lines[-1] == "short"
    assert fitted(text, 100) == text


def test_a_word_that_is_too_long_is_broken() -> None:
    assert max(map(len, fitted("x" * 90, 40).split("\n"))) <= 40


def test_only_a_terminal_has_a_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "name         " + "word " * 40
    monkeypatch.setenv("COLUMNS", "50")
    say_fitted(line)
    assert capsys.readouterr().out == line + "\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    say_fitted(line)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 50


@pytest.mark.parametrize("works", [True, False, None])
def test_a_page_is_opened(
    works: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a browser the log says where it is."""
    opened: list[str] = []

    def browse(address: str) -> bool:
        opened.append(address)
        if works is None:
            raise webbrowser.Error
        return works

    monkeypatch.setattr(webbrowser, "open", browse)
    with caplog.at_level(logging.WARNING):
        open_page(tmp_path / "a b" / "report.html")
    assert opened == [(tmp_path / "a b" / "report.html").as_uri()]
    assert (opened[0] in caplog.text) == (not works)
