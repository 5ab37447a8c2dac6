"""mmccd.apps.cli.doctor: what is there, and an exit code that says whether it is enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.conftest import write_weights

from mmccd import __version__
from mmccd.apps.cli import cli
from mmccd.apps.cli.doctor import describe, examine
from mmccd.bundle.bundle import BACKWARD, FORWARD, load_pair, write_calibrations
from mmccd.bundle.calibration import Calibration
from mmccd.models.networks import TranslationUNet


def line_with(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


def told(bundles: str) -> tuple[str, int]:
    found = examine(bundles)
    return describe(found), found["exit_code"]


def test_machine_and_versions(shared_bundles: Path) -> None:
    text, code = told(str(shared_bundles))
    assert code == 0
    assert "cores" in line_with(text, "machine")
    assert line_with(text, "device auto")
    assert f"mmccd {__version__}" in line_with(text, "versions")
    assert "torch" in line_with(text, "versions")
    assert str(shared_bundles) in line_with(text, "bundles")
    assert "Research use only" in text


def test_what_can_be_chosen(shared_bundles: Path) -> None:
    text, _ = told(str(shared_bundles))
    choices = examine(str(shared_bundles))["choices"]
    assert choices["preset"] == ["full", "balanced", "fast"]
    assert choices["extractor"] == ["mmccd", "hd-bet"]
    assert choices["target"] == ["t2", "t1"]
    assert {"mmccd", "intensity"} <= set(choices["methods"])
    assert "full, balanced, fast" in line_with(text, "preset ")


def test_weights(shared_bundles: Path) -> None:
    text, _ = told(str(shared_bundles))
    pair = load_pair(shared_bundles)
    assert pair.forward.sha256[:12] in line_with(text, "flair to t2")
    assert pair.backward.sha256[:12] in line_with(text, "flair to t2")
    assert "random numbers" in line_with(text, "flair to t2"), "the licence"
    assert "not usable" in line_with(text, "flair to t1")
    assert text.count("no calibration") == 3


def test_brain_extraction(tiny_bundles: Path) -> None:
    text, _ = told(str(tiny_bundles))
    assert "SynthSeg" in line_with(text, "brain"), "the installed one"
    (tiny_bundles / "brain_extraction" / "models").mkdir(parents=True)
    text, code = told(str(tiny_bundles))
    assert "not usable" in line_with(text, "brain")
    assert code == 0


def test_calibrations(tiny_bundles: Path) -> None:
    pair = load_pair(tiny_bundles)
    write_calibrations(
        tiny_bundles, [Calibration(pair.key(pair.preset("fast"), "fp32"), 0.625, {})]
    )
    text, _ = told(str(tiny_bundles))
    assert "0.625" in text
    assert "fp32" in text


def test_one_pair_is_enough(tiny_bundles: Path, tiny_networks: dict[str, TranslationUNet]) -> None:
    write_weights(tiny_bundles / FORWARD, tiny_networks[FORWARD], "flair", "t1")
    write_weights(tiny_bundles / BACKWARD, tiny_networks[BACKWARD], "t1", "flair")
    text, code = told(str(tiny_bundles))
    assert code == 0
    assert "not usable" in line_with(text, "flair to t2")
    assert "not usable" not in line_with(text, "flair to t1")


def test_damaged_weights_are_told(tiny_bundles: Path) -> None:
    path = tiny_bundles / BACKWARD / "models" / "model.pt"
    path.write_bytes(path.read_bytes()[:-1])
    text, code = told(str(tiny_bundles))
    assert code == 6
    assert str(path) in line_with(text, "flair to t2")


def test_no_bundles(tmp_path: Path) -> None:
    text, code = told(str(tmp_path))
    assert code == 6
    assert str(tmp_path / FORWARD) in line_with(text, "bundles")
    assert line_with(text, "machine"), "the rest is told all the same"


@pytest.mark.parametrize(("damage", "code"), [(False, 0), (True, 6)])
def test_command(
    tiny_bundles: Path, capsys: pytest.CaptureFixture[str], damage: bool, code: int
) -> None:
    if damage:
        shutil.rmtree(tiny_bundles / BACKWARD / "models")
    assert cli.run(["doctor", "--bundles", str(tiny_bundles)]) == code
    captured = capsys.readouterr()
    assert "flair to t2" in captured.out
    assert captured.err == ""
