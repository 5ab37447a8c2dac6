"""integrations/slicer: the command, its progress and its result; and the panel against stand-ins
for Slicer's functions.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from mmccd.apps.cli import cli
from mmccd.core import Settings
from mmccd.outputs.viewers import viewer_files

ROOT = Path(__file__).resolve().parents[2] / "integrations" / "slicer" / "MMCCD"
FAILED = {"status": "failed", "exit_code": 4, "error": "too small; give another", "code": "brain.x"}


@pytest.fixture(scope="module")
def run() -> Iterator[ModuleType]:
    """What needs no Slicer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("MMCCDLib.run")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program of an environment."""
    path = tmp_path / "environment" / "bin" / "mmccd"
    path.parent.mkdir(parents=True)
    start = "from mmccd.apps.cli.cli import main; main()"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{start}' \"$@\"\n")
    path.chmod(0o755)
    return path


def wait_for(running: Any) -> Any:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = running.poll()
        if found is not None:
            return found
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.parametrize("name", ["MMCCD.py", "MMCCDLib/run.py"])
def test_slicers_python_reads_it(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 9))


def test_the_command_is_one_that_mmccd_takes(run: ModuleType) -> None:
    options = run.Options("fast", "sensitive", "cpu", unchecked=True)
    words = run.command("mmccd", "-odd.nii", "out", options)
    given = [word for word in words[2:] if word not in ("--log-format", "json")]
    values = cli.form("predict").parse(given)
    settings = values["settings"]
    assert values["input"] == ("-odd.nii",)
    assert (settings.preset, settings.operating_point, settings.device) == (
        *("fast", "sensitive", "cpu"),
    )
    assert settings.unchecked and settings.force and values["json"]


def test_the_choices_are_those_of_mmccd(run: ModuleType) -> None:
    declared = Settings.declared()
    assert set(run.PRESETS) == set(declared["preset"].setting.names())
    assert set(run.OPERATING_POINTS) == set(declared["operating_point"].setting.names())
    assert set(run.DEVICES) == set(declared["device"].setting.offers)


def test_the_program_is_found(
    run: ModuleType, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = program.parents[1]
    for chosen in (program, environment, program.parent):
        assert run.find_program(str(chosen)) == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert run.find_program() == str(program)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(run.RunError, match="not found"):
        run.find_program()
    with pytest.raises(run.RunError, match="no program mmccd"):
        run.find_program(str(environment / "lib"))


def test_slicers_own_packages_stay_away(run: ModuleType) -> None:
    slicer = {"PYTHONHOME": "/slicer", "LD_LIBRARY_PATH": "/slicer/lib", "HOME": "/home"}
    assert run.clean_environment(slicer) == {"HOME": "/home"}


@pytest.mark.parametrize(
    ("event", "text", "share"),
    [
        ({"event": "stage", "stage": "read"}, "reading the image", None),
        (
            {"event": "progress", "stage": "score", "done": 3, "total": 4, "seconds_left": 2.2},
            "looking at the slices, 2 s left",
            0.75,
        ),
        ({"event": "progress", "stage": "score", "done": 0, "total": 0}, "looking at", None),
    ],
)
def test_progress(run: ModuleType, event: dict[str, Any], text: str, share: float | None) -> None:
    found = run.progress_of(json.dumps(event))
    assert found.text.startswith(text)
    assert found.share == share


@pytest.mark.parametrize("line", ["", "text", "3", '{"message": "a warning"}'])
def test_other_lines(run: ModuleType, line: str) -> None:
    assert run.progress_of(line) is None


@pytest.mark.parametrize(
    ("stdout", "stderr", "text", "code"),
    [
        (json.dumps(FAILED), "", "too small; give another", "brain.x"),
        ("", '{"message": "out of memory"}', "out of memory", None),
        ("", "Killed", "Killed", None),
        ("", "", "exit code 4", None),
    ],
)
def test_errors(run: ModuleType, stdout: str, stderr: str, text: str, code: str | None) -> None:
    with pytest.raises(run.RunError, match=text) as caught:
        run.result_of(4, stdout, stderr)
    assert (caught.value.exit_code, caught.value.code) == (4, code)


def test_a_program_that_is_none(run: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(run.RunError, match="cannot be started"):
        run.Running([str(tmp_path / "none")])


@pytest.mark.slow
def test_a_run(
    run: ModuleType, program: Path, tmp_path: Path, tiny_bundles: Path, phantom_data: Path
) -> None:
    words = run.command(
        str(program), phantom_data / "lesion/lesion_flair.nii.gz", tmp_path / "out", run.Options()
    )
    more = ["--bundles", str(tiny_bundles), "--threshold", "0.7"]
    running = run.Running([*words[:2], *more, *words[2:]], os.environ)
    result = wait_for(running)
    assert [(one.name, one.kind) for one in result.layers] == [
        ("Anomaly map", "volume"),
        ("Anomaly", "segmentation"),
        ("Brain", "segmentation"),
    ]
    assert all(Path(one.path).is_file() for one in result.layers)
    assert Path(result.report).is_file()
    low, top = result.layers[0].span
    assert low == 0 and top >= 0.7
    assert result.layers[0].lowest == pytest.approx(0.7 * 0.75)
    assert "mL brain above the threshold 0.7" in result.summary
    assert "Not for diagnosis" in result.summary
    assert running.progress.text == "writing the results"


@pytest.mark.slow
def test_a_run_that_fails_says_why(run: ModuleType, program: Path, tmp_path: Path) -> None:
    words = run.command(str(program), tmp_path / "none.nii.gz", tmp_path / "out", run.Options())
    with pytest.raises(run.RunError, match="no such file") as caught:
        wait_for(run.Running(words, os.environ))
    assert caught.value.exit_code == 3


def test_a_run_can_be_ended(run: ModuleType) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    running = run.Running([sleep, "60"])
    assert running.poll() is None
    running.cancel()
    with pytest.raises(run.RunError):
        running.poll()


def test_colours_are_current() -> None:
    for file in (ROOT / "Resources").iterdir():
        assert file.read_text() == viewer_files()[file.name], "run 'mmccd viewers'"


@pytest.fixture
def panel(run: ModuleType) -> Iterator[tuple[ModuleType, MagicMock]]:
    """The module, and what stands in for Slicer."""
    slicer = MagicMock()
    base = ModuleType("slicer.ScriptedLoadableModule")
    for name in ("", "Logic", "Widget"):
        setattr(base, f"ScriptedLoadableModule{name}", type(f"Base{name}", (), {}))
    stand_ins = {
        "slicer": slicer,
        "slicer.ScriptedLoadableModule": base,
        "qt": MagicMock(),
        "ctk": MagicMock(),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_ins.items():
            patch.setitem(sys.modules, name, module)
        patch.syspath_prepend(str(ROOT))
        patch.delitem(sys.modules, "MMCCD", raising=False)
        yield importlib.import_module("MMCCD"), slicer
        sys.modules.pop("MMCCD", None)


def test_layers_are_loaded_over_the_volume(
    run: ModuleType, panel: tuple[ModuleType, MagicMock]
) -> None:
    module, slicer = panel
    layers = (
        run.Layer("Anomaly map", "a.nii.gz", "volume", span=(0.0, 3.0), lowest=1.0),
        run.Layer("Anomaly", "s.nii.gz", "segmentation", (0.0, 0.8, 1.0)),
    )
    segments = slicer.util.loadSegmentation.return_value.GetSegmentation.return_value
    segments.GetNumberOfSegments.return_value = 1
    module.MMCCDLogic().load("flair", run.RunResult(layers, "", (), ""))
    display = slicer.util.loadVolume.return_value.GetDisplayNode.return_value
    display.SetWindowLevelMinMax.assert_called_once_with(0.0, 3.0)
    display.SetLowerThreshold.assert_called_once_with(1.0)
    segments.GetNthSegment.return_value.SetColor.assert_called_once_with(0.0, 0.8, 1.0)
    assert Path(slicer.util.loadColorTable.call_args.args[0]).is_file()
    shown = slicer.util.setSliceViewerLayers.call_args.kwargs
    assert shown["background"] == "flair"
    assert shown["foreground"] is slicer.util.loadVolume.return_value


def test_a_volume_is_written_and_the_program_started(
    panel: tuple[ModuleType, MagicMock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, slicer = panel
    slicer.app.temporaryPath = str(tmp_path)
    slicer.util.startupEnvironment.return_value = {"PATH": "/usr/bin", "PYTHONHOME": "/slicer"}
    started: list[Any] = []
    monkeypatch.setattr(module, "Running", lambda *given: started.append(given))
    (tmp_path / "mmccd").touch()
    module.MMCCDLogic().start("volume", str(tmp_path / "mmccd"), module.Options())
    ((words, environment),) = started
    assert slicer.util.saveNode.call_args.args == ("volume", words[-1])
    assert environment == {"PATH": "/usr/bin"}
    slicer.util.saveNode.return_value = False
    with pytest.raises(module.RunError, match="cannot be written"):
        module.MMCCDLogic().start("volume", str(tmp_path / "mmccd"), module.Options())
