"""mmccd.apps.cli.cli: strict parsing, help, exit codes, and a clean end on SIGTERM."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import change_preset

from mmccd import __version__
from mmccd.apps.cli import cli
from mmccd.core.errors import InputError, MmccdError

MAIN = [sys.executable, "-c", "from mmccd.apps.cli.cli import main; main()"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def register(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    """Make a function a command."""
    module = types.ModuleType(f"probes_{function.__name__}")
    setattr(module, function.__name__, function)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, function.__name__, module.__name__)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command ``probe`` was called with."""
    seen: list[dict[str, Any]] = []

    def probe(
        input: str,
        output: str | None = None,
        preset: str = "balanced",
        seed: int = 0,
        threshold: float | None = None,
        force: bool = False,
    ) -> int:
        seen.append(
            {
                "input": input,
                "output": output,
                "preset": preset,
                "seed": seed,
                "threshold": threshold,
                "force": force,
            }
        )
        return 0

    register(monkeypatch, probe)
    return seen


@pytest.fixture
def many_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the command ``many``, which takes several words, was called with."""
    seen: list[tuple[Any, ...]] = []

    def many(*input: str, output: str | None = None, json: bool = False, seed: int = 0) -> int:
        seen.append((*input, output, json, seed))
        return 0

    register(monkeypatch, many)
    return seen


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["a.nii"], ("a.nii", None, False, 0)),
        (["a.nii", "b.nii", "--output", "o"], ("a.nii", "b.nii", "o", False, 0)),
        (["a.nii", "--output", "o", "b.nii", "--json", "c"], ("a.nii", "b.nii", "c", "o", True, 0)),
        (
            ["1e5", "None", "[1]", "it's", "-", "--seed=3"],
            ("1e5", "None", "[1]", "it's", "-", None, False, 3),
        ),
        (
            ["*.nii", "a=b", "--log-format", "text", "a.nii"],
            ("*.nii", "a=b", "a.nii", None, False, 0),
        ),
    ],
)
def test_several_words(
    many_calls: list[tuple[Any, ...]], words: list[str], values: tuple[Any, ...]
) -> None:
    assert cli.run(["many", *words]) == 0
    assert many_calls == [values]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--output", "o"],
        ["a", ""],
        ["a", "--outptu", "b"],
        ["a", "-o", "b"],
        ["a", "--log-format"],
    ],
)
def test_bad_several_words(
    many_calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli.run(["many", *words]) == 2
    assert many_calls == []
    assert len(capsys.readouterr().err.splitlines()) == 1


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
        (
            ["a.nii", "--seed", "7", "--threshold", "0.5"],
            {"input": "a.nii", "seed": 7, "threshold": 0.5},
        ),
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
    assert [type(value) for value in calls[0].values()] == [
        type(value) for value in {"input": "", **DEFAULTS, **values}.values()
    ]


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
def test_bad_words(
    calls: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    parts: list[str],
) -> None:
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
        (["run"], ["run", "predict, bids, demo"]),
        (["--force"], ["--force"]),
        (["predict"], ["INPUT is missing"]),
        (["predict", "--output", "o"], ["INPUT is missing"]),
        (["predict", "a.nii", "--workers", "0"], ["--workers", "1"]),
        (["predict", "a.nii", "--log-format", "xml"], ["--log-format", "xml", "text, json"]),
        (["completion", "csh"], ["SHELL", "csh", "bash, zsh, fish"]),
        (
            ["predict", "a.nii", "--output", "o", "--preset", "slow"],
            ["--preset", "slow", "balanced, cycle, fast, full"],
        ),
        (["predict", "a.nii", "--output", "o", "--target", "pd"], ["--target", "pd", "t2, t1"]),
        (["predict", "a.nii", "--output", "o", "--seed", "-1"], ["--seed", "-1"]),
        (["predict", "a.nii", "--output", "o", "--seed", str(2**64)], ["--seed"]),
        (["demo", "--preset", "slow"], ["slow"]),
        (["datalist", "folder"], ["--output"]),
        (["export", "best.pt"], ["BUNDLE"]),
        (["benchmark", "--cohort", "0"], ["--cohort 0", "1 on"]),
        (["bids", "folder", "out"], ["LEVEL"]),
        (["phantom"], ["OUTPUT"]),
        (
            ["phantom", "o", "--lesions", "flu"],
            ["--lesions", "flu", "none, glioma, isointense, ms, stroke, mixed"],
        ),
        (["phantom", "o", "--split", "all"], ["--split", "train, val, test"]),
        (["phantom", "o", "--subjects", "0"], ["--subjects", "1"]),
        (["phantom", "o", "--slice-mm", "40"], ["--slice-mm", "0.5 to 15"]),
        (["phantom", "o", "--seed", "-3"], ["--seed"]),
        (
            ["datalist", "folder", "--output", "l.json", "--split", "all"],
            ["--split", "train, val, test"],
        ),
        (["datalist", "folder", "--output", "l.json", "--repeat", "0"], ["--repeat"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_real_commands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    parts: list[str],
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
        for argument in cli.form(name).arguments:
            assert f"  {argument.shown}  " in text
            assert argument.setting.help, "every argument is explained"
            assert " ".join(argument.explained.split()) in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 100

    @pytest.mark.parametrize("name", list(cli.COMMANDS))
    def test_examples(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Each command has one at least, help shows them, and all of them parse."""
        found = cli.examples(name)
        assert found
        assert cli.run([name, "--help"]) == 0
        text = capsys.readouterr().out
        for line in found:
            program, command, *words = shlex.split(line)
            assert (program, command) == ("mmccd", name)
            assert cli.form(name).parse(words) or not words
            assert line in text

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


