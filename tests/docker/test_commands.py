"""Commands of the image's entrypoint: docker/entrypoint.sh and docker/commands.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.conftest import PROJECT
from tests.docker.scripts import load

from mmccd.apps.map.arguments import parse_paths
from mmccd.apps.map.settings import NOT_OURS, read_settings
from mmccd.apps.pacs.settings import PREFIX, PacsSettings
from mmccd.core import VARIABLE, Settings, UsageError, variable_of

commands = load("commands")
APP = PROJECT / "app" / "app.yaml"
PATHS = {"HOLOSCAN_INPUT_PATH": "/in", "HOLOSCAN_OUTPUT_PATH": "/out"}
ENTRYPOINT = (PROJECT / "docker" / "entrypoint.sh").read_text()


def shown(beside: Path = APP, **variables: str) -> dict[str, str]:
    """What ``env`` prints, by name."""
    lines = list(commands.env_lines({**PATHS, **variables}, beside))
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_every_variable_is_there() -> None:
    found = shown()
    wanted = {variable_of(name) for name in Settings.declared(VARIABLE)}
    wanted |= {variable_of(name, PREFIX) for name in PacsSettings.declared(VARIABLE)}
    assert wanted | {*PATHS, "HOLOSCAN_CONFIG_PATH"} <= set(found)
    assert "MMCCD_DATA" in NOT_OURS and "MMCCD_DATA" not in found


def test_values_that_hold(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("mmccd: {preset: fast, timeout_s: 60, seed: 7}\n")
    found = shown(tmp_path / "app.yaml", MMCCD_PRESET="full", MMCCD_PACS_DAYS="3")
    assert found["MMCCD_PRESET"] == "full", "a variable wins"
    assert (found["MMCCD_TIMEOUT_S"], found["MMCCD_SEED"]) == ("60.0", "7")
    assert (found["MMCCD_FORCE"], found["MMCCD_TARGET"]) == ("false", "")
    assert (found["MMCCD_PACS_DAYS"], found["MMCCD_PACS_POLL_S"]) == ("3", "30.0")
    assert found["HOLOSCAN_OUTPUT_PATH"] == "/out"


def test_what_is_shown_is_accepted_again() -> None:
    found = {name: text for name, text in shown().items() if name.startswith("MMCCD_")}
    own = {name: text for name, text in found.items() if not name.startswith(PREFIX)}
    assert read_settings(None, own) == read_settings(APP, {})


def test_mounted_settings(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mmccd: {preset: fast}\n")
    found = shown(HOLOSCAN_CONFIG_PATH=str(tmp_path / "mine.yaml"))
    assert found["MMCCD_PRESET"] == "fast"
    assert parse_paths([], PATHS, APP).config == APP


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MMCCD_PACS_PASSWORD", "geheim"),
        ("MMCCD_PACS_URL", "https://user:geheim@pacs.example/dicom-web"),
    ],
)
def test_credentials_are_not_shown(name: str, text: str) -> None:
    found = shown(**{name: text})
    assert found[name] == commands.HIDDEN
    assert not any("geheim" in value for value in found.values())


@pytest.mark.parametrize("name", ["X_TOKEN", "X_CLIENT_SECRET", "X_WEBHOOK", "X_ROUTE_PASSWORD"])
def test_whatever_may_let_somebody_in_is_hidden(name: str) -> None:
    assert commands._line(name, "https://hooks.example/T0/B1") == f"{name}={commands.HIDDEN}"
    assert commands._line(f"{name}_FILE", "/run/x") == f"{name}_FILE=/run/x"


def test_the_password_s_file_is_shown() -> None:
    assert shown(MMCCD_PACS_PASSWORD_FILE="/run/pw")["MMCCD_PACS_PASSWORD_FILE"] == "/run/pw"
    assert shown()["MMCCD_PACS_PASSWORD"] == ""


def test_a_bad_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="MMCCD_PRESET"):
        shown(MMCCD_PRESET="quick")
    assert commands.main(["env"], {**PATHS, "MMCCD_PRESETS": "fast"}) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["help"], {}) == 0
    text = capsys.readouterr().out
    for word in ("help", "show [app|pkg]", "env", "extract", "--input", "mmccd.apps.pacs"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_help_and_entrypoint_know_the_same_commands() -> None:
    for name in ("help", "env", "show", "extract"):
        assert f"\n    {name} " in commands.HELP
        assert f"\n{name}" in ENTRYPOINT or f"| {name})" in ENTRYPOINT


def test_files_that_help_names_are_made() -> None:
    script = (PROJECT / "docker" / "install.sh").read_text()
    for name in ("/opt/holoscan/docs/sbom.cdx.json", "/opt/holoscan/docs/third_party_licences.txt"):
        assert name in commands.HELP and f"--output {name}" in script


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [(["show", "all"], 2, "expected app or pkg"), (["extract"], 5, "is not writable")],
)
def test_what_cannot_be_done(words: list[str], code: int, text: str) -> None:
    """On a machine that is no container."""
    script = str(PROJECT / "docker" / "entrypoint.sh")
    done = subprocess.run(["sh", script, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert text in done.stderr
