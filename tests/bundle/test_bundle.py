"""mmccd.bundle.bundle: finding bundles, choosing weights, refusing what is damaged, export and
calibrations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from tests.conftest import write_weights

import mmccd.bundle.bundle as bundle_module
from mmccd.bundle.bundle import (
    BACKWARD,
    CYCLE_CONFIG,
    FORWARD,
    MODEL_PATH_VARIABLE,
    BundlePair,
    export_weights,
    file_sha256,
    find_bundles,
    list_weights,
    load_pair,
    read_cycle_config,
    write_calibrations,
)
from mmccd.bundle.calibration import Calibration, CalibrationKey
from mmccd.core.errors import InputError, MmccdError, ModelError, OutputError, UsageError
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods.mmccd.cycle import CycleSettings
from mmccd.models.networks import TranslationUNet

Networks = dict[str, TranslationUNet]


def load_everything(root: Path) -> BundlePair:
    """All that a run reads."""
    pair = load_pair(find_bundles(root))
    for weights in (pair.forward, pair.backward):
        weights.load_network()
    pair.forward.load_scheduler()
    return pair


def change(path: Path, **entries: Any) -> None:
    """Set entries of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def assert_one_line(error: MmccdError, *parts: object) -> None:
    text = str(error)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text


class TestFindBundles:
    def test_the_argument_wins(
        self, tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tmp_path / "elsewhere"))
        assert find_bundles(str(tiny_bundles)) == tiny_bundles

    def test_then_the_variable(self, tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tiny_bundles))
        assert find_bundles() == tiny_bundles

    def test_then_the_installed_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(MODEL_PATH_VARIABLE, raising=False)
        root = find_bundles()
        assert (root / FORWARD / CYCLE_CONFIG).is_file()
        assert (root / BACKWARD / "configs" / "train.json").is_file()

    @pytest.mark.parametrize("name", [FORWARD, BACKWARD])
    def test_a_bundle_is_not_there(self, tiny_bundles: Path, name: str) -> None:
        shutil.rmtree(tiny_bundles / name)
        with pytest.raises(ModelError) as error:
            find_bundles(tiny_bundles)
        assert_one_line(error.value, tiny_bundles / name, "--bundles")

    def test_the_variable_points_to_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tmp_path / "elsewhere"))
        with pytest.raises(ModelError, match="elsewhere"):
            find_bundles()


