"""mmccd.methods.mmccd.cycle against a slow reference of Alg. 2 and Eq. 10, and what must not change
the map.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.methods.mmccd.cycles import (
    CODE,
    NAMES,
    QUICK,
    SIZE,
    SLICES,
    Backward,
    Forward,
    Small,
    assert_close,
    inferer,
    slow_cycle,
    slow_masks,
)
from torch import Tensor, nn

from mmccd.core.errors import CancelledError
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.mmccd.suspicion import suspicious_region


def test_both_signs_are_the_sum_of_each(images: Tensor, networks: tuple[Forward, Backward]) -> None:
    both, brighter, darker = (
        inferer(replace(QUICK, sign=sign))(images, *networks)
        for sign in ("both", "brighter", "darker")
    )
    assert_close(brighter.anomaly + darker.anomaly, both.anomaly)
    assert_close(brighter.signed, both.signed)
    assert (brighter.anomaly.nan_to_num() <= both.anomaly.nan_to_num()).all()


def test_the_other_side_counts_by_its_weight(
    images: Tensor, networks: tuple[Forward, Backward]
) -> None:
    """0 leaves it out, 1 is both; the signed error, and what it hides in a further round, stay as
    they are.
    """
    both, brighter, darker, weighted, whole = (
        inferer(replace(QUICK, **change))(images, *networks)  # type: ignore[arg-type]
        for change in (
            {"sign": "both"},
            {"sign": "brighter"},
            {"sign": "darker"},
            *({"sign": "brighter", "other_side": w} for w in (0.25, 1.0)),
        )
    )
    assert_close(weighted.anomaly, brighter.anomaly + 0.25 * darker.anomaly)
    assert_close(whole.anomaly, both.anomaly)
    assert torch.equal(
        inferer(replace(QUICK, sign="both", other_side=0.25))(
            images, *networks
        ).anomaly.nan_to_num(),
        both.anomaly.nan_to_num(),
    )
    assert torch.equal(weighted.signed.nan_to_num(), brighter.signed.nan_to_num())


@pytest.mark.parametrize(
    ("settings", "count", "size"),
    [
        pytest.param(
            CycleSettings("paper", steps=1, stride=2, width=8), 3, SIZE, id="paper, 1 step"
        ),
        pytest.param(
            CycleSettings("paper", steps=4, stride=2, width=8), 2, SIZE, id="paper, 4 steps"
        ),
        pytest.param(
            CycleSettings("paper", steps=100, stride=8, width=8), 1, SIZE, id="paper, 100 steps"
        ),
        pytest.param(CODE, 1, SIZE, id="code"),
        pytest.param(
            CycleSettings("paper", steps=2, stride=4, width=8, sign="brighter"),
            2,
            SIZE,
            id="brighter",
        ),
        pytest.param(
            CycleSettings("paper", steps=2, stride=4, width=8, sign="darker"), 2, SIZE, id="darker"
        ),
        pytest.param(
            CycleSettings("paper", steps=1, stride=4, width=8, sign="brighter", other_side=0.25),
            2,
            SIZE,
            id="brighter, weighted",
        ),
        pytest.param(
            CycleSettings("code", steps=100, stride=8, width=8, sign="darker", other_side=0.5),
            1,
            SIZE,
            id="darker, weighted, squared",
        ),
        pytest.param(
            CycleSettings("paper", 1000, 8, 8, ("horizontal",), "ancestral"), 1, 16, id="ancestral"
        ),
    ],
)
def test_equals_the_slow_reference(
    settings: CycleSettings,
    count: int,
    size: int,
    images: Tensor,
    networks: tuple[Forward, Backward],
) -> None:
    images = images[:count, :, :size, :size]
    result = inferer(settings)(images, *networks)
    expected = slow_cycle(settings, images, *networks)
    for name in NAMES:
        actual = getattr(result, name)
        assert actual.shape == (count, 1, size, size)
        assert actual.dtype == torch.float32
        assert_close(actual, expected[name])


@pytest.mark.parametrize(("settings", "count"), [(QUICK, 3), (CODE, 1)])
def test_batch_size_does_not_change_the_map(
    settings: CycleSettings, count: int, images: Tensor, networks: tuple[Forward, Backward]
) -> None:
    first, second = (inferer(settings, size)(images[:count], *networks) for size in (1, 64))
    for name in NAMES:
        assert_close(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_networks_see_identical_noise_for_every_batch_size(batch_size: int, images: Tensor) -> None:
    """With networks that work voxel by voxel nothing is left that could depend on the batch."""

    def f(x: Tensor, timesteps: Tensor) -> Tensor:
        return x[:, :1] * 0.5 + x[:, 1:] * (timesteps / 1000).view(-1, 1, 1, 1)

    result, reference = (
        inferer(batch_size=size)(images, f, lambda y: y * 0.25) for size in (batch_size, 3)
    )
    for name in NAMES:
        assert torch.equal(getattr(result, name), getattr(reference, name))


@pytest.mark.parametrize("settings", [QUICK, CODE])
def test_a_slice_alone_gives_its_map_in_the_whole(
    settings: CycleSettings, networks: tuple[Forward, Backward]
) -> None:
    volume = torch.randn(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    whole = inferer(settings, 64)(volume, *networks)
    alone = inferer(settings, 64)(volume[3:], *networks, slices=[3])
    reversed_ = inferer(settings, 64)(volume.flip(0), *networks, slices=[3, 2, 1, 0])
    for name in NAMES:
        assert_close(getattr(alone, name), getattr(whole, name)[3:])
        assert_close(getattr(reversed_, name).flip(0), getattr(whole, name))


class TestRounds:
    """A lesion in the second of three slices; f copies what it sees, and g returns it."""

    SETTINGS = CycleSettings(
        "paper", steps=1, stride=4, width=8, sign="brighter", rounds=2, suspicious_sd=2.0
    )

    @pytest.fixture
    def volume(self) -> Tensor:
        values = 0.3 * torch.randn(
            SLICES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4)
        )
        values[1, 0, 6:16, 4:18] += 3
        return values

    def test_equals_the_slow_reference_with_the_region_hidden(
        self, volume: Tensor, networks: tuple[Forward, Backward]
    ) -> None:
        one = inferer(replace(self.SETTINGS, rounds=1))(volume, *networks)
        region = suspicious_region(one.signed, torch.ones_like(volume, dtype=torch.bool), 2.0)
        assert 50 < int(region[1].sum()) < SIZE * SIZE / 2
        result = inferer(self.SETTINGS)(volume, *networks)
        expected = slow_cycle(self.SETTINGS, volume, *networks, hidden=region)
        for name in NAMES:
            assert_close(getattr(result, name), expected[name])
        assert not torch.allclose(result.anomaly[1], one.anomaly[1], atol=1e-3)

    def test_a_lesion_that_f_can_see_is_found_once_it_is_hidden(self, volume: Tensor) -> None:
        """f fills the strip with the mean of what it sees beside it, lesion included."""

        def f(x: Tensor, timesteps: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(x[:, 1:], 15, 1, 7)

        def g(y: Tensor) -> Tensor:
            return y

        lesion = torch.zeros_like(volume, dtype=torch.bool)
        lesion[1, 0, 6:16, 4:18] = True
        one, two = (
            inferer(replace(self.SETTINGS, rounds=rounds))(volume, f, g) for rounds in (1, 2)
        )
        assert float(two.anomaly[lesion].mean()) > 1.2 * float(one.anomaly[lesion].mean())
        assert float(two.reconstructed[lesion].mean()) < 0.6 * float(
            one.reconstructed[lesion].mean()
        )

    def test_slices_whose_region_stays_are_not_run_again(
        self, volume: Tensor, networks: tuple[Forward, Backward]
    ) -> None:
        """The brain is in the second slice alone; the others cost nothing, and more rounds than
        needed change nothing.
        """
        brain = torch.zeros_like(volume, dtype=torch.bool)
        brain[1, 0, 4:28, 4:28] = True
        f, g = networks
        once = inferer(replace(self.SETTINGS, rounds=1))(volume, f, g, brain)
        passes = g.images
        two = inferer(self.SETTINGS)(volume, f, g, brain)
        assert g.images == 3 * passes
        for name in NAMES:
            torch.testing.assert_close(
                getattr(two, name)[[0, 2]], getattr(once, name)[[0, 2]], equal_nan=True
            )
        nothing = inferer(replace(self.SETTINGS, suspicious_sd=1e6, rounds=9))(volume, f, g, brain)
        assert g.images == 4 * passes
        assert_close(nothing.anomaly, once.anomaly)

    def test_progress(self, volume: Tensor, networks: tuple[Forward, Backward]) -> None:
        calls: list[tuple[int, int]] = []
        for sd in (2.0, 1e6):
            calls.clear()
            inferer(replace(self.SETTINGS, suspicious_sd=sd))(
                volume, *networks, progress=lambda done, total: calls.append((done, total))
            )
            done, totals = zip(*calls, strict=True)
            assert len(set(totals)) == 1
            assert list(done) == sorted(set(done))
            assert done[-1] == totals[0]

    @pytest.mark.parametrize(
        "wrong", [{"rounds": 0}, {"suspicious_sd": 0.0}, {"suspicious_sd": math.nan}]
    )
    def test_refuses(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(self.SETTINGS, **wrong)  # type: ignore[arg-type]


def test_slices_have_noise_of_their_own(images: Tensor, networks: tuple[Forward, Backward]) -> None:
    first, second = (inferer()(images[:1], *networks, slices=[number]).anomaly for number in (0, 1))
    assert not torch.allclose(first, second, atol=1e-3)


def test_skipping_changes_nothing_inside_the_brain(
    images: Tensor, brain: Tensor, networks: tuple[Forward, Backward]
) -> None:
    whole = inferer(batch_size=1)(images, *networks)
    skipped = inferer(batch_size=1)(images, *networks, brain)
    for name in NAMES:
        assert torch.equal(getattr(skipped, name)[brain], getattr(whole, name)[brain])
    assert bool((skipped.coverage <= whole.coverage).all())
    assert int(skipped.coverage.sum()) < int(whole.coverage.sum())


def test_slices_without_brain_cost_nothing(
    images: Tensor, brain: Tensor, networks: tuple[Forward, Backward]
) -> None:
    f, g = networks
    result = inferer()(images, f, g, brain)
    masks = np.stack(slow_masks("paper", 8, 4))
    touching = sum(
        bool((masks & one.numpy()).any(axis=(1, 2))[index])
        for one in brain[:, 0]
        for index in range(len(masks))
    )
    assert 0 < touching < SLICES * len(masks)
    assert (g.images, f.images) == (touching, 3 * touching)
    for name in NAMES[:4]:
        assert bool(getattr(result, name)[2].isnan().all())
    assert bool((result.coverage[2] == 0).all())


def test_no_brain_at_all_runs_no_network(
    images: Tensor, networks: tuple[Forward, Backward]
) -> None:
    f, g = networks
    result = inferer()(images, f, g, torch.zeros_like(images, dtype=torch.bool))
    assert f.images == g.images == 0
    assert bool(result.anomaly.isnan().all())


@pytest.mark.parametrize(("reading", "steps"), [("paper", 1), ("code", 100)])
def test_coverage_is_the_sum_of_the_masks(
    reading: str, steps: int, images: Tensor, brain: Tensor, networks: tuple[Forward, Backward]
) -> None:
    masks = np.stack(slow_masks(reading, 8, 4))
    result = inferer(CycleSettings(reading, steps, stride=4, width=8))(images, *networks, brain)
    for one, covered, anomaly in zip(
        brain[:, 0].numpy(),
        result.coverage[:, 0].numpy(),
        result.anomaly[:, 0].numpy(),
        strict=True,
    ):
        expected = masks[(masks & one).any(axis=(1, 2))].sum(0)
        np.testing.assert_array_equal(covered, expected)
        np.testing.assert_array_equal(np.isnan(anomaly), expected == 0)
        assert (expected[one] > 0).all()


@pytest.mark.parametrize(
    ("orientations", "expected"),
    [(["horizontal"], 7), (["vertical"], 7), (["horizontal", "vertical"], 14)],
)
def test_orientations(
    orientations: list[str], expected: int, images: Tensor, networks: tuple[Forward, Backward]
) -> None:
    settings = CycleSettings(steps=1, stride=4, width=8, orientations=tuple(orientations))
    inferer(settings)(images[:1], *networks)
    assert networks[1].images == expected
    assert CycleSettings(**settings.as_dict()) == settings, (
        "as_dict() is what the constructor takes"
    )


def test_a_perfect_cycle_has_no_anomaly(images: Tensor) -> None:
    """Where f returns what is under the strip and g returns x, the error is 0 and x' is x."""
    result = inferer(batch_size=64)(
        images[:1], lambda x, t: images[:1].expand(len(x), -1, -1, -1), lambda y: y
    )
    assert float(result.anomaly.abs().max()) < 1e-6
    torch.testing.assert_close(result.reconstructed, images[:1])
    torch.testing.assert_close(result.translated, images[:1])