HEAVY = {"torch", "monai", "matplotlib", "nilearn", "sklearn", "ignite", "SimpleITK", "itk"}


class TestAnswersAtOnce:
    """What needs no network loads none: modules are counted, because seconds depend on the
    machine.
    """

    @pytest.mark.parametrize(
        ("words", "code", "not_loaded"),
        [
            (["--help"], 0, {*HEAVY, "pydantic", "numpy", "fire"}),
            (["--version"], 0, {*HEAVY, "pydantic", "numpy", "fire"}),
            (["predict", "--help"], 0, {*HEAVY, "numpy", "fire"}),
            (["completion", "bash"], 0, HEAVY),
            (["predict", "/no/such/file"], 3, HEAVY),
            (["predict", "/no/such/file", "--preset", "turbo"], 2, HEAVY),
            (["predict", "FILE", "--output", "FILE"], 5, HEAVY),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_modules(
        self, tmp_path: Path, words: list[str], code: int, not_loaded: set[str]
    ) -> None:
        file = tmp_path / "flair.nii.gz"
        file.touch()
        words = [str(file) if word == "FILE" else word for word in words]
        program = (
            "import sys; from mmccd.apps.cli.cli import run;"
            f"code = run({words!r});"
            f"print(code, sorted({not_loaded!r} & set(sys.modules)), file=sys.stderr)"
        )
        found = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert found.stderr.splitlines()[-1] == f"{code} []"


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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    text: str,
    debug: bool,
) -> None:
    def failing() -> None:
        raise error

    register(monkeypatch, failing)
    assert cli.run(["failing", *(["--debug"] if debug else [])]) == code
    lines = capsys.readouterr().err.splitlines()
    assert text in lines[-1]
    assert lines[-1].startswith("mmccd: ")
    assert ("Traceback" in lines[0]) == debug
    assert debug or len(lines) == 1


def test_json_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the answer is JSON even where there is none; with --log-format json so is the
    line on stderr.
    """
    words = ["predict", str(tmp_path / "a.nii"), "--output", str(tmp_path / "o"), "--json"]
    assert cli.run([*words, "--log-format=json"]) == 3
    captured = capsys.readouterr()
    answer, (*stages, line) = (
        json.loads(captured.out),
        [json.loads(text) for text in captured.err.splitlines()],
    )
    assert (answer["status"], answer["exit_code"]) == ("failed", 3)
    assert answer["code"] == line["code"] == "input.missing"
    assert [stage["stage"] for stage in stages] == ["read"]
    assert (line["level"], line["exit_code"], line["message"]) == ("error", 3, answer["error"])
    assert cli.run(["phantom", str(tmp_path / "p"), "--json"]) == 2
    assert capsys.readouterr().out == "", "a command without --json"


@pytest.mark.parametrize("code", [0, 6])
def test_a_commands_own_code_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    def doctor() -> int:
        return code

    register(monkeypatch, doctor)
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
@pytest.mark.slow
def test_sigterm_ends_predict_and_leaves_nothing(
    tiny_bundles: Path, phantom_data: Path, tmp_path: Path, existing: bool
) -> None:
    change_preset(tiny_bundles, "full", settings={"steps": 100, "stride": 2})
    output = tmp_path / "results" / "deep"
    if existing:
        output.mkdir(parents=True)
        (output / "notes.txt").write_text("mine")
    words = [
        "predict",
        str(phantom_data / "healthy" / "healthy_flair.nii.gz"),
        "--output",
        str(output),
        "--preset",
        "full",
    ]
    words += ["--threshold", "0.5", "--device", "cpu", "--bundles", str(tiny_bundles)]
    process = subprocess.Popen([*MAIN, *words], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 120
        while (
            not list(tmp_path.glob("results/deep/.*"))
            and process.poll() is None
            and time.monotonic() < deadline
        ):
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
