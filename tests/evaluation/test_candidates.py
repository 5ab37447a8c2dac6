"""mmccd.evaluation.candidates: names, settings, grids, and keys that change with whatever changes
the maps.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmccd.bundle import Calibration, load_models, store_calibration
from mmccd.core.errors import ModelError, UsageError
from mmccd.evaluation.candidates import (
    Setup,
    expand_grid,
    make_candidates,
    read_name,
    resolve_target,
)
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods.base import Slices
from mmccd.methods.registry import find_method, method_names

VEILED = (
    "mmccd:hiding=both:draws=2:veil_sd=0.5:level=true",
    "masked_translation:hiding=veil:veil_sd=0.5",
)


@pytest.mark.parametrize("name", [*method_names(), *VEILED])
def test_every_method_scores(setup: Setup, name: str) -> None:
    (one,) = make_candidates([name], setup)
    assert one.title.startswith(find_method(name.split(":")[0]).title)
    assert json.loads(json.dumps(one.key)) == one.key
    image = torch.randn(3, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    brain = torch.zeros_like(image, dtype=torch.bool)
    brain[1:, :, 40:60, 40:60] = True
    result = one.build().score(Slices(image, brain, 5.0))
    assert result.anomaly.shape == image.shape
    assert result.anomaly[brain].isfinite().all()
    assert result.anomaly[brain].std() > 0
    reconstructs = name not in ("intensity", "histogram", "rule")
    assert bool(result.reconstructed[brain].isfinite().all()) is reconstructs


def test_plain_scores_have_a_second_side_on_other_contrasts(setup: Setup) -> None:
    names = ["intensity", "histogram", "ae"]
    assert [one.polarities("error") for one in make_candidates(names, setup)] == [(1,)] * 3
    other = make_candidates(["intensity"], replace(setup, source="t2", target="flair"))[0]
    assert other.polarities("slice_sd") == other.polarities("error") == (1, -1)
    assert other.normalisation == Normalisation("range", 2.0, 90.0)


def test_the_cycles_sign_counts_in_a_robust_z_score(setup: Setup) -> None:
    """As ``predict`` counts it; validation data choose nothing there."""
    names = ["ae", "mmccd:sign=both", "mmccd:sign=brighter:other_side=0.5", "constant"]
    made = make_candidates(names, setup)
    assert [one.polarities("slice_sd") for one in made] == [(1,)] * 4
    assert [one.sides.sign for one in made] == ["brighter", "both", "brighter", "both"]
    assert [one.sides.other_side for one in made[2:]] == [0.5, 0.0]


def test_thresholds_of_their_own(tiny_bundles: Path, setup: Setup) -> None:
    """The rule's, and the calibrated one of a cycle as the preset runs it."""
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    store_calibration("fast", Calibration(key, 0.625, {}), tiny_bundles)
    names = ["rule", "intensity", "mmccd:precision=fp32", "mmccd:precision=fp32:steps=3"]
    made = make_candidates(names, replace(setup, bundles=tiny_bundles))
    assert [one.threshold for one in made] == [1.2, None, 0.625, None]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mmccd", {"seed": 1}),
        ("ddpm", {"seed": 1}),
        ("masked_translation", {"seed": 1}),
    ],
)
def test_key_follows_the_setup(setup: Setup, name: str, change: dict[str, object]) -> None:
    assert make_candidates([name], setup)[0].key == make_candidates([name], setup)[0].key
    assert (
        make_candidates([name], setup)[0].key
        != make_candidates([name], replace(setup, **change))[0].key
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mmccd:steps=2", "steps"),
        ("mmccd:stride=8", "stride"),
        ("mmccd:sign=brighter:other_side=0.5", "other_side"),
        ("mmccd:hiding=veil:draws=3:veil_sd=0.5", "veil_sd"),
        ("mmccd:level=false", "level"),
        ("masked_translation:hiding=strips", "hiding"),
        ("ddpm:level=100:steps=4", "level"),
    ],
)
def test_key_follows_the_settings(setup: Setup, name: str, key: str) -> None:
    plain, changed = make_candidates([name.split(":")[0], name], setup)
    assert plain.key != changed.key
    assert key in changed.title


def test_settings_reach_the_cycle(setup: Setup) -> None:
    (one,) = make_candidates(["mmccd:steps=3:stride=8"], setup)
    inferer = one.build().inferer  # type: ignore[attr-defined]
    assert (
        inferer.settings.steps,
        inferer.settings.stride,
        len(inferer.settings.masks((128, 128))),
    ) == (3, 8, 30)


