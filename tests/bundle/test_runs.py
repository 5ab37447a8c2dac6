"""mmccd.bundle.runs: runs are found by method and direction, and refused in one line where
something is wrong.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.conftest import write_weights
from tests.models.test_baselines import NETWORKS, SMALL

from mmccd.bundle import BACKWARD
from mmccd.bundle.runs import Run, find_run, find_translator
from mmccd.bundle.weights import file_sha256
from mmccd.core.errors import ModelError
from mmccd.imaging.normalisation import Normalisation
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler


def write_run(runs: Path, method: str, source: str = "flair", target: str | None = None) -> Path:
    """A run folder as training leaves it."""
    torch.manual_seed(1)
    size = {"size": 128} if method == "vae" else {}
    network = NETWORKS[method](**{**SMALL[method], **size})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    folder = runs / method / (source if target is None else f"{source}_{target}")
    folder.mkdir(parents=True)
    torch.save({"network": network.state_dict(), "value": 0.5, "epoch": 1}, folder / "best.pt")
    record = {
        "method": method,
        "source": source,
        "target": target or source,
        "network": network.settings,
        "scheduler": (
            MaskedDiffusionScheduler(
                prediction_type="epsilon" if method == "ddpm" else "sample"
            ).settings
        ),
        "normalisation": {
            name: Normalisation.for_modality(name).as_dict() for name in (source, target or source)
        },
    }
    (folder / "training.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("method", list(NETWORKS))
def test_found_and_loaded(tmp_path: Path, method: str) -> None:
    target = "t2" if method in ("translator", "masked_translation") else None
    folder = write_run(tmp_path, method, target=target)
    run = find_run(tmp_path, method, "flair", target, NETWORKS[method])
    assert run.sha256 == file_sha256(folder / "best.pt")
    assert run.normalisation("flair") == Normalisation.for_modality("flair")
    network = run.load_network()
    assert not network.training
    stored = torch.load(folder / "best.pt", weights_only=True)["network"]
    assert all(torch.equal(value, stored[key]) for key, value in network.state_dict().items())
    assert run.load_scheduler().prediction_type == ("epsilon" if method == "ddpm" else "sample")


def test_missing_run_names_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"dae/t1/best\.pt.*configs/baselines/dae\.json.*--source t1.*--runs"
    ):
        find_run(tmp_path, "dae", "t1")
    with pytest.raises(ModelError, match=r"--source flair --target t2"):
        find_run(tmp_path, "translator", "flair", "t2")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "ae"}, "is of ae flair flair, expected dae flair flair"),
        ({"source": "t1"}, "is of dae t1 flair"),
        (None, "cannot be used"),
    ],
)
def test_wrong_record(tmp_path: Path, change: dict[str, str] | None, named: str) -> None:
    path = write_run(tmp_path, "dae") / "training.json"
    path.write_text("{" if change is None else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=named):
        find_run(tmp_path, "dae", "flair")


@pytest.mark.parametrize(
    "change", [{"network": {"factor": 4}}, {"network": {"what": 1}}, {"network": None}]
)
def test_record_of_another_network(tmp_path: Path, change: dict[str, object]) -> None:
    write_run(tmp_path, "dae")
    run = find_run(tmp_path, "dae", "flair")
    with pytest.raises(ModelError, match=r"training\.json: does not fit to its checkpoint"):
        Run(run.path, run.record | change).load_network()


def test_damaged_checkpoint(tmp_path: Path) -> None:
    (write_run(tmp_path, "dae") / "best.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="does not fit"):
        find_run(tmp_path, "dae", "flair").load_network()


def test_record_without_what_is_needed(tmp_path: Path) -> None:
    write_run(tmp_path, "dae")
    run = find_run(tmp_path, "dae", "flair")
    with pytest.raises(ModelError, match="normalisation of t1"):
        run.normalisation("t1")
    with pytest.raises(ModelError, match="noise schedule"):
        Run(run.path, {**run.record, "scheduler": {"schedule": "none"}}).load_scheduler()


class TestTranslator:
    def test_exported_weights_come_first(
        self, tmp_path: Path, tiny_networks: dict[str, TranslationUNet]
    ) -> None:
        """One translator for one direction, whoever needs it."""
        (tmp_path / "bundles" / BACKWARD).mkdir(parents=True)
        folder = write_run(tmp_path / "runs", "translator", "t2", "flair")
        assert (
            find_translator(tmp_path / "bundles", tmp_path / "runs", "t2", "flair").path
            == folder / "best.pt"
        )
        exported = write_weights(
            tmp_path / "bundles" / BACKWARD, tiny_networks[BACKWARD], "t2", "flair"
        )
        assert (
            find_translator(tmp_path / "bundles", tmp_path / "runs", "t2", "flair").path == exported
        )

    def test_of_another_direction(self, tmp_path: Path) -> None:
        write_run(tmp_path / "runs", "translator", "t2", "flair")
        with pytest.raises(ModelError, match="translator/flair_t2"):
            find_translator(tmp_path / "bundles", tmp_path / "runs", "flair", "t2")
