"""mmccd.methods.mmccd.settings: the two readings, and ancestral sampling."""

from __future__ import annotations

import pytest

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
