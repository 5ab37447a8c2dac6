"""mmccd.bundle.monai_runs: errors of ``python -m monai.bundle run`` are one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import monai.bundle
import pytest

from mmccd.bundle.monai_runs import describe, report_errors
from mmccd.core.errors import InputError, UsageError

BEGIN = {"imports": ["$import mmccd.bundle as bundle"], "initialize": ["$bundle.begin_run()"]}


def write(folder: Path, **content: Any) -> Path:
    path = folder / "configs" / "train.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**BEGIN, **content}))
    (path.parent / "metadata.json").write_text("{}")
    return path


def error_of(path: Path, **overrides: Any) -> BaseException:
    with pytest.raises(BaseException) as error:  # noqa: PT011
        monai.bundle.run(config_file=str(path), **overrides)
    return error.value


class TestDescribe:
    @pytest.mark.parametrize(
        ("settings", "said", "code"),
        [
            ({"run": ["$print(@epochs)"], "epoch": 3, "epochs": 1}, "epoch: nothing uses", 2),
            (
                {"run": ["$@one"], "one": {"_target_": "torch.nn.Linear", "size": 3}},
                "one: TypeErr",
                2,
            ),
            ({"run": ["$@one"], "one": "$1 / 0"}, "one: ZeroDivisionError: division by zero", 2),
            ({"run": ["$@two"]}, "the referring item `@two` is not defined", 2),
            ({"run": ["$open('nowhere.txt')"]}, "run#0: FileNotFoundError", 3),
            ({"run": ["$bundle.find_bundles('nowhere')"]}, "no such bundle", 6),
            ({"run": ["$[][1]"]}, "defect: ", 1),
            ({"run": ["$(_ for _ in ()).throw(MemoryError())"]}, "smaller --batch_size", 7),
            ({"run": ["$(_ for _ in ()).throw(PermissionError(13, 'no'))"]}, "output_dir", 5),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_of_a_run(self, tmp_path: Path, settings: dict[str, Any], said: str, code: int) -> None:
        path = write(tmp_path, **settings)
        text, found = describe(error_of(path))
        assert (said in text, found) == (True, code), text
        assert "\n" not in text
        if code != 6:
            assert str(path) in text

    def test_ours_wins(self) -> None:
        error = RuntimeError("Failed to evaluate\nsomething")
        error.__cause__ = InputError("data: is not there")
        error.__cause__.__cause__ = KeyError("inside")
        assert describe(error) == ("data: is not there", 3)

    def test_interrupted(self) -> None:
        assert describe(KeyboardInterrupt())[1] == 130


class TestHook:
    @pytest.fixture(autouse=True)
    def hook(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)

    def test_one_line_and_the_code(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report_errors()
        for debug in (False, True):
            if debug:
                monkeypatch.setenv("MMCCD_DEBUG", "1")
            with pytest.raises(SystemExit) as ended:
                sys.excepthook(UsageError, UsageError("a: b\nc"), None)
            assert ended.value.code == 2
            lines = capsys.readouterr().err.splitlines()
            assert lines[-1] == "mmccd: a: b c"
            assert (len(lines) > 1) == debug

    def test_torchrun_does_not_swallow_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """torch.distributed puts a buffer in the place of stderr and prints it afterwards."""
        monkeypatch.setattr(sys, "__stderr__", sys.stderr)
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        report_errors()
        with pytest.raises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            sys.excepthook(UsageError, UsageError("a: b"), None)
        assert capsys.readouterr().err == "mmccd: a: b\n"

    def test_a_notebook_keeps_its_own(self, tmp_path: Path) -> None:
        monai.bundle.run(config_file=str(write(tmp_path, run=[])))
        assert sys.excepthook is sys.__excepthook__


def test_the_program_itself(tmp_path: Path) -> None:
    """A slip in an override of plain ``python -m monai.bundle run``."""
    path = write(tmp_path, run=["$print(@max_epochs)"], max_epochs=1)
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "monai.bundle",
            "run",
            "--config_file",
            str(path),
            "--max_epoch",
            "3",
        ],  # fmt: skip
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 2, found.stderr
    lines = found.stderr.strip().splitlines()
    assert lines[-1].startswith(f"mmccd: {path}: max_epoch: nothing uses this setting (did you me")
    assert not any("Traceback" in line for line in lines)