def test_sign_and_square(images: Tensor) -> None:
    """An input that is brighter than what returns by 0.5 has a signed error of 0.5; the public code
    squares the error.
    """
    for settings, expected in ((QUICK, 0.5), (CODE, 0.25)):
        result = inferer(settings, 64)(
            images[:1], lambda x, t: images[:1].expand(len(x), -1, -1, -1), lambda y: y - 0.5
        )
        torch.testing.assert_close(result.signed, torch.full_like(result.signed, 0.5))
        torch.testing.assert_close(result.anomaly, torch.full_like(result.anomaly, expected))


def test_progress_grows_to_the_total(
    images: Tensor, brain: Tensor, networks: tuple[Forward, Backward]
) -> None:
    calls: list[tuple[int, int]] = []
    inferer(batch_size=5)(
        images, *networks, brain, progress=lambda done, total: calls.append((done, total))
    )
    done, totals = zip(*calls, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0] == networks[1].images
    assert len(calls) == math.ceil(totals[0] / 5)


@pytest.mark.parametrize("batches", [0, 2])
def test_cancelled(batches: int, images: Tensor, networks: tuple[Forward, Backward]) -> None:
    with pytest.raises(CancelledError):
        inferer(batch_size=4)(
            images, *networks, cancelled=lambda: networks[1].images >= 4 * batches
        )
    assert networks[1].images == 4 * batches


