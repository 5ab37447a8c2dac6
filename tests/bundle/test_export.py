"""mmccd.bundle.export: a checkpoint becomes weights with a card, or one line says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.bundle.bundles import Networks, assert_one_line
from tests.conftest import TINY

from mmccd.bundle import BACKWARD, FORWARD, load_models
from mmccd.bundle.export import export_weights
from mmccd.bundle.weights import file_sha256
from mmccd.core.errors import InputError, ModelError, OutputError, UnsuitableInputError
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods import DECISION_CHANNELS
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


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A forward bundle without weights."""
    folder = tmp_path / FORWARD
    (folder / "configs").mkdir(parents=True)
    return folder


def change_record(checkpoint: Path, **entries: object) -> None:
    """Put a record into the checkpoint, as trainings do; None removes an entry."""
    record = {**json.loads(checkpoint.with_name("training.json").read_text()), **entries}
    kept = {key: value for key, value in record.items() if value is not None}
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "record": kept}, checkpoint)


class TestExport:
    def test_best_checkpoint(self, bundle: Path, tmp_path: Path, tiny_networks: Networks) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        path = export_weights(checkpoint, bundle)
        assert path == bundle / "models" / "model.pt"
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
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        best = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        path = export_weights(best.with_name("last.pt"), bundle)
        stored = torch.load(path, weights_only=True)
        assert all(
            torch.equal(stored[key], value.half())
            for key, value in tiny_networks[FORWARD].state_dict().items()
        )
        assert json.loads(path.with_suffix(".json").read_text())["epoch"] == 9

    def test_research_weights_go_where_they_are_not_shipped(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t1")
        path = export_weights(checkpoint, bundle, research=True)
        assert path == bundle / "models" / "research" / "flair_t1.pt"
        assert json.loads(path.with_suffix(".json").read_text())["research_only"] is True
        assert not (bundle / "models" / "model.pt").exists()

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
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks, content: bytes
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        checkpoint.write_bytes(content)
        with pytest.raises(InputError) as error:
            export_weights(checkpoint, bundle)
        assert_one_line(error.value, checkpoint)
        assert not (bundle / "models").exists()

    @pytest.mark.parametrize(
        "content", [None, "{", "{}", "[]"], ids=["missing", "cut off", "empty", "a list"]
    )
    def test_damaged_record(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks, content: str | None
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        record = checkpoint.with_name("training.json")
        record.unlink() if content is None else record.write_text(content)
        with pytest.raises(InputError) as error:
            export_weights(checkpoint, bundle, research=True)
        assert_one_line(error.value, record)

    def test_missing_checkpoint(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        checkpoint.unlink()
        with pytest.raises(InputError, match="best.pt"):
            export_weights(checkpoint, bundle)

    def test_no_bundle(self, tmp_path: Path, tiny_networks: Networks) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        with pytest.raises(ModelError) as error:
            export_weights(checkpoint, tmp_path / "forwrad")
        assert_one_line(error.value, tmp_path / "forwrad", "mmccd bundles copy")
        assert not (tmp_path / "forwrad").exists()

    def test_folder_that_cannot_be_made(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        (bundle / "models").touch()
        with pytest.raises(OutputError) as error:
            export_weights(checkpoint, bundle)
        assert_one_line(error.value, bundle / "models")


class TestWhatWasTrained:
    """Cards say what the checkpoint says, whatever stands beside it."""

    def test_record_of_the_checkpoint(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")
        changed = [{"epoch": 3, "changed": {"learning_rate": [0.1, 0.2]}}]
        change_record(
            checkpoint,
            data="5 | 7 people",
            batch_size=4,
            fingerprints={"training": "ab" * 32},
            resumed=changed,
        )
        checkpoint.with_name("training.json").write_text('{"source": "t1"}')
        card = json.loads(export_weights(checkpoint, bundle).with_suffix(".json").read_text())
        assert (card["source"], card["data"], card["resumed"]) == ("flair", "5 | 7 people", changed)
        assert card["checkpoint_sha256"] == file_sha256(checkpoint)
        page = (bundle / "docs" / "model_card.md").read_text()
        assert page.startswith("# Model card: FLAIR to T2\n")
        for part in (card["sha256"], "ab" * 32, "5 \\| 7 people", "CC0", "epoch 7 of unknown"):
            assert part in page
        assert "resumed with other data or settings" in page
        assert "- after epoch 3, `learning_rate`: 0.1, then 0.2" in page

    def test_research_has_a_page_of_its_own(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t1")
        export_weights(checkpoint, bundle, research=True)
        page = (bundle / "docs" / "model_card_flair_t1.md").read_text()
        assert "`models/research/flair_t1.pt`" in page
        assert "may not ship" in page
        assert "Not of one piece" not in page


class TestRefused:
    @pytest.fixture
    def checkpoint(self, tmp_path: Path, tiny_networks: Networks) -> Path:
        return checkpoint_of(tiny_networks[FORWARD], tmp_path / "run", "flair", "t2")

    def refused(self, checkpoint: Path, bundle: Path, *parts: str, research: bool = False) -> None:
        with pytest.raises(UnsuitableInputError) as error:
            export_weights(checkpoint, bundle, research)
        assert_one_line(error.value, checkpoint, *parts)
        assert {path.name for path in bundle.iterdir()} == {"configs"}

    @pytest.mark.parametrize(("source", "target"), [("t2", "flair"), ("t1", "t2")])
    def test_another_direction(
        self, bundle: Path, checkpoint: Path, source: str, target: str
    ) -> None:
        change_record(checkpoint, source=source, target=target)
        self.refused(checkpoint, bundle, f"goes from {source} to {target}", "--research")

    def test_backward_ends_in_flair(self, tmp_path: Path, tiny_networks: Networks) -> None:
        bundle = tmp_path / BACKWARD
        (bundle / "configs").mkdir(parents=True)
        checkpoint = checkpoint_of(tiny_networks[BACKWARD], tmp_path / "run", "flair", "t2")
        self.refused(checkpoint, bundle, "goes from flair to t2", "one to flair")

    @pytest.mark.parametrize("research", [False, True])
    def test_another_bundle(
        self, bundle: Path, tmp_path: Path, tiny_networks: Networks, research: bool
    ) -> None:
        checkpoint = checkpoint_of(tiny_networks[BACKWARD], tmp_path / "run", "flair", "t2")
        self.refused(checkpoint, bundle, "1 input channels", "takes 2", research=research)

    def test_brain_extraction(self, bundle: Path, checkpoint: Path) -> None:
        change_record(checkpoint, task="brain_extraction")
        self.refused(checkpoint, bundle, "is of the brain extraction")

    def test_baseline(self, bundle: Path, checkpoint: Path) -> None:
        change_record(checkpoint, method="dae")
        self.refused(checkpoint, bundle, "is of the method dae")

    def test_record_of_another_network(
        self, bundle: Path, checkpoint: Path, tiny_networks: Networks
    ) -> None:
        change_record(checkpoint, network={**tiny_networks[FORWARD].settings, "channels": [4, 8]})
        self.refused(checkpoint, bundle, "does not fit to the network of its record")

    @pytest.mark.parametrize("value", [float("nan"), 1e6])
    def test_diverged(self, bundle: Path, checkpoint: Path, value: float) -> None:
        content = torch.load(checkpoint, weights_only=True)
        next(iter(content["network"].values())).fill_(value)
        torch.save(content, checkpoint)
        self.refused(checkpoint, bundle, "not finite")

    def test_decision_behind_other_weights(
        self, tiny_bundles: Path, tmp_path: Path, project: Path
    ) -> None:
        bundle = tiny_bundles / "decision"
        (bundle / "configs").mkdir()
        shutil.rmtree(bundle / "models")
        network = TranslationUNet(DECISION_CHANNELS, **TINY)
        checkpoint = checkpoint_of(network, tmp_path / "run", "flair", "t2")
        hashes = load_models(tiny_bundles).hashes
        change_record(checkpoint, cycle={**hashes, "backward": "0" * 64})
        self.refused(checkpoint, bundle, "trained behind other backward weights")
        change_record(checkpoint, cycle=hashes)
        export_weights(checkpoint, bundle)
        assert hashes["forward"] in (bundle / "docs" / "model_card.md").read_text()

    @pytest.mark.parametrize(
        "there", ["models/model.pt", "models/model.json", "docs/model_card.md"]
    )
    def test_existing_weights_stay(self, bundle: Path, checkpoint: Path, there: str) -> None:
        (bundle / there).parent.mkdir()
        (bundle / there).write_text('{"source": "flair", "target": "t1"}')
        with pytest.raises(OutputError) as error:
            export_weights(checkpoint, bundle)
        assert_one_line(error.value, bundle / there, "--force")
        assert ("(flair to t1)" in str(error.value)) == (there == "models/model.json")
        assert [path.name for path in (bundle / there).parent.iterdir()] == [Path(there).name]
        export_weights(checkpoint, bundle, force=True)
        assert (bundle / "docs" / "model_card.md").read_text().startswith("# Model card: FLAIR")
