"""mmccd.training.decision.load: f and g of the bundles, or one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.bundle.bundles import assert_one_line, change
from tests.conftest import change_preset
from tests.training.slices import healthy_slices

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.bundle.weights import file_sha256
from mmccd.core import MmccdError, ModelError, UsageError
from mmccd.imaging import Draws, Normalisation
from mmccd.training.decision.load import load_cycle, preset_cycle


class TestLoadCycle:
    def test_f_and_g(self, shared_bundles: Path) -> None:
        cycle = load_cycle(shared_bundles, "flair", "t2", 0.25, "cpu", "fp32")
        assert (cycle.veil_sd, cycle.precision) == (0.25, "fp32")
        assert cycle.hashes == {
            name: file_sha256(shared_bundles / folder / "models" / "model.pt")
            for name, folder in (("forward", FORWARD), ("backward", BACKWARD))
        }
        for network in (cycle.forward, cycle.backward):
            assert not network.training
            assert not any(parameter.requires_grad for parameter in network.parameters())

    def test_it_runs(self, shared_bundles: Path) -> None:
        image, brain = healthy_slices(2)
        found = load_cycle(shared_bundles, "flair", "t2", precision="fp32")(image, brain, Draws(0))
        assert found.reconstructed.shape == image.shape
        assert float(found.signed[brain].std()) > 0

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError) as error:
            load_cycle(tmp_path, "flair", "t2")
        assert_one_line(error.value, tmp_path / FORWARD, "no such bundle")

    @pytest.mark.parametrize(("source", "target"), [("flair", "t1"), ("t1", "t2")])
    def test_no_such_pair(self, shared_bundles: Path, source: str, target: str) -> None:
        with pytest.raises(ModelError) as error:
            load_cycle(shared_bundles, source, target)
        assert_one_line(error.value, f"no weights from {source} to {target}")

    def test_a_damaged_file(self, tiny_bundles: Path) -> None:
        path = tiny_bundles / BACKWARD / "models" / "model.pt"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ModelError) as error:
            load_cycle(tiny_bundles, "flair", "t2")
        assert_one_line(error.value, path, "damaged")

    def test_another_normalisation(self, tiny_bundles: Path) -> None:
        """Anomalies are painted on slices of the ``paper`` normalisation."""
        code = {
            name: Normalisation.for_modality(name, "code").as_dict() for name in ("flair", "t2")
        }
        for name in (FORWARD, BACKWARD):
            change(tiny_bundles / name / "models" / "model.json", normalisation=code)
        with pytest.raises(ModelError) as error:
            load_cycle(tiny_bundles, "flair", "t2")
        assert_one_line(error.value, tiny_bundles / FORWARD, "anomalies are painted")
        assert error.value.code == "weights.inconsistent"

    def test_no_such_precision(self, shared_bundles: Path) -> None:
        with pytest.raises(UsageError, match="fp64"):
            load_cycle(shared_bundles, "flair", "t2", precision="fp64")


class TestPresetCycle:
    def test_the_settings_of_the_preset(self, tiny_bundles: Path) -> None:
        change_preset(tiny_bundles, "fast", settings={"hiding": "veil", "draws": 3})
        words = {"seed": 7, "batch_size": 5, "precision": "fp32"}
        found = preset_cycle(tiny_bundles, "flair", "t2", "fast", **words)  # type: ignore[arg-type]
        assert (found.inferer.settings.hiding, found.inferer.settings.draws) == ("veil", 3)
        assert (found.inferer.seed, found.inferer.batch_size) == (7, 5)
        assert found.device == torch.device("cpu")

    @pytest.mark.parametrize(
        ("target", "preset", "kind", "said"),
        [
            ("t1", "fast", ModelError, "no weights from flair to t1"),
            ("t2", "quick", UsageError, "--preset quick"),
        ],
    )
    def test_what_is_not_there(
        self, shared_bundles: Path, target: str, preset: str, kind: type[MmccdError], said: str
    ) -> None:
        with pytest.raises(kind) as error:
            preset_cycle(shared_bundles, "flair", target, preset)
        assert_one_line(error.value, said)


def test_cards_hold_the_hashes_as_json(shared_bundles: Path) -> None:
    cycle = load_cycle(shared_bundles, "flair", "t2")
    assert set(json.loads(json.dumps(dict(cycle.hashes)))) == {"forward", "backward"}
