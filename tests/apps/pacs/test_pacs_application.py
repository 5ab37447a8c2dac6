"""mmccd.apps.pacs.application with programs that stand for ``python app``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from mmccd.apps.pacs.application import command, own_variables, run_application
from mmccd.core.errors import CancelledError, MmccdError

BEGIN = (
    "import json, os, pathlib, signal, sys, time\nout = pathlib.Path(sys.argv[sys.argv.index('-o')"
    " + 1])\nout.mkdir()\n"
)


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes it the application; where its output goes."""
    (folder / "app").mkdir()
    (folder / "app" / "__main__.py").write_text(BEGIN + text)
    monkeypatch.setenv("HOLOSCAN_APPLICATION", str(folder / "app"))
    return folder / "out"


def nothing() -> None:
    pass


def test_words_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets input, output and its own variables, and never the password."""
    monkeypatch.setenv("MMCCD_PACS_PASSWORD", "secret-word")
    monkeypatch.setenv("MMCCD_PRESET", "fast")
    output = program(
        tmp_path,
        "(out / 'seen').write_text(json.dumps([sys.argv[1:], dict(os.environ)]))",
        monkeypatch,
    )
    run_application(tmp_path / "in", output, nothing)
    words, variables = json.loads((output / "seen").read_text())
    assert words == ["-i", str(tmp_path / "in"), "-o", str(output)]
    assert variables["MMCCD_PRESET"] == "fast"
    assert "secret-word" not in variables.values()
    assert own_variables({"MMCCD_PACS_URL": "x", "PATH": "y"}) == {"PATH": "y"}
    assert command({}) == [sys.executable, "-m", "mmccd.apps.map.run"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            (
                '(out / \'status.json\').write_text(\'{"message": null, "studies": [{"message": "no'
                " FLAIR\"}]}'); sys.exit(4)"
            ),
            4,
            "no FLAIR",
        ),
        (
            (
                '(out / \'status.json\').write_text(\'{"message": "no model", "studies": []}\');'
                " sys.exit(6)"
            ),
            6,
            "no model",
        ),
        ("sys.exit(2)", 2, "exit code 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 7, "exit code -9"),
        ("os.kill(os.getpid(), signal.SIGABRT)", 1, "exit code -6"),
    ],
)
def test_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int, message: str
) -> None:
    output = program(tmp_path, text, monkeypatch)
    with pytest.raises(MmccdError, match=message) as found:
        run_application(tmp_path, output, nothing)
    assert found.value.exit_code == code


def test_it_ends_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM reaches the service while the application is at work: nothing stays behind."""
    output = program(
        tmp_path, "(out / 'pid').write_text(str(os.getpid()))\ntime.sleep(60)", monkeypatch
    )

    def beat() -> None:
        if (output / "pid").is_file() and (output / "pid").read_text():
            raise CancelledError("SIGTERM")

    with pytest.raises(CancelledError):
        run_application(tmp_path, output, beat)
    with pytest.raises(ProcessLookupError):
        os.kill(int((output / "pid").read_text()), 0)
