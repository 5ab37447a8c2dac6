"""mmccd.methods.mmccd.hiding in the cycle: strips as ever to the bit, the veil against a slow loop,
both as half and half.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.methods.mmccd.cycles import (
    CODE,
    NAMES,
    QUICK,
    SEED,
    SIZE,
    SLICES,
    Backward,
    Forward,
    Small,
    assert_close,
    inferer,
    scheduler,
    slow_cycle,
    slow_masks,
    slow_timesteps,
)
from torch import Tensor

from mmccd.core.errors import CancelledError
from mmccd.core.score_maps import ScoreMaps
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.level import levelled
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.mmccd.suspicion import suspicious_region
from mmccd.models.noise import (
    ANCESTRAL,
    CONDITION,
    FIRST_DRAW,
    INITIAL,
    NO_MASK,
    normal_noise,
)
from mmccd.models.schedule import masked_condition

VEIL = replace(QUICK, hiding="veil", veil_sd=0.7, draws=3)
BOTH = replace(VEIL, hiding="both")
Networks = tuple[Forward, Backward]
HALF: tuple[Any, Any] = (lambda x, t: 0.3 * x[:, :1] + 0.4 * x[:, 1:], lambda y: 0.7 * y)
"""Linear maps in the place of f and g."""


def noise(number: int, index: int, step: int, stream: int, size: int = SIZE) -> Tensor:
    """Of one image."""
    return normal_noise(
        SEED, torch.tensor([number]), torch.tensor([index]), step, stream, (size, size)
    )


def steps_down(settings: CycleSettings, y: Tensor, f: Forward, condition: list[Tensor]) -> Tensor:
    """DDIM with eta 0 in float64 but for the network."""
    abar = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)
    timesteps = slow_timesteps(settings)
    y = y.double()
    for i, t in enumerate(timesteps):
        seen = condition[i if len(condition) > 1 else 0]
        y_0 = f(torch.cat([y.float(), seen], 1), torch.tensor([t])).double()
        implied = (y - abar[t].sqrt() * y_0) / (1 - abar[t]).sqrt()
        before = abar[timesteps[i + 1]] if i + 1 < len(timesteps) else torch.tensor(1.0)
        y = before.sqrt() * y_0 + (1 - before).sqrt() * implied
    return y.float()


@torch.no_grad()
def slow_veil(settings: CycleSettings, images: Tensor, networks: Networks) -> dict[str, Tensor]:
    """One slice and draw at a time."""
    f, g = networks
    translated, reconstructed = torch.zeros_like(images), torch.zeros_like(images)
    size = images.shape[-1]
    draws = range(settings.reading == "code" and settings.steps or 1)
    for number in range(len(images)):
        x = images[number : number + 1]
        for draw in range(settings.draws):
            index = 2**31 + draw
            seen = [x + settings.veil_sd * noise(number, index, k, CONDITION, size) for k in draws]
            y = steps_down(settings, noise(number, index, 0, INITIAL, size), f, seen)
            translated[number] += y[0] / settings.draws
            reconstructed[number] += g(y)[0] / settings.draws
    signed = images - reconstructed
    bright, dark = signed.clamp(min=0), -signed.clamp(max=0)
    other = settings.other_side
    error = {
        "both": bright + dark,
        "brighter": bright + other * dark,
        "darker": dark + other * bright,
    }[settings.sign]
    anomaly = error.square() if settings.reading == "code" else error
    coverage = torch.full_like(images, settings.draws)
    return dict(zip(NAMES, (anomaly, signed, translated, reconstructed, coverage), strict=True))


@torch.no_grad()
def plain_strips(settings: CycleSettings, images: Tensor, networks: Networks) -> Tensor:
    """Alg. 2 in float32, one strip at a time, in the order of the operations of old: the maps of
    the first version to the bit; ``(slices, 4, height, width)``.
    """
    f, g = networks
    sampling = settings.sampling(scheduler())
    masks = slow_masks(settings.reading, settings.width, settings.stride)
    sums, covered = torch.zeros(len(images), 4, SIZE, SIZE), torch.zeros(SIZE, SIZE)
    for number in range(len(images)):
        x = images[number : number + 1]
        for index, strip in enumerate(masks):
            mask = torch.from_numpy(strip.copy())
            y = noise(number, NO_MASK, 0, INITIAL)
            for step, t in enumerate(sampling.timesteps.tolist()):
                if step == 0 or settings.reading == "code":
                    seen = masked_condition(x, mask, noise(number, index, step, CONDITION))
                added = noise(number, index, step, ANCESTRAL) if sampling.eta > 0 else None
                predicted = f(torch.cat([y, seen], 1), torch.tensor([t]))
                y, _ = sampling.step(predicted, t, y, noise=added)
            returned = g(y)
            signed = x - returned
            error = torch.linalg.vector_norm(signed, dim=1, keepdim=True)
            error = error.square() if settings.reading == "code" else error
            sums[number] += (torch.cat([error, signed, y, returned], 1) * mask)[0]
            covered += mask if number == 0 else 0
    return sums / covered


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        pytest.param(QUICK, SLICES, id="paper"),
        pytest.param(CODE, 1, id="code"),
        pytest.param(
            replace(QUICK, steps=1000, stride=16, width=16, sampler="ancestral"), 1, id="ancestral"
        ),
        pytest.param(replace(QUICK, veil_sd=0.5, draws=4), 1, id="a veil's settings"),
    ],
)
def test_strips_are_as_ever_to_the_bit(
    settings: CycleSettings, count: int, images: Tensor, networks: Networks
) -> None:
    # A thousand steps with networks would take a minute, and say no more of order and noise.
    f, g = HALF if settings.sampler == "ancestral" else networks
    result = inferer(settings, batch_size=1)(images[:count], f, g)
    expected = plain_strips(settings, images[:count], (f, g))
    for number, name in enumerate(NAMES[:4]):
        assert torch.equal(getattr(result, name), expected[:, number : number + 1]), name


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        pytest.param(VEIL, SLICES, id="three draws"),
        pytest.param(replace(VEIL, steps=1, draws=1), SLICES, id="one step, one draw"),
        pytest.param(replace(VEIL, veil_sd=0.0, draws=2), SLICES, id="clear sight"),
        pytest.param(replace(VEIL, sign="brighter", other_side=0.25), SLICES, id="brighter"),
        pytest.param(replace(VEIL, sign="darker"), SLICES, id="darker"),
        pytest.param(replace(CODE, hiding="veil", veil_sd=1.0, draws=2), 1, id="code"),
    ],
)
def test_veil_equals_a_slow_loop(
    settings: CycleSettings, count: int, images: Tensor, networks: Networks
) -> None:
    result = inferer(settings, batch_size=4)(images[:count], *networks)
    expected = slow_veil(settings, images[:count], networks)
    for name in NAMES:
        actual = getattr(result, name)
        assert actual.shape == (count, 1, SIZE, SIZE)
        assert actual.dtype == torch.float32
        assert_close(actual, expected[name])


def test_ancestral_sampling_behind_a_veil_has_noise_of_each_draw(images: Tensor) -> None:
    settings = CycleSettings(steps=1000, sampler="ancestral", hiding="veil", draws=2)
    one, two = (
        inferer(replace(settings, draws=draws))(
            images[:1], lambda x, t: x[:, :1] * 0.5, lambda y: y
        )
        for draws in (1, 2)
    )
    assert bool(one.reconstructed.isfinite().all())
    assert not torch.equal(one.reconstructed, two.reconstructed)


def test_the_error_is_that_of_the_mean_and_not_the_mean_of_the_errors(images: Tensor) -> None:
    """Where draws err to either side, their mean does not."""
    settings = replace(VEIL, steps=1, draws=50, veil_sd=1.5)
    result = inferer(settings)(images, lambda x, t: x[:, 1:], lambda y: y)
    # x' is x + 1.5 eps in each draw: |error| has a mean of 1.2, and that of 50 draws' mean is .17.
    assert float(result.anomaly.mean()) == pytest.approx(
        1.5 * math.sqrt(2 / math.pi / 50), rel=0.05
    )
    assert_close(result.anomaly, (images - result.reconstructed).abs())


def test_the_veil_has_the_spread_that_it_says_and_lies_on_everything(images: Tensor) -> None:
    seen: list[Tensor] = []

    def f(x: Tensor, timesteps: Tensor) -> Tensor:
        seen.append(x)
        return x[:, :1]

    brain = torch.zeros_like(images, dtype=torch.bool)
    brain[:, :, 10:20, 10:20] = True
    inferer(replace(VEIL, steps=1))(images, f, lambda y: y, brain)
    inputs = torch.cat(seen)
    assert len(inputs) == SLICES * 3
    veil = inputs[:, 1:] - images.repeat_interleave(3, 0)
    for part in (veil[brain.repeat_interleave(3, 0)], veil[~brain.repeat_interleave(3, 0)]):
        assert float(part.std()) == pytest.approx(0.7, rel=0.1)
    flat = torch.cat([veil, inputs[:, :1]]).flatten(1)
    assert float((torch.corrcoef(flat) - torch.eye(len(flat))).abs().max()) < 0.2


def test_clear_sight_draws_no_noise_but_the_start(images: Tensor) -> None:
    seen: list[Tensor] = []

    def f(x: Tensor, timesteps: Tensor) -> Tensor:
        seen.append(x)
        return x[:, :1]

    inferer(replace(VEIL, steps=1, veil_sd=0.0, draws=2))(images[:1], f, lambda y: y)
    (inputs,) = seen
    assert torch.equal(inputs[:, 1:], images[:1].expand(2, -1, -1, -1))
    assert not torch.allclose(inputs[0, 0], inputs[1, 0], atol=0.1)


def test_draws_share_no_noise_with_strips() -> None:
    """Nor with y_T, whatever the stream."""
    for stream in (INITIAL, CONDITION, ANCESTRAL):
        first = noise(0, FIRST_DRAW, 0, stream)
        for index in (0, 1, 113, 127, NO_MASK, FIRST_DRAW + 1):
            for other in (INITIAL, CONDITION, ANCESTRAL):
                assert not torch.isclose(first, noise(0, index, 0, other)).all()


@pytest.mark.parametrize("settings", [VEIL, BOTH, replace(BOTH, level=True)])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_networks_see_identical_noise_for_every_batch_size(
    settings: CycleSettings, batch_size: int, images: Tensor
) -> None:
    """With networks that work voxel by voxel nothing is left that could depend on the batch."""

    def f(x: Tensor, timesteps: Tensor) -> Tensor:
        return x[:, :1] * 0.5 + x[:, 1:] * (timesteps / 1000).view(-1, 1, 1, 1)

    result, reference = (
        inferer(settings, size)(images, f, lambda y: y * 0.25) for size in (batch_size, 3)
    )
    for name in NAMES:
        assert torch.equal(getattr(result, name), getattr(reference, name))


@pytest.mark.parametrize("settings", [VEIL, BOTH, replace(VEIL, level=True)])
def test_a_slice_alone_gives_its_map_in_the_whole(
    settings: CycleSettings, images: Tensor, networks: Networks
) -> None:
    whole = inferer(settings)(images, *networks)
    alone = inferer(settings)(images[2:], *networks, slices=[2])
    reversed_ = inferer(settings)(images.flip(0), *networks, slices=[2, 1, 0])
    for name in NAMES:
        assert_close(getattr(alone, name), getattr(whole, name)[2:])
        assert_close(getattr(reversed_, name).flip(0), getattr(whole, name))


def test_seed_and_slice_number(images: Tensor, networks: Networks) -> None:
    first, again, other = (
        inferer(VEIL, seed=seed)(images, *networks).anomaly for seed in (1, 1, 2)
    )
    elsewhere = inferer(VEIL, seed=1)(images, *networks, slices=[5, 6, 7]).anomaly
    assert torch.equal(first, again)
    for changed in (other, elsewhere):
        assert not torch.allclose(first, changed, atol=1e-3)


@pytest.mark.parametrize("level", [False, True])
def test_both_is_half_and_half(level: bool, images: Tensor, networks: Networks) -> None:
    strips, veil, both = (
        inferer(replace(BOTH, hiding=hiding, level=level))(images, *networks)
        for hiding in ("strips", "veil", "both")
    )
    for name in NAMES[:4]:
        assert_close(getattr(both, name), (getattr(strips, name) + getattr(veil, name)) / 2)
    assert torch.equal(both.coverage, strips.coverage + 3)


def test_both_has_the_veil_alone_where_no_strip_lies(
    images: Tensor, brain: Tensor, networks: Networks
) -> None:
    strips, veil, both = (
        inferer(replace(BOTH, hiding=hiding))(images, *networks, brain)
        for hiding in ("strips", "veil", "both")
    )
    bare = (strips.coverage == 0) & (veil.coverage > 0)
    assert bool(bare.any())
    assert not bool((bare & brain).any())
    for name in NAMES:
        assert torch.equal(getattr(both, name)[bare], getattr(veil, name)[bare])
    assert torch.equal(both.anomaly.isnan(), both.coverage == 0)


def test_coverage_counts_draws_where_a_slice_holds_brain(
    images: Tensor, brain: Tensor, networks: Networks
) -> None:
    f, g = networks
    result = inferer(VEIL)(images, f, g, brain)
    assert (g.images, f.images) == (2 * 3, 2 * 3 * 3), "two slices with brain, draws, steps"
    assert bool((result.coverage[:2] == 3).all())
    assert bool((result.coverage[2] == 0).all())
    for name in NAMES[:4]:
        assert torch.equal(getattr(result, name).isnan(), result.coverage == 0)
    whole = inferer(VEIL)(images, f, g)
    for name in NAMES:
        assert_close(getattr(result, name)[:2], getattr(whole, name)[:2])


def test_no_brain_at_all_runs_no_network(images: Tensor, networks: Networks) -> None:
    f, g = networks
    for settings in (VEIL, BOTH, replace(BOTH, level=True)):
        result = inferer(settings)(images, f, g, torch.zeros_like(images, dtype=torch.bool))
        assert bool(result.anomaly.isnan().all())
        assert not result.coverage.any()
    assert f.images == g.images == 0


class TestLevel:
    """x' brought to the slice's own level."""

    @pytest.mark.parametrize("hiding", ["strips", "veil"])
    def test_the_error_follows_from_the_levelled_difference(
        self, hiding: str, images: Tensor, brain: Tensor, networks: Networks
    ) -> None:
        settings = replace(VEIL, hiding=hiding, sign="brighter", other_side=0.25)
        plain, level = (
            inferer(replace(settings, level=level))(images, *networks, brain)
            for level in (False, True)
        )
        signed = levelled(plain.signed, brain)
        assert_close(level.signed, signed)
        assert_close(level.anomaly, signed.clamp(min=0) - 0.25 * signed.clamp(max=0))
        assert not torch.allclose(level.signed[brain], plain.signed[brain], atol=1e-3)
        for name in NAMES[2:]:
            assert torch.equal(getattr(level, name).nan_to_num(), getattr(plain, name).nan_to_num())

    def test_squared_in_the_public_codes_reading(self, images: Tensor, networks: Networks) -> None:
        settings = replace(CODE, hiding="veil", level=True)
        result = inferer(settings)(images[:1], *networks)
        assert_close(result.anomaly, result.signed.square())

    @pytest.mark.parametrize("hiding", ["strips", "veil", "both"])
    def test_another_gain_of_the_scanner_is_no_anomaly(self, hiding: str, images: Tensor) -> None:
        """g returns everything darker by .5, and leaves a small lesion out."""
        lesion = torch.zeros_like(images)
        lesion[:, :, 14:17, 14:17] = 2.0

        def f(x: Tensor, timesteps: Tensor) -> Tensor:
            return images[:1].expand(len(x), -1, -1, -1)

        settings = replace(QUICK, hiding=hiding, steps=1, level=True)
        result = inferer(settings)(images[:1] + lesion[:1], f, lambda y: y - 0.5)
        inside = lesion[:1] > 0
        assert float(result.anomaly[~inside].max()) < 0.1
        assert float(result.anomaly[inside].min()) > 1.9

    def test_rounds_hide_what_is_suspicious_at_that_level(
        self, images: Tensor, networks: Networks
    ) -> None:
        images[1, 0, 6:16, 4:18] += 3
        settings = replace(QUICK, level=True, rounds=2, suspicious_sd=2.0)
        everywhere = torch.ones_like(images, dtype=torch.bool)
        one = inferer(replace(settings, rounds=1))(images, *networks)
        region = suspicious_region(one.signed, everywhere, 2.0, "both")
        assert bool(region.any())
        expected = slow_cycle(QUICK, images, *networks, hidden=region)
        two = inferer(settings)(images, *networks)
        assert_close(two.signed, levelled(torch.tensor(expected["signed"]), everywhere))
        assert_close(two.anomaly, two.signed.abs())


def test_rounds_are_for_strips_alone(images: Tensor, networks: Networks) -> None:
    once, twice = (inferer(replace(VEIL, rounds=rounds))(images, *networks) for rounds in (1, 2))
    for name in NAMES:
        assert torch.equal(getattr(once, name), getattr(twice, name))
    assert networks[1].images == 2 * SLICES * 3


def calls_of(
    cycle: MaskedCycleInferer, images: Tensor, networks: Networks, brain: Tensor | None
) -> list[tuple[int, int]]:
    """What progress was told."""
    calls: list[tuple[int, int]] = []
    cycle(images, *networks, brain, progress=lambda done, total: calls.append((done, total)))
    return calls


@pytest.mark.parametrize(
    "settings", [VEIL, BOTH, replace(BOTH, rounds=2), replace(BOTH, rounds=3, suspicious_sd=1e6)]
)
def test_progress_grows_to_the_count(
    settings: CycleSettings, images: Tensor, brain: Tensor, networks: Networks
) -> None:
    cycle = inferer(settings, batch_size=5)
    calls = calls_of(cycle, images, networks, brain)
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {cycle.count(brain)}
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0]
    if settings.rounds == 1:
        assert totals[0] == networks[1].images


def test_progress_without_brain(images: Tensor, networks: Networks) -> None:
    nothing = torch.zeros_like(images, dtype=torch.bool)
    assert calls_of(inferer(BOTH), images, networks, nothing) == []


@pytest.mark.parametrize(("settings", "stop"), [(VEIL, 4), (BOTH, 44)])
def test_cancelled(settings: CycleSettings, stop: int, images: Tensor, networks: Networks) -> None:
    """``both`` in its veil, after 42 strips."""
    g = networks[1]
    with pytest.raises(CancelledError):
        inferer(settings, batch_size=4)(images, *networks, cancelled=lambda: g.images >= stop)
    assert stop <= g.images < stop + 4


@pytest.mark.parametrize("which", ["f", "g"])
def test_a_memory_that_is_too_small_halves_the_batch(
    which: str, images: Tensor, networks: Networks
) -> None:
    f, g = networks
    expected = inferer(VEIL, batch_size=2)(images, f, g)
    small = Small(f if which == "f" else g, 2)
    cycle = inferer(VEIL, batch_size=8)
    result = cycle(images, *((small, g) if which == "f" else (f, small)))
    for name in NAMES:
        assert_close(getattr(result, name), getattr(expected, name))
    assert cycle.batch_size == 2
    assert [size for size in small.sizes if size > 2] == [8, 4]


def test_a_perfect_translation_in_clear_sight_has_no_anomaly(images: Tensor) -> None:
    result: ScoreMaps = inferer(replace(VEIL, steps=1, veil_sd=0.0))(
        images, lambda x, t: x[:, 1:], lambda y: y
    )
    assert float(result.anomaly.abs().max()) < 1e-6
    torch.testing.assert_close(result.reconstructed, images)
