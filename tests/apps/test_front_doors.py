"""A setting is declared once: one line in the model, and every front door has it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
from tests.scripts import load_script

from mmccd import core
from mmccd.apps.cli import cli
from mmccd.apps.cli.completion import script
from mmccd.apps.map.settings import read_settings
from mmccd.core import VARIABLE, Setting, Settings, UsageError
from mmccd.jobs.record import request
from mmccd.pipeline import AnomalyPipeline

DUMMY = "dummy_strength"


class MoreSettings(Settings):
    """The model with one line more."""

    dummy_strength: Annotated[
        str, Setting("how dull it is", choices=("dull", "duller"), changes_result=True)
    ] = "dull"


@pytest.fixture(autouse=True)
def one_line_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the model."""
    monkeypatch.setattr(core, "Settings", MoreSettings)


def test_flag() -> None:
    values = cli.form("predict").parse(["a.nii", "--dummy-strength", "duller"])
    assert values["settings"].dummy_strength == "duller"
    with pytest.raises(UsageError, match="--dummy-strength dulll: .*did you mean dull"):
        cli.form("predict").parse(["a.nii", "--dummy-strength", "dulll"])


def test_other_commands_take_what_they_name() -> None:
    assert not cli.form("calibrate").takes(DUMMY)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["predict", "--help"]) == 0
    assert "--dummy-strength DUMMY_STRENGTH" in capsys.readouterr().out


def test_variable() -> None:
    found = read_settings(None, {"MMCCD_DUMMY_STRENGTH": "duller"})
    assert found.model_dump()[DUMMY] == "duller"
    with pytest.raises(UsageError, match="MMCCD_DUMMY_STRENGTH: 'x'"):
        read_settings(None, {"MMCCD_DUMMY_STRENGTH": "x"})


def test_app_yaml(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text("mmccd: {dummy_strength: duller}")
    assert read_settings(path, {}).model_dump()[DUMMY] == "duller"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "dummy-strength" in script(shell) and "duller" in script(shell)


def test_documentation(project: Path) -> None:
    tables = _script(project / "docs" / "tables.py")
    assert "| `--dummy-strength` | `dull` | how dull it is; `dull`, `duller` |" in tables.flags()
    assert "| `MMCCD_DUMMY_STRENGTH` | `dummy_strength` | `dull` |" in tables.variables()


def test_request_of_a_cohort(shared_bundles: Path, tmp_path: Path) -> None:
    """A result that was made with another value is another result."""
    file = tmp_path / "a.nii"
    file.touch()
    made = {
        value: request(
            AnomalyPipeline.from_settings(
                MoreSettings(
                    bundles=str(shared_bundles),
                    preset="fast",
                    device="cpu",
                    threshold=0.5,
                    dummy_strength=value,
                )
            ),
            file,
        )
        for value in ("dull", "duller")
    }
    assert made["dull"] != made["duller"]
    assert {**made["duller"], DUMMY: "dull"} == made["dull"]


def test_app_yaml_that_ships_holds_every_default(project: Path) -> None:
    """Of the model without the dummy, which that file cannot know."""
    import yaml

    content = yaml.safe_load((project / "app" / "app.yaml").read_text())["mmccd"]
    defaults = Settings().model_dump(include=set(Settings.declared(VARIABLE)))
    assert content == defaults


def _script(path: Path) -> ModuleType:
    return load_script(path, f"script_{path.stem}")
