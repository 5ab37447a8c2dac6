"""mmccd.methods.mmccd.settings: the two readings, and ancestral sampling."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from tests.conftest import PROJECT

from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models.schedule import MaskedDiffusionScheduler


def test_timesteps_of_the_public_code() -> None:
    found = CycleSettings("code", steps=100).sampling(MaskedDiffusionScheduler())
    assert found.timesteps.tolist() == list(range(990, -1, -10))
    assert found.eta == 0


@pytest.mark.parametrize("steps", [1, 99, 1000])
def test_the_public_code_knows_one_number_of_steps(steps: int) -> None:
    with pytest.raises(ValueError, match="100 steps only"):
        CycleSettings("code", steps=steps).sampling(MaskedDiffusionScheduler())


def test_ancestral_sampling_adds_the_posterior_noise_of_every_step() -> None:
    scheduler = MaskedDiffusionScheduler()
    found = CycleSettings(steps=1000, sampler="ancestral").sampling(scheduler)
    assert found.timesteps.tolist() == list(range(999, -1, -1))
    assert (found.eta, scheduler.eta) == (1.0, 0.0)


def test_sides() -> None:
    assert CycleSettings(sign="darker", other_side=0.5).sides.weights == (0.5, 1.0)


HIDDEN = {"hiding": "veil", "veil_sd": 0.5, "draws": 3, "level": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hiding": "blinds"}, "hiding must be one of strips, veil, both, got 'blinds'"),
        ({"veil_sd": -0.1}, "veil_sd must be 0 to 1.5, got -0.1"),
        ({"veil_sd": 1.6}, "veil_sd"),
        ({"veil_sd": math.nan}, "veil_sd"),
        ({"draws": 0}, "draws must be a whole number, 1 or more, got 0"),
        ({"draws": 2.5}, "draws"),
        ({"draws": True}, "draws"),
        ({"level": 1}, "level must be true or false, got 1"),
        ({"level": "yes"}, "level"),
    ],
)
def test_refuses_what_cannot_be_hidden(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CycleSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"veil_sd": 0.0}, {"veil_sd": 1.5}, {"draws": 1000}])
def test_takes_the_ends_of_the_ranges(settings: dict[str, float]) -> None:
    assert CycleSettings(hiding="veil", **settings).has_veil  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hiding", "strips", "veil"),
    [("strips", True, False), ("veil", False, True), ("both", True, True)],
)
def test_what_is_hidden(hiding: str, strips: bool, veil: bool) -> None:
    settings = CycleSettings(hiding=hiding)
    assert (settings.has_strips, settings.has_veil) == (strips, veil)


def test_defaults_leave_no_trace_in_keys() -> None:
    """A calibration that was stored before these settings were there stays valid."""
    assert CycleSettings().as_dict() == {
        "reading": "paper",
        "steps": 100,
        "stride": 2,
        "width": 16,
        "orientations": ["horizontal", "vertical"],
        "sampler": "ddim",
        "sign": "both",
        "rounds": 1,
        "suspicious_sd": 1.0,
        "other_side": 0.0,
    }
    for name, value in HIDDEN.items():
        changed = replace(CycleSettings(), **{name: value})  # type: ignore[arg-type]
        assert changed.as_dict() == {**CycleSettings().as_dict(), name: value}


@pytest.mark.parametrize("names", [(), ("hiding",), tuple(HIDDEN)])
def test_as_dict_is_what_the_constructor_takes(names: tuple[str, ...]) -> None:
    settings = replace(CycleSettings(steps=2), **{name: HIDDEN[name] for name in names})  # type: ignore[arg-type]
    assert CycleSettings(**json.loads(json.dumps(settings.as_dict()))) == settings


def test_keys_of_the_calibrations_that_ship_are_those_of_their_settings() -> None:
    files = sorted(PROJECT.glob("bundles/forward_masked_diffusion/calibrations/*.json"))
    assert files
    for path in files:
        for entry in json.loads(path.read_text()):
            stored = entry["key"]["settings"]["cycle"]
            if "hiding" not in stored:
                assert CycleSettings(**stored).as_dict() == stored
