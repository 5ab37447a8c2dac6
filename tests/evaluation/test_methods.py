"""mmccd.evaluation.methods: names, settings, grids, and keys that change with whatever changes the
maps.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmccd.core.errors import ModelError, UsageError
from mmccd.evaluation.methods import (
    TITLES,
    Setup,
    _sides,
    expand_grid,
    make_methods,
    read_name,
    resolve_target,
)
from mmccd.imaging.normalisation import Normalisation


@pytest.mark.parametrize("name", list(TITLES))
def test_every_method_scores(setup: Setup, name: str) -> None:
    (method,) = make_methods([name], setup)
    assert method.title == TITLES[name]
    assert json.loads(json.dumps(method.key)) == method.key
    image = torch.randn(3, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    brain = torch.zeros_like(image, dtype=torch.bool)
    brain[1:, :, 40:60, 40:60] = True
    result = method.build().score(image, brain)
    assert result.anomaly.shape == image.shape
    assert result.anomaly[brain].isfinite().all()
    assert result.anomaly[brain].std() > 0
    imagines = name not in ("intensity", "histogram")
    assert bool(result.returned[brain].isfinite().all()) is imagines


def test_thresholds_have_a_second_side_on_other_contrasts(setup: Setup) -> None:
    assert [
        method.polarities for method in make_methods(["intensity", "histogram", "ae"], setup)
    ] == [(1,), (1,), (1,)]
    other = replace(setup, source="t2", target="flair")
    assert [method.polarities for method in make_methods(["intensity", "histogram"], other)] == [
        (1, -1),
        (1, -1),
    ]
    assert make_methods(["intensity"], other)[0].normalisation == Normalisation("range", 2.0, 90.0)


def test_the_side_that_counts_in_slice_sd(setup: Setup) -> None:
    """The sign of the cycle names it; an absolute error leaves it to validation data where lesions
    may be dark.
    """
    names = ["intensity", "ae", "mmccd:sign=both", "mmccd:sign=brighter", "mmccd:sign=darker"]
    assert [method.choices("slice_sd") for method in make_methods(names, setup)] == [
        (1,),
        (1,),
        (1,),
        (1,),
        (-1,),
    ]
    (other,) = make_methods(["intensity"], replace(setup, source="t2", target="flair"))
    assert other.choices("slice_sd") == other.choices("error") == (1, -1)
    assert _sides("both", "t1") == (1, -1)
    assert _sides("darker", "t1") == (-1,)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mmccd", {"seed": 1}),
        ("ddpm", {"seed": 1}),
        ("masked_translation", {"seed": 1}),
    ],
)
def test_key_follows_the_setup(setup: Setup, name: str, change: dict[str, object]) -> None:
    assert make_methods([name], setup)[0].key == make_methods([name], setup)[0].key
    assert (
        make_methods([name], setup)[0].key != make_methods([name], replace(setup, **change))[0].key
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mmccd:steps=2", "steps"),
        ("mmccd:stride=8", "stride"),
        ("mmccd:sign=brighter:other_side=0.5", "other_side"),
        ("ddpm:level=100:steps=4", "level"),
    ],
)
def test_key_follows_the_settings(setup: Setup, name: str, key: str) -> None:
    plain, changed = make_methods([name.split(":")[0], name], setup)
    assert plain.key != changed.key
    assert key in changed.title


def test_settings_reach_the_cycle(setup: Setup) -> None:
    (method,) = make_methods(["mmccd:steps=3:stride=8"], setup)
    inferer = method.build().inferer  # type: ignore[attr-defined]
    assert (
        inferer.settings.steps,
        inferer.settings.stride,
        len(inferer.settings.masks((128, 128))),
    ) == (3, 8, 30)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_reaches_the_cycle(setup: Setup, precision: str) -> None:
    (method,) = make_methods([f"mmccd:precision={precision}"], setup)
    assert method.key["precision"] == precision
    assert method.build().inferer.precision == precision  # type: ignore[attr-defined]


def test_key_follows_the_weights(setup: Setup, tmp_path: Path) -> None:
    before = make_methods(["dae"], setup)[0].key
    folder = tmp_path / "dae" / "flair"
    folder.mkdir(parents=True)
    for name in ("best.pt", "training.json"):
        (folder / name).write_bytes((setup.runs / "dae" / "flair" / name).read_bytes())
    content = torch.load(folder / "best.pt", weights_only=True)
    torch.save(content | {"value": 0.25}, folder / "best.pt")
    assert make_methods(["dae"], replace(setup, runs=tmp_path))[0].key != before


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["cnn"], "'cnn'"),
        (["mmccd:speed=3"], "speed"),
        (["ae:steps=3"], "steps"),
        (["mmccd:steps=few"], "few"),
        (["mmccd:steps"], "steps"),
        (["mmccd:stride=17"], "stride"),
        (["mmccd:precision=fp16"], "fp16"),
        (["mmccd", "mmccd"], "twice"),
        (["ddpm:level=2000"], "levels"),
    ],
)
def test_refused(setup: Setup, names: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        make_methods(names, setup)


def test_missing_weights(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--runs"):
        make_methods(["vae"], replace(setup, runs=tmp_path))
    with pytest.raises(ModelError, match="flair to t1"):
        make_methods(["mmccd"], replace(setup, target="t1"))
    with pytest.raises(UsageError, match="--target"):
        make_methods(["cyclic_unet"], replace(setup, target=None))


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
        make_methods(["cyclic_unet"], replace(setup, runs=tmp_path))


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