class TestChoice:
    def test_default_target_is_t2(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        add_t1(tiny_bundles, tiny_networks, "research/flair_t1")
        pair = load_everything(tiny_bundles)
        assert (pair.target, pair.warnings) == ("t2", ())
        assert pair.forward.direction == ("flair", "t2")
        assert pair.backward.direction == ("t2", "flair")

    def test_t1_with_a_warning_where_there_is_no_t2(
        self, tiny_bundles: Path, tiny_networks: Networks
    ) -> None:
        add_t1(tiny_bundles, tiny_networks, "model")
        pair = load_everything(tiny_bundles)
        assert pair.target == "t1"
        (warning,) = pair.warnings
        assert warning.code == "model.other_target"
        assert "t1" in warning.text
        assert "t2" in warning.text

    def test_explicit_target(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        add_t1(tiny_bundles, tiny_networks, "research/flair_t1")
        for weights in (tiny_bundles / FORWARD, tiny_bundles / BACKWARD):
            change(
                weights / "models" / "research" / "flair_t1.json",
                research_only=True,
                licence="CC BY-NC-SA 4.0",
            )
        pair = load_pair(tiny_bundles, "t1")
        assert pair.target == "t1"
        assert pair.forward.path.name == "flair_t1.pt"
        assert len(pair.warnings) == 2
        assert all(warning.code == "model.research_only" for warning in pair.warnings)
        assert all("CC BY-NC-SA 4.0" in warning.text for warning in pair.warnings)

    def test_what_ships_comes_first(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(
            tiny_bundles / FORWARD, tiny_networks[FORWARD], "flair", "t2", "research/another"
        )
        assert load_pair(tiny_bundles, "t2").forward.path.name == "model.pt"
        assert [weights.path.name for weights in list_weights(tiny_bundles / FORWARD)] == [
            "model.pt",
            "another.pt",
        ]

    def test_another_source(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(tiny_bundles / FORWARD, tiny_networks[FORWARD], "t1", "t2", "research/t1_t2")
        write_weights(
            tiny_bundles / BACKWARD, tiny_networks[BACKWARD], "t2", "t1", "research/t2_t1"
        )
        assert load_pair(tiny_bundles, source="t1").backward.direction == ("t2", "t1")

    def test_no_weights_for_the_target(self, tiny_bundles: Path) -> None:
        with pytest.raises(ModelError) as error:
            load_pair(tiny_bundles, "t1")
        assert_one_line(error.value, tiny_bundles / FORWARD, "t1", "found: t2")

    def test_no_g_for_f(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(
            tiny_bundles / FORWARD, tiny_networks[FORWARD], "flair", "t1", "research/flair_t1"
        )
        with pytest.raises(ModelError) as error:
            load_pair(tiny_bundles, "t1")
        assert_one_line(error.value, tiny_bundles / BACKWARD, "t1")

    def test_weights_are_those_of_the_file(
        self, tiny_bundles: Path, tiny_networks: Networks
    ) -> None:
        pair = load_everything(tiny_bundles)
        network = pair.forward.load_network()
        assert not network.training
        for key, value in network.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, tiny_networks[FORWARD].state_dict()[key].half().float())
        assert pair.forward.normalisation("flair") == Normalisation.for_modality("flair")


def add_t1(root: Path, networks: Networks, name: str) -> None:
    """Weights flair-t1, beside those that are there or (``model``) instead of them."""
    write_weights(root / FORWARD, networks[FORWARD], "flair", "t1", name)
    write_weights(root / BACKWARD, networks[BACKWARD], "t1", "flair", name)


F_WEIGHTS = Path(FORWARD) / "models" / "model.pt"
G_WEIGHTS = Path(BACKWARD) / "models" / "model.pt"
F_CARD, G_CARD = F_WEIGHTS.with_suffix(".json"), G_WEIGHTS.with_suffix(".json")
CYCLE = Path(FORWARD) / CYCLE_CONFIG
Damage = Callable[[Path], object]


def remove(path: Path) -> Damage:
    return lambda root: (root / path).unlink()


def write(path: Path, content: bytes) -> Damage:
    return lambda root: (root / path).write_bytes(content)


def truncate(path: Path) -> Damage:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:-200])


def set_entries(path: Path, **entries: Any) -> Damage:
    return lambda root: change(root / path, **entries)


def set_network(path: Path, **entries: Any) -> Damage:
    return lambda root: change(
        root / path, network={**json.loads((root / path).read_text())["network"], **entries}
    )


def flip_a_byte(root: Path) -> None:
    content = bytearray((root / F_WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (root / F_WEIGHTS).write_bytes(content)


def replace_weights(content: bytes) -> Damage:
    """Other bytes, and a card whose hash says that they are right."""

    def damage(root: Path) -> None:
        (root / F_WEIGHTS).write_bytes(content)
        change(root / F_CARD, sha256=file_sha256(root / F_WEIGHTS))

    return damage


def other_normalisation(root: Path) -> None:
    normalisation = json.loads((root / G_CARD).read_text())["normalisation"]
    normalisation["t2"]["upper"] = 90.0
    change(root / G_CARD, normalisation=normalisation)


def set_preset(**entries: Any) -> Damage:
    def damage(root: Path) -> None:
        content = json.loads((root / CYCLE).read_text())
        content["presets"]["fast"]["cycle"] |= entries
        (root / CYCLE).write_text(json.dumps(content))

    return damage


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        pytest.param(lambda root: shutil.rmtree(root / FORWARD), FORWARD, id="no forward bundle"),
        pytest.param(
            lambda root: shutil.rmtree(root / BACKWARD), BACKWARD, id="no backward bundle"
        ),
        pytest.param(
            lambda root: shutil.rmtree(root / FORWARD / "models"),
            f"{FORWARD}/models",
            id="no forward weights",
        ),
        pytest.param(
            lambda root: shutil.rmtree(root / BACKWARD / "models"),
            f"{BACKWARD}/models",
            id="no backward weights",
        ),
        pytest.param(remove(F_WEIGHTS), F_WEIGHTS, id="card without weights"),
        pytest.param(flip_a_byte, F_WEIGHTS, id="one byte of the weights is wrong"),
        pytest.param(truncate(G_WEIGHTS), G_WEIGHTS, id="weights cut off"),
        pytest.param(replace_weights(b"no weights at all"), F_WEIGHTS, id="weights are text"),
        pytest.param(replace_weights(b""), F_WEIGHTS, id="weights are empty"),
        pytest.param(truncate(F_CARD), F_CARD, id="card cut off"),
        pytest.param(write(G_CARD, b"\xff\xfe\x00"), G_CARD, id="card is binary"),
        pytest.param(write(G_CARD, b"[]"), G_CARD, id="card is a list"),
        pytest.param(write(G_CARD, b"5"), G_CARD, id="card is a number"),
        pytest.param(set_entries(F_CARD, sha256=None), F_CARD, id="card without hash"),
        pytest.param(
            set_network(F_CARD, channels=[8, 16]), F_WEIGHTS, id="card of another network"
        ),
        pytest.param(set_network(F_CARD, depth=3), F_WEIGHTS, id="card with an unknown setting"),
        pytest.param(
            set_network(F_CARD, factor=0), F_WEIGHTS, id="card of a network that we refuse"
        ),
        pytest.param(
            set_network(F_CARD, channels=[10, 10]),
            F_WEIGHTS,
            id="card of a network that MONAI refuses",
        ),
        pytest.param(
            set_entries(F_CARD, network="large"), F_WEIGHTS, id="card with a name for the network"
        ),
        pytest.param(other_normalisation, G_WEIGHTS, id="f and g normalised differently"),
        pytest.param(
            set_entries(F_CARD, normalisation={}),
            F_CARD,
            id="card without normalisation of a contrast",
        ),
        pytest.param(
            set_entries(F_CARD, normalisation={"flair": {"kind": "new"}, "t2": {}}),
            F_CARD,
            id="card with an unknown normalisation",
        ),
        pytest.param(set_entries(F_CARD, scheduler=None), F_CARD, id="card without schedule"),
        pytest.param(
            set_entries(F_CARD, scheduler={"schedule": "cubic"}),
            F_CARD,
            id="card with an unknown schedule",
        ),
        pytest.param(
            set_entries(F_CARD, scheduler={"steps": 3}),
            F_CARD,
            id="card with a schedule that is none",
        ),
        pytest.param(remove(CYCLE), CYCLE, id="no cycle.json"),
        pytest.param(truncate(CYCLE), CYCLE, id="cycle.json cut off"),
        pytest.param(write(CYCLE, b"[]"), CYCLE, id="cycle.json is a list"),
        pytest.param(set_entries(CYCLE, presets=None), CYCLE, id="cycle.json without presets"),
        pytest.param(
            set_entries(CYCLE, calibrations=[{"threshold": 1.0}]),
            CYCLE,
            id="calibration without key",
        ),
        pytest.param(set_entries(CYCLE, calibrations=5), CYCLE, id="calibrations are a number"),
        pytest.param(set_preset(reading="book"), CYCLE, id="preset with an unknown reading"),
        pytest.param(set_preset(speed=3), CYCLE, id="preset with an unknown setting"),
    ],
)
def test_damage_is_refused(tiny_bundles: Path, damage: Damage, named: str | Path) -> None:
    load_everything(tiny_bundles)
    damage(tiny_bundles)
    with pytest.raises(ModelError) as error:
        load_everything(tiny_bundles)
    assert error.value.exit_code == 6
    assert_one_line(error.value, tiny_bundles / named)


class TestPresets:
    def test_settings(self, tiny_bundles: Path) -> None:
        presets, calibrations = read_cycle_config(tiny_bundles)
        assert list(presets) == ["full", "balanced", "fast"]
        assert calibrations == []
        fast = presets["fast"]
        assert (fast.cycle.steps, fast.cycle.stride, fast.cycle.reading, fast.cycle.width) == (
            1,
            16,
            "paper",
            16,
        )
        assert fast.settings() == {
            "cycle": fast.cycle.as_dict(),
            "postprocessing": fast.postprocessing.as_dict(),
        }
        assert json.loads(json.dumps(fast.settings())) == fast.settings(), (
            "a key has to survive JSON"
        )

    def test_unknown_preset(self, tiny_bundles: Path) -> None:
        with pytest.raises(UsageError) as error:
            load_pair(tiny_bundles).preset("slow")
        assert_one_line(error.value, "slow", "full, balanced, fast")

    def test_precision(self, tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``auto`` is bf16 only where the machine has it and somebody calibrated it."""
        cpu = torch.device("cpu")
        pair = load_pair(tiny_bundles)
        preset = pair.preset("fast")
        monkeypatch.setattr(bundle_module, "has_fast_bf16", lambda device: True)
        assert pair.choose_precision(preset, cpu) == "fp32"
        write_calibrations(tiny_bundles, [Calibration(pair.key(preset, "bf16"), 1.0, {})])
        pair = load_pair(tiny_bundles)
        assert pair.choose_precision(preset, cpu) == "bf16"
        assert (
            pair.choose_precision(replace(preset, cycle=replace(preset.cycle, stride=8)), cpu)
            == "fp32"
        )
        assert pair.choose_precision(replace(preset, precision="bf16"), cpu) == "bf16"
        cuda = torch.device("cuda:0")
        monkeypatch.setattr(bundle_module, "has_fast_bf16", lambda device: device == cuda)
        assert pair.choose_precision(preset, cuda, cpu) == "fp32", "all devices have to have it"
        assert pair.choose_precision(preset, cuda, cuda) == "bf16"
        monkeypatch.setattr(bundle_module, "has_fast_bf16", lambda device: False)
        assert pair.choose_precision(preset, cpu) == "fp32"


class TestShippedBundles:
    def test_cycle_config(self, project: Path) -> None:
        presets, calibrations = read_cycle_config(project / "bundles")
        assert set(presets) == {"full", "balanced", "fast"}
        full = presets["full"].cycle
        assert (full.reading, full.steps, full.stride, full.width, full.sampler) == (
            "paper",
            100,
            2,
            16,
            "ddim",
        )
        assert len(full.masks((128, 128))) == 114
        passes = {
            name: preset.cycle.steps * len(preset.cycle.masks((128, 128)))
            for name, preset in presets.items()
        }
        assert passes["fast"] <= passes["balanced"] < passes["full"] == 11400
        assert all(entry.threshold > 0 for entry in calibrations)

    def test_cycle_config_is_a_bundle_config(self, project: Path) -> None:
        parser = ConfigParser()
        parser.read_config(str(project / "bundles" / FORWARD / CYCLE_CONFIG))
        parser.parse()
        assert parser.get_parsed_content("presets")["full"]["cycle"]["steps"] == 100
        assert parser.get_parsed_content("bundles") == "./.."
        assert parser.get_parsed_content("preset") in parser.get_parsed_content("presets")
        assert set(parser["pipeline"]) - {"_target_"} <= set(parser.get())

    def test_weights_load_where_they_are(self, project: Path) -> None:
        for name in (FORWARD, BACKWARD):
            for weights in list_weights(project / "bundles" / name):
                network = weights.load_network()
                assert network.settings == weights.card["network"]

    @pytest.mark.parametrize("name", [FORWARD, BACKWARD])
    def test_metadata(self, project: Path, name: str) -> None:
        content = json.loads((project / "bundles" / name / "configs" / "metadata.json").read_text())
        assert content["version"] in content["changelog"]


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

    def test_exported_pair_loads(
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
        pair = load_pair(tiny_bundles, "t1")
        pair.forward.load_network()
        pair.backward.load_network()
        assert pair.forward.load_scheduler().settings["beta_end"] == 0.02
        assert len(pair.warnings) == 2

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


class TestCalibrations:
    CALIBRATION = Calibration(
        CalibrationKey(
            "t2", {"cycle": CycleSettings(steps=1).as_dict()}, "fp32", "f" * 64, "0" * 64
        ),
        0.75,
        {"rate": 0.05},
        {"mean": 0.2},
    )

    def test_everything_else_stays(self, tiny_bundles: Path) -> None:
        before = json.loads((tiny_bundles / CYCLE).read_text())
        path = write_calibrations(tiny_bundles, [self.CALIBRATION])
        assert path == tiny_bundles / CYCLE
        after = json.loads(path.read_text())
        assert {**after, "calibrations": []} == before
        assert list(after) == list(before)
        assert read_cycle_config(tiny_bundles)[1] == [self.CALIBRATION]
        assert [file.name for file in path.parent.iterdir() if "tmp" in file.name] == []

    def test_they_are_replaced(self, tiny_bundles: Path) -> None:
        write_calibrations(tiny_bundles, [self.CALIBRATION, self.CALIBRATION])
        write_calibrations(tiny_bundles, [])
        assert read_cycle_config(tiny_bundles)[1] == []

    def test_found_by_its_key_only(self, tiny_bundles: Path) -> None:
        pair = load_pair(tiny_bundles)
        fast = pair.preset("fast")
        write_calibrations(
            tiny_bundles, [self.CALIBRATION, Calibration(pair.key(fast, "fp32"), 0.5, {})]
        )
        pair = load_pair(tiny_bundles)
        found = pair.calibration(fast, "fp32")
        assert found is not None
        assert found.threshold == 0.5
        assert pair.calibration(fast, "bf16") is None

    def test_disk_full_keeps_the_old_file(
        self, tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = (tiny_bundles / CYCLE).read_bytes()

        def full(self: Path, text: str, encoding: str) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError) as error:
            write_calibrations(tiny_bundles, [self.CALIBRATION])
        assert_one_line(error.value, tiny_bundles / CYCLE, "No space left")
        assert (tiny_bundles / CYCLE).read_bytes() == before
