"""mmccd.apps.map.arguments: words and HOLOSCAN_* variables to paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.apps.map.arguments import Paths, parse_paths
from mmccd.core.errors import UsageError

HOLOSCAN = {
    "HOLOSCAN_INPUT_PATH": "/in",
    "HOLOSCAN_OUTPUT_PATH": "/out",
    "HOLOSCAN_MODEL_PATH": "/models",
}


def test_words() -> None:
    assert parse_paths(["-i", "a", "--output=b", "-m", "c"], {}) == Paths(
        Path("a"), Path("b"), Path("c"), None
    )


def test_environment() -> None:
    assert parse_paths([], HOLOSCAN) == Paths(Path("/in"), Path("/out"), Path("/models"), None)


def test_words_win() -> None:
    assert parse_paths(["--input", "a"], HOLOSCAN).input == Path("a")


def test_the_settings_file(tmp_path: Path) -> None:
    beside, mounted, given = (
        tmp_path / name for name in ("beside.yaml", "mounted.yaml", "given.yaml")
    )
    beside.touch()
    variables = {**HOLOSCAN, "HOLOSCAN_CONFIG_PATH": str(mounted)}
    assert parse_paths([], HOLOSCAN, tmp_path / "none.yaml").config is None
    assert parse_paths([], variables, beside).config == beside, "nothing is mounted there"
    mounted.touch()
    assert parse_paths([], variables, beside).config == mounted
    assert parse_paths(["-c", str(given)], variables, beside).config == given


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no input"),
        (["-i", "a"], "no output"),
        (["-i"], "needs a path"),
        (["-i", "-o", "b"], "needs a path"),
        (["-i", "a", "-i", "b"], "given twice"),
        (["a"], "unexpected 'a'"),
        (["--workdir", "a"], "unknown flag --workdir; see 'python app --help'"),
        (["--inptu", "a"], "did you mean --input?"),
    ],
)
def test_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_paths(words, {})