def test_seed(images: Tensor, networks: tuple[Forward, Backward]) -> None:
    first, again, other = (inferer(seed=seed)(images, *networks).anomaly for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_bf16_is_close(images: Tensor, networks: tuple[Forward, Backward]) -> None:
    exact, quick = (
        inferer(precision=precision)(images, *networks) for precision in ("fp32", "bf16")
    )
    assert quick.anomaly.dtype == torch.float32
    assert not torch.equal(exact.anomaly, quick.anomaly)
    for name in NAMES:
        assert_close(getattr(quick, name), getattr(exact, name), relative=0.03)
    assert torch.equal(exact.coverage, quick.coverage)


def test_inputs_stay_as_they_are(
    images: Tensor, brain: Tensor, networks: tuple[Forward, Backward]
) -> None:
    before = images.clone(), brain.clone()
    inferer()(images, *networks, brain)
    assert torch.equal(images, before[0])
    assert torch.equal(brain, before[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reading": "poem"}, "reading"),
        ({"sampler": "euler"}, "sampler"),
        ({"sign": "odd"}, "sign"),
        ({"sign": "brighter", "other_side": 1.5}, "other_side"),
        ({"sign": "brighter", "other_side": -0.1}, "other_side"),
        ({"sampler": "ancestral", "steps": 100}, "1000"),
        ({"sampler": "ancestral", "steps": 1000, "reading": "code"}, "paper"),
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"reading": "code", "steps": 10}, "steps"),
    ],
)
def test_refuses_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inferer(CycleSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": 9, "width": 8}, "stride"),
        ({"stride": 0}, "stride"),
        ({"width": 33}, "width"),
        ({"orientations": ("diagonal",)}, "orientations"),
    ],
)
def test_refuses_masks(
    settings: dict[str, object], message: str, images: Tensor, networks: tuple[Forward, Backward]
) -> None:
    with pytest.raises(ValueError, match=message):
        inferer(CycleSettings(steps=1, **settings))(images, *networks)  # type: ignore[arg-type]


