"""mmccd.methods.mmccd.parallel: several devices give the map of one."""

from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.core.errors import CancelledError
from mmccd.core.score_maps import ScoreMaps
from mmccd.methods.base import Slices
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.method import CycleScorer
from mmccd.methods.mmccd.parallel import ParallelScorer
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler

CPU = torch.device("cpu")
SETTINGS = CycleSettings(steps=2, stride=16, rounds=2, sign="brighter")


BOTH = replace(SETTINGS, steps=1, hiding="both", veil_sd=0.5, draws=2, level=True)


def scorer(
    networks: dict[str, TranslationUNet],
    forward: nn.Module | None = None,
    settings: CycleSettings = SETTINGS,
) -> CycleScorer:
    """The cycle on one device, with tiny networks."""
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), settings, batch_size=5)
    return CycleScorer(inferer, forward or networks[FORWARD], networks[BACKWARD], CPU)


@pytest.fixture
def image() -> Tensor:
    """Seven slices."""
    return torch.randn(7, 1, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def brain() -> Tensor:
    """A square in slices 1 to 5; 1 and 2 have less of it."""
    mask = torch.zeros(7, 1, 48, 48, dtype=torch.bool)
    mask[1:6, :, 8:40, 8:40] = True
    mask[1:3, :, 20:] = False
    return mask


@pytest.fixture
def slices(image: Tensor, brain: Tensor) -> Slices:
    """Both, 5 mm apart."""
    return Slices(image, brain, 5.0)


def assert_same(first: ScoreMaps, second: ScoreMaps) -> None:
    """Equal to 1e-5 of each map's maximum, NaN in the same places."""
    for field in fields(ScoreMaps):
        one, other = getattr(first, field.name), getattr(second, field.name)
        scale = float(other.nan_to_num().abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * scale, equal_nan=True)


@pytest.mark.parametrize("devices", [1, 2, 3, 9])
def test_several_devices_give_the_map_of_one(
    devices: int, slices: Slices, tiny_networks: dict[str, TranslationUNet]
) -> None:
    expected = scorer(tiny_networks).score(slices)
    found = ParallelScorer(tuple(scorer(tiny_networks) for _ in range(devices))).score(slices)
    assert bool(expected.anomaly.nan_to_num().flatten(1).any(1)[1:6].all())
    assert_same(found, expected)


@pytest.mark.parametrize("settings", [BOTH, replace(BOTH, hiding="veil")])
def test_a_veil_on_several_devices(
    settings: CycleSettings, slices: Slices, tiny_networks: dict[str, TranslationUNet]
) -> None:
    calls: list[tuple[int, int]] = []
    expected = scorer(tiny_networks, settings=settings).score(slices)
    several = ParallelScorer(tuple(scorer(tiny_networks, settings=settings) for _ in range(3)))
    assert_same(several.score(slices, lambda *call: calls.append(call)), expected)
    total = scorer(tiny_networks, settings=settings).count(slices.brain)
    assert calls[-1] == (total, total)


def test_the_same_map_every_time(slices: Slices, tiny_networks: dict[str, TranslationUNet]) -> None:
    first, second = (
        ParallelScorer((scorer(tiny_networks), scorer(tiny_networks))).score(slices)
        for _ in range(2)
    )
    for field in fields(ScoreMaps):
        assert torch.equal(
            getattr(first, field.name).nan_to_num(), getattr(second, field.name).nan_to_num()
        )


def test_work_is_shared_between_threads(
    slices: Slices, tiny_networks: dict[str, TranslationUNet]
) -> None:
    brain = slices.brain
    passes: dict[int, int] = {}

    class Counting(nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
            passes[threading.get_ident()] = passes.get(threading.get_ident(), 0) + len(x)
            result: Tensor = tiny_networks[FORWARD](x, timesteps)
            return result

    brain[1:3] = False
    brain[2] = brain[3]  # four equal slices
    ParallelScorer((scorer(tiny_networks, Counting()), scorer(tiny_networks, Counting()))).score(
        slices
    )
    assert len(passes) == 2
    assert max(passes.values()) <= 2 * min(passes.values()), (
        "equal but for slices that a second round skips"
    )


def test_no_brain_at_all(
    image: Tensor, brain: Tensor, tiny_networks: dict[str, TranslationUNet]
) -> None:
    found = ParallelScorer((scorer(tiny_networks), scorer(tiny_networks))).score(
        Slices(image, torch.zeros_like(brain), 5.0)
    )
    assert bool(found.anomaly.isnan().all())
    assert not found.coverage.any()


def test_progress_is_that_of_the_whole(
    slices: Slices, tiny_networks: dict[str, TranslationUNet]
) -> None:
    alone: list[tuple[int, int]] = []
    shared: list[tuple[int, int]] = []
    scorer(tiny_networks).score(slices, lambda done, total: alone.append((done, total)))
    ParallelScorer((scorer(tiny_networks), scorer(tiny_networks))).score(
        slices, lambda done, total: shared.append((done, total))
    )
    assert {total for _, total in shared} == {total for _, total in alone}
    done = [value for value, _ in shared]
    assert done == sorted(done)
    assert shared[-1] == alone[-1]
    assert done[-1] == shared[-1][1]


def test_cancelled(slices: Slices, tiny_networks: dict[str, TranslationUNet]) -> None:
    with pytest.raises(CancelledError):
        ParallelScorer((scorer(tiny_networks), scorer(tiny_networks))).score(
            slices, cancelled=lambda: True
        )


def test_an_error_on_one_device_ends_the_others(
    slices: Slices, tiny_networks: dict[str, TranslationUNet]
) -> None:
    brain = slices.brain
    broken = threading.Event()
    batches: list[int] = []

    class Broken(nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
            broken.set()
            raise RuntimeError("CUDA out of memory")

    class Waiting(nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
            broken.wait(10)
            threading.Event().wait(0.05)
            batches.append(len(x))
            return x[:, :1]

    with pytest.raises(RuntimeError, match="out of memory"):
        ParallelScorer((scorer(tiny_networks, Broken()), scorer(tiny_networks, Waiting()))).score(
            slices
        )
    assert sum(batches) < 2 * scorer(tiny_networks).count(brain) / 4, (
        "the other device stopped long before its end"
    )


def test_refuses_no_scorer() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ParallelScorer(())
