"""mmccd.cli: strict parsing, help, exit codes, and a clean end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmccd import __version__, cli
from mmccd.bundle import FORWARD
from mmccd.errors import InputError, MmccdError

MAIN = [sys.executable, "-c", "from mmccd.cli import main; main()"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command ``probe`` was called with."""
    seen: list[dict[str, Any]] = []

    def probe(
        input: str, output: str | None = None, preset: str = "balanced", seed: int = 0, threshold: float | None = None, force: bool = False
    ) -> int:
        seen.append({"input": input, "output": output, "preset": preset, "seed": seed, "threshold": threshold, "force": force})
        return 0

    monkeypatch.setitem(cli.COMMANDS, "probe", probe)
    return seen


DEFAULTS = {"output": None, "preset": "balanced", "seed": 0, "threshold": None, "force": False}


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["a.nii"], {"input": "a.nii"}),
        (["a.nii", "--output", "o"], {"input": "a.nii", "output": "o"}),
        (["--output", "o", "a.nii"], {"input": "a.nii", "output": "o"}),
        (["a.nii", "--output=o"], {"input": "a.nii", "output": "o"}),
        (["a.nii", "--output=a=b"], {"input": "a.nii", "output": "a=b"}),
        (["--force", "a.nii", "--output", "o"], {"input": "a.nii", "output": "o", "force": True}),
        (["a.nii", "--force"], {"input": "a.nii", "force": True}),
        (["a.nii", "--force=true"], {"input": "a.nii", "force": True}),
        (["a.nii", "--force=False"], {"input": "a.nii"}),
        (["a.nii", "--seed", "7", "--threshold", "0.5"], {"input": "a.nii", "seed": 7, "threshold": 0.5}),
        (["a.nii", "--threshold", "1"], {"input": "a.nii", "threshold": 1.0}),
        (["a.nii", "--threshold", "-1e-3"], {"input": "a.nii", "threshold": -1e-3}),
        (["a.nii", "--threshold=-2"], {"input": "a.nii", "threshold": -2.0}),
        (["a.nii", "--seed", str(2**64 - 1)], {"input": "a.nii", "seed": 2**64 - 1}),
        (["a.nii", "--quiet"], {"input": "a.nii"}),
        (["--debug", "a.nii", "--quiet"], {"input": "a.nii"}),
    ],
)
def test_good_words(calls: list[dict[str, Any]], words: list[str], values: dict[str, Any]) -> None:
    assert cli.run(["probe", *words]) == 0
    assert calls == [{**DEFAULTS, **values}]
    assert [type(value) for value in calls[0].values()] == [type(value) for value in {"input": "", **DEFAULTS, **values}.values()]


