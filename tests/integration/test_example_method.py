"""The method of docs/contributing.md, added from outside: one module and one config."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import monai
import pytest
from tests.evaluation.conftest import labelled_data as labelled_data
from tests.models.test_baselines import SMALL

from mmccd.apps.cli import cli
from mmccd.bundle import FORWARD
from mmccd.methods import registry
from mmccd.methods.registry import register_method

EXAMPLE = "wide_ae"


@pytest.fixture
def trained_runs(
    tmp_path: Path, project: Path, phantom_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An epoch of the overlay on a few slices of phantoms, with a tiny network."""
    bundle = tmp_path / FORWARD
    shutil.copytree(project / "bundles" / FORWARD / "configs", bundle / "configs")
    overlay = f"configs/baselines/{EXAMPLE}.json"
    shutil.copy(project / "docs" / "examples" / f"{EXAMPLE}.json", bundle / overlay)
    monkeypatch.chdir(bundle)
    monai.bundle.run(
        config_file=["configs/train.json", overlay],
        dataset_dir=str(phantom_data),
        max_cases=1,
        max_epochs=1,
        batch_size=3,
        precision="fp32",
        progress=False,
        **{"slice_rule#kind": "range", "slice_rule#first": 4, "slice_rule#last": 8},
        **{f"network_def#{key}": value for key, value in SMALL["ae"].items()},
    )
    yield bundle / "runs"
    monai.data.set_track_meta(True)
    monai.utils.set_determinism(seed=None)


def test_trained_registered_and_evaluated(
    trained_runs: Path,
    labelled_data: Path,
    shared_bundles: Path,
    tmp_path: Path,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(project / "docs" / "examples")
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    register_method(EXAMPLE, f"{EXAMPLE}:WideAutoencoder")
    words = ["--methods", f"intensity,{EXAMPLE}", "--runs", str(trained_runs), "--draws", "20"]
    fixed = ["--bundles", str(shared_bundles), "--device", "cpu", "--preset", "fast"]
    output = tmp_path / "out"
    command = ["evaluate", "--data", str(labelled_data), "--output", str(output)]
    assert cli.run([*command, *fixed, *words]) == 0
    rows = json.loads((output / "slice" / "metrics.json").read_text())["rows"]
    assert [row["title"] for row in rows[:2]] == ["Intensity threshold", "AE, wide code"]
    assert [row["method"] for row in rows[2:]] == ["constant", "rule"], "they are in every table"
    assert 0 < rows[1]["figures"]["auprc"] < 1
    assert len(rows[1]["key"]["weights"][0]) == 64


def test_the_page_shows_the_module(project: Path) -> None:
    module = (project / "docs" / "examples" / f"{EXAMPLE}.py").read_text()
    assert f"```python\n{module}```" in (project / "docs" / "contributing.md").read_text()
