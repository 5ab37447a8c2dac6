"""Each overlay trains through MONAI's ``bundle run``, with the handlers of ``train.json``: record,
best, resume, time budget.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import monai
import pytest
import torch
from tests.models.test_baselines import NETWORKS, SMALL

from mmccd.bundle import FORWARD
from mmccd.bundle.runs import find_run
from mmccd.evaluation.candidates import Setup, make_candidates
from mmccd.methods.base import Slices

pytestmark = pytest.mark.slow

TINY = {**SMALL, "vae": {**SMALL["vae"], "size": 128}}
Train = Callable[..., Path]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    root = tmp_path_factory.mktemp("baselines") / "bundles"
    shutil.copytree(project / "bundles" / FORWARD / "configs", root / FORWARD / "configs")
    return root / FORWARD


@pytest.fixture
def train(bundle: Path, phantom_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Train]:
    """Train a method for an epoch or more on five slices; gives the run's folder."""
    monkeypatch.chdir(bundle)

    def run(method: str, folder: str, **overrides: Any) -> Path:
        network = {f"network_def#{key}": value for key, value in TINY[method].items()}
        settings: dict[str, Any] = {
            "dataset_dir": str(phantom_data),
            "max_cases": 1,
            "max_epochs": 1,
            "batch_size": 3,
            "precision": "fp32",
            "progress": False,
            "slice_rule#kind": "range",
            "slice_rule#first": 4,
            "slice_rule#last": 8,
        }
        configs = ["configs/train.json", f"configs/baselines/{method}.json"]
        monai.bundle.run(config_file=configs, **{**settings, **network, **overrides})
        return bundle / "runs" / method / folder

    yield run
    monai.data.set_track_meta(True)
    monai.utils.set_determinism(seed=None)


@pytest.mark.parametrize(
    ("method", "folder", "metric"),
    [
        ("ae", "flair", "val_brain_error"),
        ("vae", "flair", "val_brain_error"),
        ("dae", "flair", "val_brain_error"),
        ("ddpm", "flair", "val_brain_error"),
        ("translator", "flair_t2", "val_brain_error"),
        ("masked_translation", "flair_t2", "val_masked_error"),
    ],
)
def test_trains_and_is_found_again(
    train: Train, bundle: Path, method: str, folder: str, metric: str
) -> None:
    found = train(method, folder)
    record = json.loads((found / "training.json").read_text())
    target = "flair" if folder == "flair" else "t2"
    assert (record["method"], record["source"], record["target"]) == (method, "flair", target)
    assert (record["epochs"], record["iterations"], record["slices"], record["key_metric"]) == (
        1,
        1,
        5,
        metric,
    )
    assert 0 < record["last_validation"][metric] < 10
    assert set(torch.load(found / "last.pt", weights_only=True)) == {
        "network",
        "averaged",
        "optimizer",
        "lr_scheduler",
        "epoch",
        "iteration",
        "record",
    }
    other = None if folder == "flair" else "t2"
    run = find_run(bundle / "runs", method, "flair", other, NETWORKS[method])
    network = run.load_network()
    best = torch.load(found / "best.pt", weights_only=True)["network"]
    assert all(torch.equal(value, best[key]) for key, value in network.state_dict().items())
    if method in ("ae", "vae", "dae", "ddpm"):
        (made,) = make_candidates([method], Setup(bundle.parent, bundle / "runs", device="cpu"))
        image = torch.randn(2, 1, 128, 128)
        result = made.build().score(Slices(image, torch.ones_like(image, dtype=torch.bool), 5.0))
        assert result.anomaly.isfinite().all()
        assert result.anomaly.std() > 0


def test_resumes_as_if_never_interrupted(train: Train) -> None:
    """A time budget of nothing ends after the first epoch; the same command again reaches what the
    uninterrupted run does, to the bit.
    """
    two = {"max_epochs": 2}
    whole = train("dae", "whole", output_dir="runs/dae/whole", **two)
    half = train("dae", "half", output_dir="runs/dae/half", max_minutes=0, **two)
    assert torch.load(half / "last.pt", weights_only=True)["epoch"] == 1
    train("dae", "half", output_dir="runs/dae/half", **two)
    first, second = (torch.load(folder / "last.pt", weights_only=True) for folder in (whole, half))
    assert second["epoch"] == 2
    for part in ("network", "averaged"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])
    assert any(
        not torch.equal(first["network"][key], first["averaged"][key]) for key in first["network"]
    )