@pytest.mark.parametrize(
    "name",
    [
        "123",
        "123.nii.gz",
        "1e5",
        "0x10",
        "1_000",
        "007",
        "3.14",
        "None",
        "True",
        "[1, 2]",
        "{'a': 1}",
        "a b.nii",
        "it's.nii",
        'quote".nii',
        "'both\"'",
        "back\\slash.nii",
        "C:\\new\\table.nii",
        "Gehirn-Übersicht-脑.nii",
        "a,b",
        "a#b",
        "(a)",
        "$HOME",
        "@x",
        "a\nb",
        "inf",
        "-",
    ],
)
def test_a_path_stays_a_string(calls: list[dict[str, Any]], name: str) -> None:
    assert cli.run(["probe", name, "--output", name]) == 0
    assert calls == [{**DEFAULTS, "input": name, "output": name}]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["a.nii", "--outptu", "o"], ["--outptu", "did you mean --output?"]),
        (["a.nii", "--outptu=o"], ["--outptu", "did you mean --output?"]),
        (["a.nii", "--zzz"], ["--zzz", "--help"]),
        (["a.nii", "-o", "out"], ["-o"]),
        (["a.nii", "-f"], ["-f"]),
        (["a.nii", "--"], ["--"]),
        (["a.nii", "--output"], ["--output", "value"]),
        (["a.nii", "--output", "--force"], ["--output", "value"]),
        (["a.nii", "--output", "--preset=fast"], ["--output", "value"]),
        (["a.nii", "--output", "--forse"], ["--"]),
        (["a.nii", "--output="], ["--output", "value"]),
        (["a.nii", "--output", ""], ["--output", "value"]),
        (["a.nii", "--output", "o", "--output", "p"], ["--output", "twice"]),
        (["a.nii", "--output=o", "--output", "o"], ["--output", "twice"]),
        (["a.nii", "--force", "--force"], ["--force", "twice"]),
        (["a.nii", "--force=maybe"], ["--force", "maybe"]),
        (["a.nii", "--force="], ["--force"]),
        (["a.nii", "--force", "true"], ["true"]),
        (["a.nii", "--seed", "1.5"], ["--seed", "1.5", "whole number"]),
        (["a.nii", "--seed", "one"], ["--seed", "one"]),
        (["a.nii", "--threshold", "high"], ["--threshold", "high", "a number"]),
        (["a.nii", "--threshold", "nan"], ["--threshold", "nan"]),
        (["a.nii", "--threshold", "inf"], ["--threshold", "inf"]),
        (["a.nii", "--threshold", "1e999"], ["--threshold", "1e999"]),
        ([], ["INPUT"]),
        (["--output", "o"], ["INPUT"]),
        ([""], ["INPUT"]),
        (["a.nii", "b.nii"], ["b.nii"]),
        (["a.nii", "--input", "b.nii"], ["--input"]),
    ],
    ids=" ".join,
)
def test_bad_words(calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]) -> None:
    assert cli.run(["probe", *words]) == 2
    assert calls == [], "a command with wrong words must not run"
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert all(part in line for part in parts)
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["predcit", "a.nii"], ["predcit", "did you mean predict?"]),
        (["run"], ["run", "predict, demo"]),
        (["--force"], ["--force"]),
        (["predict", "a.nii"], ["--output"]),
        (["predict", "a.nii", "--output", "o", "--preset", "slow"], ["--preset", "slow", "full, balanced, fast"]),
        (["predict", "a.nii", "--output", "o", "--target", "pd"], ["--target", "pd", "t2, t1"]),
        (["predict", "a.nii", "--output", "o", "--seed", "-1"], ["--seed", "-1"]),
        (["predict", "a.nii", "--output", "o", "--seed", str(2**64)], ["--seed"]),
        (["demo", "--preset", "slow"], ["slow"]),
        (["datalist", "folder"], ["--output"]),
        (["export", "best.pt"], ["BUNDLE"]),
        (["phantom"], ["OUTPUT"]),
        (["phantom", "o", "--lesions", "flu"], ["--lesions", "flu", "none, glioma, isointense, ms, stroke, mixed"]),
        (["phantom", "o", "--split", "all"], ["--split", "train, val, test"]),
        (["phantom", "o", "--subjects", "0"], ["--subjects", "1"]),
        (["phantom", "o", "--slice-mm", "40"], ["--slice-mm", "0.5 to 15"]),
        (["phantom", "o", "--seed", "-3"], ["--seed"]),
        (["datalist", "folder", "--output", "l.json", "--split", "all"], ["--split", "train, val, test"]),
        (["datalist", "folder", "--output", "l.json", "--repeat", "0"], ["--repeat"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_real_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in parts)
    assert list(tmp_path.iterdir()) == []


class TestHelp:
    @pytest.mark.parametrize("name", list(cli.COMMANDS))
    def test_of_each_command(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"usage: mmccd {name}" in text
        parameters = cli.inspect.signature(cli.COMMANDS[name]).parameters.values()
        for parameter in parameters:
            word = parameter.name.upper() if parameter.default is parameter.empty else f"--{parameter.name.replace('_', '-')}"
            assert word in text
            assert f"{parameter.name}: " in text, "every argument is explained"

    def test_help_wins_over_wrong_words(self, calls: list[dict[str, Any]]) -> None:
        assert cli.run(["probe", "--zzz", "--help"]) == 0
        assert calls == []

    @pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
    def test_overview(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(words) == 0
        text = capsys.readouterr().out
        assert all(f"  {name}" in text for name in cli.COMMANDS)
        assert "Research use only" in text

    @pytest.mark.parametrize("word", ["--version", "version"])
    def test_version(self, word: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run([word]) == 0
        assert capsys.readouterr().out.strip() == __version__

    def test_help_answers_at_once(self) -> None:
        code = "import sys; from mmccd.cli import run; code = run(['--help']); sys.exit(code or 'torch' in sys.modules or 'monai' in sys.modules)"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr) == (0, "")
        assert "predict" in found.stdout


class FailingError(MmccdError):
    exit_code = 7


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("a.nii: no such file"), 3, "a.nii: no such file"),
        (FailingError("two\nlines"), 7, "two lines"),
        (MemoryError(), 7, "memory"),
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=["ours", "of two lines", "memory", "defect", "ctrl-c"],
)
@pytest.mark.parametrize("debug", [False, True])
def test_errors_become_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str, debug: bool
) -> None:
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "failing", failing)
    assert cli.run(["failing", *(["--debug"] if debug else [])]) == code
    lines = capsys.readouterr().err.splitlines()
    assert text in lines[-1]
    assert lines[-1].startswith("mmccd: ")
    assert ("Traceback" in lines[0]) == debug
    assert debug or len(lines) == 1


@pytest.mark.parametrize("code", [0, 6])
def test_a_commands_own_code_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int) -> None:
    def doctor() -> int:
        return code

    monkeypatch.setitem(cli.COMMANDS, "doctor", doctor)
    assert cli.run(["doctor"]) == code
    with pytest.raises(SystemExit) as exit_:
        cli.main(["doctor"])
    assert exit_.value.code == code
    assert capsys.readouterr() == ("", "")


def test_sigterm_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cli.run(["--version"])
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "folder of someone else"])
def test_sigterm_ends_predict_and_leaves_nothing(tiny_bundles: Path, phantom_data: Path, tmp_path: Path, existing: bool) -> None:
    cycle = tiny_bundles / FORWARD / "configs" / "cycle.json"
    content = json.loads(cycle.read_text())
    content["presets"]["full"]["cycle"] |= {"steps": 100, "stride": 2}
    cycle.write_text(json.dumps(content))
    output = tmp_path / "results" / "deep"
    if existing:
        output.mkdir(parents=True)
        (output / "notes.txt").write_text("mine")
    words = ["predict", str(phantom_data / "healthy" / "healthy_flair.nii.gz"), "--output", str(output), "--preset", "full"]
    words += ["--threshold", "0.5", "--device", "cpu", "--bundles", str(tiny_bundles)]
    process = subprocess.Popen([*MAIN, *words], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("results/deep/.*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    (line,) = errors.splitlines()
    assert "SIGTERM" in line
    if existing:
        assert [path.name for path in output.iterdir()] == ["notes.txt"]
    else:
        assert not (tmp_path / "results").exists()
