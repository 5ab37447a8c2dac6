"""mmccd.bundle.models: which weights are chosen for a target, and that damage is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bundle.bundles import Networks, add_t1, assert_one_line, change, load_everything
from tests.conftest import add_decision, change_preset, write_weights

from mmccd.bundle import (
    BACKWARD,
    FORWARD,
    Calibration,
    list_weights,
    load_models,
    store_calibration,
)
from mmccd.bundle.weights import file_sha256
from mmccd.core.errors import ModelError, UsageError
from mmccd.imaging.normalisation import Normalisation

FAST_BF16 = "mmccd.bundle.models.has_fast_bf16"


class TestChoice:
    def test_pair_without_a_decision_names_the_preset_that_needs_none(
        self, tiny_bundles: Path
    ) -> None:
        """A researcher who has trained f and g alone."""
        add_decision(tiny_bundles, "fast").with_suffix(".json").unlink()
        with pytest.raises(ModelError) as error:
            load_models(tiny_bundles, preset="fast")
        assert_one_line(error.value, "decision", "or --preset")

    def test_default_target_is_t2(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        add_t1(tiny_bundles, tiny_networks, "research/flair_t1")
        models = load_everything(tiny_bundles)
        assert (models.target, models.warnings) == ("t2", ())
        assert models.weights["forward"].direction == ("flair", "t2")
        assert models.weights["backward"].direction == ("t2", "flair")

    def test_t1_with_a_warning_where_there_is_no_t2(
        self, tiny_bundles: Path, tiny_networks: Networks
    ) -> None:
        add_t1(tiny_bundles, tiny_networks, "model")
        models = load_everything(tiny_bundles)
        assert models.target == "t1"
        (warning,) = models.warnings
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
        models = load_models(tiny_bundles, "t1")
        assert models.target == "t1"
        assert models.weights["forward"].path.name == "flair_t1.pt"
        assert len(models.warnings) == 2
        assert all(warning.code == "model.research_only" for warning in models.warnings)
        assert all("CC BY-NC-SA 4.0" in warning.text for warning in models.warnings)

    def test_what_ships_comes_first(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(
            tiny_bundles / FORWARD, tiny_networks[FORWARD], "flair", "t2", "research/another"
        )
        assert load_models(tiny_bundles, "t2").weights["forward"].path.name == "model.pt"
        assert [weights.path.name for weights in list_weights(tiny_bundles / FORWARD)] == [
            "model.pt",
            "another.pt",
        ]

    def test_another_source(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(tiny_bundles / FORWARD, tiny_networks[FORWARD], "t1", "t2", "research/t1_t2")
        write_weights(
            tiny_bundles / BACKWARD, tiny_networks[BACKWARD], "t2", "t1", "research/t2_t1"
        )
        assert load_models(tiny_bundles, source="t1").weights["backward"].direction == ("t2", "t1")

    def test_no_weights_for_the_target(self, tiny_bundles: Path) -> None:
        with pytest.raises(ModelError) as error:
            load_models(tiny_bundles, "t1")
        assert_one_line(error.value, tiny_bundles / FORWARD, "flair to t1", "found: flair to t2")

    def test_no_g_for_f(self, tiny_bundles: Path, tiny_networks: Networks) -> None:
        write_weights(
            tiny_bundles / FORWARD, tiny_networks[FORWARD], "flair", "t1", "research/flair_t1"
        )
        with pytest.raises(ModelError) as error:
            load_models(tiny_bundles, "t1")
        assert_one_line(error.value, tiny_bundles / BACKWARD, "t1")

    def test_weights_are_those_of_the_file(
        self, tiny_bundles: Path, tiny_networks: Networks
    ) -> None:
        models = load_everything(tiny_bundles)
        network = models.weights["forward"].load_network()
        assert not network.training
        for key, value in network.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, tiny_networks[FORWARD].state_dict()[key].half().float())
        assert models.normalisation("flair") == Normalisation.for_modality("flair")


F_WEIGHTS = Path(FORWARD) / "models" / "model.pt"
G_WEIGHTS = Path(BACKWARD) / "models" / "model.pt"
F_CARD, G_CARD = F_WEIGHTS.with_suffix(".json"), G_WEIGHTS.with_suffix(".json")
PRESETS = Path(FORWARD) / "configs" / "presets"
FAST = PRESETS / "fast.json"
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


def set_settings(**entries: Any) -> Damage:
    return lambda root: change_preset(root, "fast", settings=entries)


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
        pytest.param(lambda root: shutil.rmtree(root / PRESETS), PRESETS, id="no presets"),
        pytest.param(truncate(FAST), FAST, id="preset cut off"),
        pytest.param(write(FAST, b"[]"), FAST, id="preset is a list"),
        pytest.param(set_entries(FAST, method=None), FAST, id="preset without method"),
        pytest.param(set_entries(FAST, method="other"), FAST, id="preset of an unknown method"),
        pytest.param(set_entries(FAST, settings=5), FAST, id="preset whose settings are a number"),
        pytest.param(set_entries(FAST, weights=[]), FAST, id="preset without weights"),
        pytest.param(set_entries(FAST, weights="forward"), FAST, id="preset with one weight name"),
        pytest.param(set_entries(FAST, batch_size=0), FAST, id="preset without images per pass"),
        pytest.param(set_entries(FAST, precision="fp8"), FAST, id="preset with unknown precision"),
        pytest.param(set_entries(FAST, speed=3), FAST, id="preset with an unknown entry"),
        pytest.param(set_settings(reading="book"), FAST, id="preset with an unknown reading"),
        pytest.param(set_settings(speed=3), FAST, id="preset with an unknown setting"),
    ],
)
def test_damage_is_refused(tiny_bundles: Path, damage: Damage, named: str | Path) -> None:
    load_everything(tiny_bundles)
    damage(tiny_bundles)
    with pytest.raises(ModelError) as error:
        load_everything(tiny_bundles)
    assert error.value.exit_code == 6
    assert_one_line(error.value, tiny_bundles / named)


def test_precision(tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` is bf16 only where the machine has it and somebody calibrated it."""
    cpu = torch.device("cpu")
    models = load_models(tiny_bundles)
    preset = models.preset("fast")
    monkeypatch.setattr(FAST_BF16, lambda device: True)
    assert models.choose_precision(preset, cpu) == "fp32"
    store_calibration("fast", Calibration(models.key(preset, "bf16"), 1.0, {}), tiny_bundles)
    assert models.choose_precision(preset, cpu) == "bf16"
    assert (
        models.choose_precision(replace(preset, cycle=replace(preset.cycle, stride=8)), cpu)
        == "fp32"
    )
    assert models.choose_precision(replace(preset, precision="bf16"), cpu) == "bf16"
    cuda = torch.device("cuda:0")
    monkeypatch.setattr(FAST_BF16, lambda device: device == cuda)
    assert models.choose_precision(preset, cuda, cpu) == "fp32", "all devices have to have it"
    assert models.choose_precision(preset, cuda, cuda) == "bf16"
    monkeypatch.setattr(FAST_BF16, lambda device: False)
    assert models.choose_precision(preset, cpu) == "fp32"