def test_what_is_hidden_reaches_the_cycle(setup: Setup) -> None:
    name = "mmccd:hiding=veil:draws=3:veil_sd=0.5:level=true"
    assert read_name(name) == (
        "mmccd",
        {"hiding": "veil", "draws": 3, "veil_sd": 0.5, "level": True},
    )
    strips = "mmccd:hiding=strips:draws=1:veil_sd=0:level=false"
    plain, one = make_candidates([strips, name], setup)
    cycle = one.build().inferer.settings  # type: ignore[attr-defined]
    assert (cycle.hiding, cycle.draws, cycle.veil_sd, cycle.level) == ("veil", 3, 0.5, True)
    assert "hiding" not in plain.key["cycle"], "maps that were made of strips stay valid"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_reaches_the_cycle(setup: Setup, precision: str) -> None:
    (one,) = make_candidates([f"mmccd:precision={precision}"], setup)
    assert one.key["precision"] == precision
    assert one.build().inferer.precision == precision  # type: ignore[attr-defined]


def test_key_follows_the_weights(setup: Setup, tmp_path: Path) -> None:
    before = make_candidates(["dae"], setup)[0].key
    folder = tmp_path / "dae" / "flair"
    folder.mkdir(parents=True)
    for name in ("best.pt", "training.json"):
        (folder / name).write_bytes((setup.runs / "dae" / "flair" / name).read_bytes())
    content = torch.load(folder / "best.pt", weights_only=True)
    torch.save(content | {"value": 0.25}, folder / "best.pt")
    assert make_candidates(["dae"], replace(setup, runs=tmp_path))[0].key != before


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["cnn"], "'cnn'"),
        (["mmccd:speed=3"], "speed"),
        (["ae:steps=3"], "steps"),
        (["mmccd:steps=few"], "few"),
        (["mmccd:steps"], "steps"),
        (["mmccd:hiding=strips:stride=17"], "stride"),
        (["mmccd:precision=fp16"], "fp16"),
        (["mmccd:hiding=blinds"], "hiding must be one of strips, veil, both"),
        (["mmccd:veil_sd=2"], "veil_sd must be 0 to 1.5"),
        (["mmccd:draws=1.5"], "draws='1.5' of mmccd is not a number"),
        (["mmccd:level=1"], "level='1' of mmccd is not true or false"),
        (["mmccd", "mmccd"], "twice"),
        (["ddpm:level=2000"], "levels"),
    ],
)
def test_refused(setup: Setup, names: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        make_candidates(names, setup)


def test_missing_weights(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--runs"):
        make_candidates(["vae"], replace(setup, runs=tmp_path))
    with pytest.raises(ModelError, match="flair to t1"):
        make_candidates(["mmccd"], replace(setup, target="t1"))
    with pytest.raises(UsageError, match="--target"):
        make_candidates(["cyclic_unet"], replace(setup, target=None))


def test_pair_of_other_normalisations(setup: Setup, tmp_path: Path) -> None:
    folder = tmp_path / "translator" / "flair_t2"
    folder.mkdir(parents=True)
    (folder / "best.pt").write_bytes(
        (setup.runs / "translator" / "flair_t2" / "best.pt").read_bytes()
    )
    record = json.loads((setup.runs / "translator" / "flair_t2" / "training.json").read_text())
    record["normalisation"]["t2"]["kind"] = "code"
    (folder / "training.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="t2 normalised in another way"):
        make_candidates(["cyclic_unet"], replace(setup, runs=tmp_path))


def test_target(setup: Setup) -> None:
    assert resolve_target(setup.bundles, "flair", None) == "t2"
    assert resolve_target(setup.bundles, "flair", "t1") == "t1"
    assert resolve_target(setup.bundles, "t1", None) is None


class TestGrid:
    def test_all_combinations(self) -> None:
        assert expand_grid("mmccd", "steps=1,2 stride=16,8") == [
            "mmccd:steps=1:stride=16",
            "mmccd:steps=1:stride=8",
            "mmccd:steps=2:stride=16",
            "mmccd:steps=2:stride=8",
        ]
        assert read_name("mmccd:steps=2:stride=8") == ("mmccd", {"steps": 2, "stride": 8})

    @pytest.mark.parametrize("grid", ["", "steps", "steps=", "steps=1,,2"])
    def test_refused(self, grid: str) -> None:
        with pytest.raises(UsageError, match="--grid"):
            expand_grid("mmccd", grid)
