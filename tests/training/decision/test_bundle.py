"""bundles/decision: trained, resumed, exported, measured and run on volumes by its own configs."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from tests.conftest import TINY, change_preset

from mmccd.bundle import export_weights, list_weights, load_models
from mmccd.core import ModelError
from mmccd.io import load_tensors
from mmccd.training.decision.trainer import NETWORK, decision_network

pytestmark = pytest.mark.slow

RUN = Path("runs") / "flair_t2"
QUICK = {
    "slice_rule#kind": "range",
    "slice_rule#first": 4,
    "slice_rule#last": 8,
    "batch_size": 3,
    "precision": "fp32",
    "progress": False,
    **{f"network_def#{key}": value for key, value in TINY.items()},
}


def run(folder: Path, *configs: str, **settings: Any) -> None:
    """``monai.bundle run`` in the bundle's folder, with the logging of the test."""
    files = [f"configs/{config}" for config in configs]
    with contextlib.chdir(folder):
        monai.bundle.run(config_file=files, logging_file=False, **settings)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, project: Path, shared_bundles: Path) -> Path:
    """A copy of the bundle without weights, beside tiny f and g."""
    root = tmp_path_factory.mktemp("decision") / "bundles"
    shutil.copytree(shared_bundles, root, ignore=shutil.ignore_patterns("decision"))
    shutil.copytree(project / "bundles" / "decision" / "configs", root / "decision" / "configs")
    return root / "decision"


@pytest.fixture(scope="module")
def trained(bundle: Path, phantom_data: Path) -> Path:
    """Run folder of two epochs, the second one resumed."""
    words = {**QUICK, "dataset_dir": str(phantom_data), "data": "phantoms", "licence": "CC0"}
    run(bundle, "train.json", max_epochs=2, max_minutes=0, **words)
    assert load_tensors(bundle / RUN / "last.pt")["epoch"] == 1
    run(bundle, "train.json", max_epochs=2, **words)
    return bundle / RUN


@pytest.fixture(scope="module")
def exported(bundle: Path, trained: Path) -> Path:
    return export_weights(trained / "best.pt", bundle)


def test_its_network_is_that_of_trainings_from_packs(project: Path) -> None:
    parser = monai.bundle.ConfigParser()
    parser.read_config(str(project / "bundles" / "decision" / "configs" / "train.json"))
    found = parser.get_parsed_content("network_def")
    assert found.settings == decision_network(NETWORK).settings


def test_record(trained: Path, bundle: Path) -> None:
    record = json.loads((trained / "training.json").read_text())
    assert (record["source"], record["target"], record["epochs"]) == ("flair", "t2", 2)
    assert (record["data"], record["licence"]) == ("phantoms", "CC0")
    assert record["key_metric"] == "val_decision_loss"
    assert 0 < record["last_validation"]["val_decision_loss"] < 10
    assert set(record["normalisation"]) == {"flair", "t2"}
    assert record["cycle"] == load_models(bundle.parent, "t2", preset="full").hashes
    assert (record["veil_sd"], record["blind_share"], record["slices"]) == (0.5, 0.33, 10)


def test_weights_move(trained: Path) -> None:
    last = load_tensors(trained / "last.pt")
    assert last["network"]["unet.out.2.conv.weight"].abs().max() > 0
    assert last["iteration"] == 6


def test_a_resumed_run_equals_an_uninterrupted_one(
    bundle: Path, trained: Path, phantom_data: Path
) -> None:
    words = {**QUICK, "dataset_dir": str(phantom_data), "output_dir": str(bundle / "runs" / "one")}
    run(bundle, "train.json", max_epochs=2, **words)
    whole = load_tensors(bundle / "runs" / "one" / "last.pt")["network"]
    resumed = load_tensors(trained / "last.pt")["network"]
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_exported_weights_are_those_of_the_decision(exported: Path, bundle: Path) -> None:
    """A preset that lists them finds them, with the normalisation of f and g."""
    change_preset(bundle.parent, "fast", weights=["forward", "backward", "decision"])
    models = load_models(bundle.parent, "t2", preset="fast")
    found = models.weights["decision"]
    assert found.path == exported
    assert found.load_network().settings["in_channels"] == 5
    assert found.card["validation"] == {
        "val_decision_loss": load_tensors(bundle / RUN / "best.pt")["value"]
    }
    assert found.card["cycle"] == {name: models.hashes[name] for name in ("forward", "backward")}
    assert list_weights(bundle)[0].direction == ("flair", "t2")


def test_evaluate(
    bundle: Path, trained: Path, phantom_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The stored checkpoint on the validation split gives the value that stands in it."""
    with caplog.at_level(logging.INFO):
        run(bundle, "train.json", "evaluate.json", dataset_dir=str(phantom_data), **QUICK)
    value = load_tensors(trained / "best.pt")["value"]
    assert f"val_decision_loss: {value:.4f}" in caplog.text


def test_inference(bundle: Path, exported: Path, phantom_data: Path, tmp_path: Path) -> None:
    """A probability on the input's grid, the same whatever the batch size."""
    for name, size in (("out", 16), ("again", 5)):
        words = {"output_dir": str(tmp_path / name), "precision": "fp32", "batch_size": size}
        run(bundle, "inference.json", dataset_dir=str(phantom_data), **words)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{case}_decision.nii.gz" for case in ("healthy", "lesion", "mirrored")]
    original = nib.load(phantom_data / "lesion" / "lesion_flair.nii.gz")
    found, again = (nib.load(tmp_path / name / names[1]) for name in ("out", "again"))
    assert found.shape == original.shape
    assert np.allclose(found.affine, original.affine, atol=1e-4)
    values = np.asarray(found.get_fdata())
    assert values.min() >= 0 and values.max() <= 1 + 1e-6
    inside = np.asarray(original.get_fdata()) > 0
    assert values[inside].std() > 0
    assert (values[0] == 0).all(), "nothing outside the brain"
    assert np.abs(values - np.asarray(again.get_fdata())).max() < 1e-4


def test_bundles_without_f(bundle: Path, phantom_data: Path, tmp_path: Path) -> None:
    words = {**QUICK, "dataset_dir": str(phantom_data), "output_dir": str(tmp_path / "run")}
    with pytest.raises(RuntimeError) as error:
        run(bundle, "train.json", bundles_root=str(tmp_path), **words)
    assert isinstance(error.value.__cause__, ModelError)
    assert str(tmp_path / "forward_masked_diffusion") in str(error.value.__cause__)
