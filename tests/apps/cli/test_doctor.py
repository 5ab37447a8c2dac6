"""mmccd.apps.cli.doctor: what is there, and an exit code that says whether it is enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.conftest import add_decision, write_weights

from mmccd import __version__
from mmccd.apps.cli import cli
from mmccd.apps.cli.doctor import describe, examine
from mmccd.bundle import BACKWARD, FORWARD, load_models, store_calibration
from mmccd.bundle.calibration import Calibration
from mmccd.bundle.weights import file_sha256
from mmccd.core.operating_points import OperatingPoint
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
    assert choices["preset"] == ["balanced", "cycle", "fast", "full"]
    assert choices["extractor"] == ["mmccd", "hd-bet"]
    assert choices["target"] == ["t2", "t1"]
    assert choices["operating_point"] == ["specific", "balanced", "sensitive"]
    assert {"mmccd", "intensity"} <= set(choices["methods"])
    assert "balanced, cycle, fast, full" in line_with(text, "preset ")


def test_weights(shared_bundles: Path) -> None:
    text, _ = told(str(shared_bundles))
    models = load_models(shared_bundles)
    assert models.weights["forward"].sha256[:12] in line_with(text, "flair to t2")
    assert models.weights["backward"].sha256[:12] in line_with(text, "flair to t2")
    assert "random numbers" in line_with(text, "flair to t2"), "the licence"
    assert "not usable" in line_with(text, "flair to t1")
    assert text.count("no calibration") == 4


def test_brain_extraction(tiny_bundles: Path) -> None:
    text, _ = told(str(tiny_bundles))
    assert "SynthSeg" in line_with(text, "brain"), "the installed one"
    (tiny_bundles / "brain_extraction" / "models").mkdir(parents=True)
    text, code = told(str(tiny_bundles))
    assert "not usable" in line_with(text, "brain")
    assert code == 0


def test_calibrations(tiny_bundles: Path) -> None:
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    store_calibration("fast", Calibration(key, 0.625, {}), tiny_bundles)
    text, _ = told(str(tiny_bundles))
    assert "fp32 threshold 0.625" in line_with(text, "             preset fast")
    assert "yours" not in text
    (entry,) = (found for found in examine(str(tiny_bundles))["models"] if found["target"] == "t2")
    stored = entry["presets"]["fast"]["thresholds"]["fp32"]
    assert stored == {
        "value": 0.625,
        "file": str(tiny_bundles / FORWARD / "calibrations" / "fast-fp32.json"),
        "operating_points": {},
    }


def test_operating_points(tiny_bundles: Path) -> None:
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    points = {
        name: OperatingPoint(0.01, threshold, "pooled", 1, 0.01, 0.01, 0.01)
        for name, threshold in (("specific", 0.75), ("balanced", 0.625), ("sensitive", 0.5))
    }
    store_calibration("fast", Calibration(key, 0.625, {}, points=points), tiny_bundles)
    text, _ = told(str(tiny_bundles))
    line = line_with(text, "             preset fast")
    assert "fp32 threshold 0.625 (specific 0.75, sensitive 0.5)" in line
    (entry,) = (found for found in examine(str(tiny_bundles))["models"] if found["target"] == "t2")
    stored = entry["presets"]["fast"]["thresholds"]["fp32"]
    assert stored["operating_points"] == {"specific": 0.75, "balanced": 0.625, "sensitive": 0.5}


def test_own_calibrations(
    tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMCCD_CALIBRATIONS", str(tmp_path / "own"))
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    path = store_calibration("fast", Calibration(key, 0.5, {}))
    text, _ = told(str(tiny_bundles))
    assert f"fp32 threshold 0.5 (yours, {path})" in line_with(text, "             preset fast")


def test_damaged_calibrations_are_told(tiny_bundles: Path) -> None:
    path = tiny_bundles / FORWARD / "calibrations" / "fast-bf16.json"
    path.parent.mkdir()
    path.write_text("[")
    text, code = told(str(tiny_bundles))
    assert str(path) in line_with(text, "             preset fast")
    assert code == 0, "other presets can be used"


def test_a_third_weight_file(tiny_bundles: Path) -> None:
    decision = add_decision(tiny_bundles, "fast")
    text, _ = told(str(tiny_bundles))
    assert f"decision {file_sha256(decision)[:12]}" in line_with(text, "flair to t2")
    decision.unlink()
    text, code = told(str(tiny_bundles))
    assert str(decision) in line_with(text, "             preset fast")
    assert "no calibration" in line_with(text, "             preset balanced")
    assert code == 0


def test_one_target_is_enough(
    tiny_bundles: Path, tiny_networks: dict[str, TranslationUNet]
) -> None:
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