def test_refuses_a_batch_size() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        inferer(batch_size=0)


@pytest.mark.parametrize(
    "shape", [(SIZE, SIZE), (1, SIZE, SIZE), (1, 2, SIZE, SIZE), (1, 1, 3, SIZE, SIZE)]
)
def test_refuses_inputs(shape: tuple[int, ...], networks: tuple[Forward, Backward]) -> None:
    with pytest.raises(ValueError, match="shape"):
        inferer()(torch.zeros(shape), *networks)


class TestOutOfMemory:
    """A GPU's memory that is too small for a batch."""

    @pytest.mark.parametrize("which", ["f", "g"])
    def test_halves_the_batch_and_gives_the_same_map(
        self,
        which: str,
        images: Tensor,
        networks: tuple[Forward, Backward],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        f, g = networks
        expected = inferer(batch_size=4)(images, f, g)
        small = Small(f if which == "f" else g, 5)
        cycle = inferer(batch_size=16)
        result = cycle(images, *((small, g) if which == "f" else (f, small)))
        for name in NAMES:
            torch.testing.assert_close(
                getattr(result, name), getattr(expected, name), rtol=0, atol=1e-5, equal_nan=True
            )
        assert cycle.batch_size == 4
        assert small.sizes[:3] == [16, 8, 4]
        assert "going on with batches of 4" in caplog.text

    def test_not_even_one_image(self, images: Tensor, networks: tuple[Forward, Backward]) -> None:
        with pytest.raises(torch.OutOfMemoryError):
            inferer()(images, Small(networks[0], 0), networks[1])

    def test_other_errors_stay(self, images: Tensor, networks: tuple[Forward, Backward]) -> None:
        def broken(*arguments: Tensor) -> Tensor:
            raise RuntimeError("another")

        with pytest.raises(RuntimeError, match="another"):
            inferer()(images, broken, networks[1])
