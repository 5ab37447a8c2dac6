"""``mmccd train`` with tiny networks, from the study's file to the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import TINY

from mmccd.apps.cli import cli

pytestmark = pytest.mark.slow

SIZE = {f"network_def#{key}": value for key, value in TINY.items()}
QUICK = {
    "max_epochs": 1,
    "batch_size": 4,
    "settings": {**SIZE, "precision": "fp32", "slice_rule#kind": "central"},
}
STEPS = [
    "seed 0: train backward",
    "seed 0: train forward",
    "seed 0: calibrate fast",
    "seed 0: evaluate fast",
]


def write(folder: Path, data: Path, **changes: Any) -> Path:
    content = {
        "data": str(data),
        "presets": ["fast"],
        "backward": QUICK,
        "forward": QUICK,
        "calibration": {"slices_per_case": 4},
        "evaluation": {"sets": ["sick"], "draws": 20, "methods": ["mmccd", "rule"]},
        "track": "none",
    }
    path = folder / "study.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


@pytest.fixture
def sick(tmp_path: Path, phantom_data: Path) -> Path:
    """A data set of one case, under a name that no training knows."""
    folder = tmp_path / "sick" / "patient"
    folder.mkdir(parents=True)
    for file in (phantom_data / "lesion").iterdir():
        (folder / file.name.replace("lesion", "patient")).symlink_to(file)
    return folder


def test_from_file_to_tables(
    tmp_path: Path,
    tiny_bundles: Path,
    phantom_data: Path,
    sick: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dry run writes nothing; a run does each step once; a changed one is refused."""
    output = tmp_path / "out"
    words = ["train", str(write(tmp_path, phantom_data)), "--output", str(output)]
    words += ["--bundles", str(tiny_bundles), "--device", "cpu"]
    before = sorted(path for path in tiny_bundles.rglob("*"))
    assert cli.run([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(step in said for step in STEPS) and "GB of memory" in said
    assert not output.exists()

    assert cli.run(words) == 0
    state = json.loads((output / "state.json").read_text())["steps"]
    assert {name: step["state"] for name, step in state.items()} == dict.fromkeys(STEPS, "done")
    tables = output / "seed_0" / "evaluation" / "fast"
    assert "| sick | patient |" in (tables / "sets.md").read_text()
    assert "\\toprule" in (tables / "sets.tex").read_text()
    assert "| fast | sick | MMCCD |" in (output / "summary.md").read_text()
    assert sorted(path for path in tiny_bundles.rglob("*")) == before
    card = output / "seed_0" / "bundles" / "forward_masked_diffusion" / "models" / "model.json"
    assert json.loads(card.read_text())["epochs"] == 1

    capsys.readouterr()
    assert cli.run(words) == 0
    assert "nothing is left to do" in capsys.readouterr().out
    write(tmp_path, phantom_data, forward={**QUICK, "max_epochs": 2})
    assert cli.run(words) == 5
    assert "forward.max_epochs 1 -> 2" in capsys.readouterr().err


def test_mistakes_before_anything_starts(
    tmp_path: Path, tiny_bundles: Path, phantom_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a line; a patient of the training is never reported."""
    settings = {**QUICK, "settings": {"max_epoch": 3}}
    path = write(
        tmp_path,
        phantom_data,
        presets=["quick"],
        forward=settings,
        evaluation={"sets": [str(phantom_data)], "methods": ["magic"]},
    )
    output = tmp_path / "out"
    words = ["train", str(path), "--output", str(output), "--bundles", str(tiny_bundles)]
    assert cli.run(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("'quick'" in line or "quick" in line for line in lines)
    assert any("'magic' is unknown" in line for line in lines)
    assert not output.exists()
    assert cli.run([*words[:1], str(write(tmp_path, tmp_path / "nowhere")), *words[2:]]) == 3
    path = write(tmp_path, phantom_data, evaluation={"sets": [str(phantom_data)]})
    assert cli.run(["train", str(path), *words[2:]]) == 4
    assert "no training has seen" in capsys.readouterr().err