class TestAThirdName:
    """Weights of another name are data: a folder and an entry in a preset."""

    @pytest.fixture
    def three(self, tiny_bundles: Path) -> Path:
        add_decision(tiny_bundles, "fast")
        return tiny_bundles

    def test_it_is_in_hashes_and_key(self, three: Path) -> None:
        models = load_models(three, preset="fast")
        expected = file_sha256(three / "decision" / "models" / "model.pt")
        assert list(models.hashes) == ["forward", "backward", "decision"]
        assert models.hashes["decision"] == expected
        key = models.key(models.preset("fast"), "fp32")
        assert key.weights == models.hashes
        assert Calibration(key, 0.5, {}).summary()["key"]["decision_sha256"] == expected

    def test_each_preset_has_its_own(self, three: Path) -> None:
        models = load_models(three, preset="balanced")
        assert list(models.weights) == ["forward", "backward"]
        assert list(models.for_preset(models.preset("fast")).weights)[2:] == ["decision"]
        assert list(models.key(models.preset("fast"), "fp32").weights)[2:] == ["decision"]
        assert models.for_preset(models.preset("full")) is models

    def test_a_calibration_without_it_does_not_hold(self, three: Path) -> None:
        before = load_models(three, preset="balanced")
        fast = before.preset("fast")
        two = replace(fast, weights=("forward", "backward"))
        store_calibration("fast", Calibration(before.key(two, "fp32"), 0.5, {}), three)
        assert before.calibration(two, "fp32") is not None
        assert before.calibration(fast, "fp32") is None

    def test_where_it_is_missing_only_its_preset_fails(self, three: Path) -> None:
        shutil.rmtree(three / "decision")
        assert load_models(three, preset="balanced").target == "t2"
        with pytest.raises(ModelError) as error:
            load_models(three, preset="fast")
        assert_one_line(error.value, three, "decision", "--preset")

    def test_it_has_to_fit_to_the_others(self, three: Path) -> None:
        card = three / "decision" / "models" / "model.json"
        normalisation = json.loads(card.read_text())["normalisation"]
        normalisation["flair"]["upper"] = 95.0
        change(card, normalisation=normalisation)
        with pytest.raises(ModelError, match="trained alike"):
            load_models(three, preset="fast")


def test_unknown_preset(tiny_bundles: Path) -> None:
    with pytest.raises(UsageError) as error:
        load_models(tiny_bundles).preset("slow")
    assert_one_line(error.value, "slow", "balanced, cycle, fast, full")
    with pytest.raises(UsageError, match="slow"):
        load_models(tiny_bundles, preset="slow")


class TestShippedWeights:
    def test_weights_load_where_they_are(self, project: Path) -> None:
        for name in (FORWARD, BACKWARD):
            for weights in list_weights(project / "bundles" / name):
                network = weights.load_network()
                assert network.settings == weights.card["network"]

    @pytest.mark.parametrize("name", [FORWARD, BACKWARD])
    def test_metadata(self, project: Path, name: str) -> None:
        content = json.loads((project / "bundles" / name / "configs" / "metadata.json").read_text())
        assert content["version"] in content["changelog"]
