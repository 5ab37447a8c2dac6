"""mmccd.apps.map.settings: file and environment, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.apps.map.settings import read_settings
from mmccd.core import Settings, UsageError


def config(folder: Path, text: str) -> Path:
    path = folder / "app.yaml"
    path.write_text(text)
    return path


def test_defaults() -> None:
    assert read_settings(None, {}) == Settings()


def test_the_file_that_ships_holds_the_defaults(project: Path) -> None:
    assert read_settings(project / "app" / "app.yaml", {}) == Settings()


def test_the_environment_wins(tmp_path: Path) -> None:
    path = config(
        tmp_path, "application: {title: x}\nmmccd: {preset: fast, threshold: 0.5, force: true}\n"
    )
    settings = read_settings(
        path,
        {"MMCCD_PRESET": "full", "MMCCD_TIMEOUT_S": "90", "PATH": "/bin", "MMCCD_DATA": "/data"},
    )
    assert (settings.preset, settings.threshold, settings.force, settings.timeout_s) == (
        "full",
        0.5,
        True,
        90.0,
    )


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "mps", "cuda", "cuda:1", "cuda:0,cuda:1", "cuda:all"]
)
def test_devices(name: str) -> None:
    assert read_settings(None, {"MMCCD_DEVICE": name.upper()}).device == name


def test_an_empty_variable_is_none() -> None:
    assert read_settings(None, {"MMCCD_THRESHOLD": "", "MMCCD_TARGET": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PRESET", "quick", "balanced, cycle, fast, full"),
        ("TARGET", "pd", "t2, t1"),
        ("THRESHOLD", "nan", "a finite number"),
        ("THRESHOLD", "high", "a finite number"),
        ("SEED", "1.5", "a whole number"),
        ("SEED", "-1", "a whole number"),
        ("DEVICE", "gpu", "cuda:N"),
        ("DEVICE", "cuda:0,cpu", "cuda:all"),
        ("FORCE", "perhaps", "true or false"),
        ("UNCHECKED", "maybe", "true or false"),
        ("BIAS_CORRECTION", "n4", "true or false"),
        ("EXTRACTOR", "bet", "mmccd, hd-bet"),
        ("TIMEOUT_S", "-1", "seconds"),
        ("MAX_VOXELS", "-1", "from 0 on"),
        ("LOG_FORMAT", "xml", "text, json"),
        ("LOG_LEVEL", "loud", "debug, info"),
        ("SERIES", "first", "number=N"),
        ("SERIES", "description=(", "regular expression"),
    ],
)
def test_bad_values(name: str, value: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f"MMCCD_{name}") as caught:
        read_settings(None, {f"MMCCD_{name}": value})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MMCCD_PRESETS: unknown setting; did you mean preset"):
        read_settings(None, {"MMCCD_PRESETS": "fast"})
    with pytest.raises(UsageError, match="app.yaml: colour: unknown setting"):
        read_settings(config(tmp_path, "mmccd: {colour: red}"), {})


@pytest.mark.parametrize("text", ["mmccd: [1]", "mmccd: {preset: [", "\tmmccd: 1"])
def test_bad_files(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="app.yaml"):
        read_settings(config(tmp_path, text), {})


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path / "app.yaml", {})
