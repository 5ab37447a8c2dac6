"""mmccd.core.console: bars on a terminal, JSON lines for machines, nothing garbled in a pipe."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import termios

import pytest

from mmccd.core import console

RUN = """
import logging, sys
from mmccd.core.console import logging_as, open_console
with logging_as(logging.WARNING if {quiet} else logging.INFO, {quiet}, {kind!r}):
    with open_console() as console:
        console.stage("read")
        console.stage("cycle")
        for done in range(5):
            console.progress(done, 4)
        console.note("1 of 1: a: done", kind="case", case="a")
    logging.getLogger("mmccd.x").warning("look")
    logging.getLogger("other").info("noise")
"""


def stderr_of(kind: str = "text", quiet: bool = False) -> list[str]:
    code = RUN.format(kind=kind, quiet=quiet)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == ""
    return found.stderr.splitlines()


def test_in_a_pipe() -> None:
    assert stderr_of() == ["INFO mmccd.core.console: 1 of 1: a: done", "WARNING mmccd.x: look"]


def test_quiet() -> None:
    assert stderr_of(quiet=True) == ["WARNING mmccd.x: look"]


def test_json_lines() -> None:
    found = [json.loads(line) for line in stderr_of("json")]
    assert [line.get("event") for line in found] == ["stage", "stage", "progress", "case", None]
    assert [line["stage"] for line in found[:3]] == ["read", "cycle", "cycle"]
    assert (found[2]["done"], found[2]["total"], found[2]["seconds_left"]) == (4, 4, 0.0)
    assert (found[3]["case"], found[3]["message"]) == ("a", "1 of 1: a: done")
    assert (found[4]["level"], found[4]["message"]) == ("warning", "look")


def test_on_a_terminal() -> None:
    """A bar for each stage, each filled in the end."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format(kind="text", quiet=False)], stderr=follower
    )
    assert process.wait(120) == 0
    os.close(follower)
    text = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert "\r" in text
    assert "read: 100%" in text
    assert "cycle: 100%" in text
    assert "4/4" in text


def test_logging_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers
    with console.logging_as(logging.INFO, False, console.JSON):
        console.complain("two words", 3, ValueError("why"))
    assert logging.getLogger().handlers == before
    line = json.loads(capsys.readouterr().err)
    assert line["exit_code"] == 3
    assert "ValueError: why" in line["traceback"]
    with console.logging_as(logging.INFO, False, console.TEXT):
        console.complain("two words", 3)
    assert capsys.readouterr().err == "mmccd: two words\n"


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "stream", "coloured"),
    [
        ({}, Terminal(), True),
        ({"NO_COLOR": ""}, Terminal(), True),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"TERM": "dumb"}, Terminal(), False),
        ({}, io.StringIO(), False),
    ],
)
def test_colour_on_terminals_only(
    variables: dict[str, str], stream: io.StringIO, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    text = console.painted("word", console.RED, stream)
    assert text == ("\033[1;31mword\033[0m" if coloured else "word")


def test_a_line_that_ends_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is offered where it says more than the exit code."""
    monkeypatch.setenv("NO_COLOR", "1")
    for code, end in (
        ("brain.size", "; see 'mmccd explain brain.size'"),
        ("input", ""),
        (None, ""),
    ):
        stream = Terminal()
        monkeypatch.setattr("sys.stderr", stream)
        console.complain("a line", 3, code=code)
        assert stream.getvalue() == f"mmccd: a line{end}\n"
