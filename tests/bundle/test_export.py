"""mmccd.bundle.export: a checkpoint becomes weights with a card, or one line says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.bundle.bundles import Networks, assert_one_line

from mmccd.bundle import BACKWARD, FORWARD, load_models
from mmccd.bundle.export import export_weights
from mmccd.bundle.weights import file_sha256
from mmccd.core.errors import InputError, OutputError
from mmccd.imaging.normalisation import Normalisation
from mmccd.models.networks import TranslationUNet


def checkpoint_of(network: TranslationUNet, folder: Path, source: str, target: str) -> Path:
    """What a training run leaves: best.pt, last.pt (another network, with averaged weights) and
    training.json.
    """
    folder.mkdir(parents=True)
    state = network.state_dict()
    torch.save({"network": state, "value": 0.25, "epoch": 7}, folder / "best.pt")
    raw = {key: torch.zeros_like(value) for key, value in state.items()}
    torch.save(
        {"network": raw, "averaged": state, "optimizer": {}, "epoch": 9, "iteration": 90},
        folder / "last.pt",
    )
    record = {
        "source": source,
        "target": target,
        "network": network.settings,
        "scheduler": {"schedule": "linear_beta", "beta_start": 1e-4, "beta_end": 0.02},
        "normalisation": {
            name: Normalisation.for_modality(name).as_dict() for name in (source, target)
        },
        "seed": 3,
        "data": "40 phantoms",
        "licence": "CC0",
        "command": "python -m monai.bundle run",
        "key_metric": "val_masked_error",
    }
    (folder / "training.json").write_text(json.dumps(record))
    return folder / "best.pt"


class TestExport:
    def test_best_checkpoint(self, tmp_path: Path, tiny_networks: Networks) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        path = export_weights(checkpoint, tmp_path / "bundle")
        assert path == tmp_path / "bundle" / "models" / "model.pt"
        stored = torch.load(path, weights_only=True)
        for key, value in tiny_networks[FORWARD].state_dict().items():
            assert stored[key].dtype == torch.float16
            assert torch.equal(stored[key], value.half())
        card = json.loads(path.with_suffix(".json").read_text())
        assert card["sha256"] == file_sha256(path)
        assert card["validation"] == {"val_masked_error": 0.25}
        assert (
            card["epoch"],
            card["seed"],
            card["data"],
            card["licence"],
            card["research_only"],
        ) == (7, 3, "40 phantoms", "CC0", False)
        assert {file.name for file in path.parent.iterdir()} == {"model.pt", "model.json"}

    def test_last_checkpoint_gives_the_averaged_weights(
        self, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        best = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        path = export_weights(best.with_name("last.pt"), tmp_path / "bundle")
        stored = torch.load(path, weights_only=True)
        assert all(
            torch.equal(stored[key], value.half())
            for key, value in tiny_networks[FORWARD].state_dict().items()
        )
        assert json.loads(path.with_suffix(".json").read_text())["epoch"] == 9

    def test_research_weights_go_where_they_are_not_shipped(
        self, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t1")
        path = export_weights(checkpoint, tmp_path / "bundle", research=True)
        assert path == tmp_path / "bundle" / "models" / "research" / "flair_t1.pt"
        assert json.loads(path.with_suffix(".json").read_text())["research_only"] is True
        assert not (tmp_path / "bundle" / "models" / "model.pt").exists()

    def test_exported_weights_load(
        self, tiny_bundles: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        export_weights(
            checkpoint_of(tiny_networks[FORWARD], tmp_path / "f", "flair", "t1"),
            tiny_bundles / FORWARD,
            research=True,
        )
        export_weights(
            checkpoint_of(tiny_networks[BACKWARD], tmp_path / "g", "t1", "flair"),
            tiny_bundles / BACKWARD,
            research=True,
        )
        models = load_models(tiny_bundles, "t1")
        models.weights["forward"].load_network()
        models.weights["backward"].load_network()
        assert models.weights["forward"].load_scheduler().settings["beta_end"] == 0.02
        assert len(models.warnings) == 2

    @pytest.mark.parametrize(
        "content",
        [b"text", b"", b"\x80\x02}q\x00."],
        ids=["text", "empty", "a pickle of something else"],
    )
    def test_damaged_checkpoint(
        self, tmp_path: Path, tiny_networks: Networks, content: bytes
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        checkpoint.write_bytes(content)
        with pytest.raises(InputError) as error:
            export_weights(checkpoint, tmp_path / "bundle")
        assert_one_line(error.value, checkpoint)
        assert not (tmp_path / "bundle" / "models").exists()

    @pytest.mark.parametrize(
        "content", [None, "{", "{}", "[]"], ids=["missing", "cut off", "empty", "a list"]
    )
    def test_damaged_record(
        self, tmp_path: Path, tiny_networks: Networks, content: str | None
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        record = checkpoint.with_name("training.json")
        record.unlink() if content is None else record.write_text(content)
        with pytest.raises(InputError) as error:
            export_weights(checkpoint, tmp_path / "bundle", research=True)
        assert_one_line(error.value, record)

    def test_missing_checkpoint(self, tmp_path: Path, tiny_networks: Networks) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        checkpoint.unlink()
        with pytest.raises(InputError, match="best.pt"):
            export_weights(checkpoint, tmp_path / "bundle")

    def test_bundle_that_is_a_file(self, tmp_path: Path, tiny_networks: Networks) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        (tmp_path / "bundle").touch()
        with pytest.raises(OutputError) as error:
            export_weights(checkpoint, tmp_path / "bundle")
        assert_one_line(error.value, tmp_path / "bundle")
