"""mmccd.imaging.draws: repeatable numbers, smooth fields, blurs."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from mmccd.imaging import Draws, blur, pixel_grid


def everything(draws: Draws) -> list[torch.Tensor]:
    """A little of each kind of number."""
    return [
        draws.uniform(5, -1, 3),
        draws.log_uniform(5, 0.1, 10),
        draws.normal(3, 2, 4),
        draws.chance(6, 0.5).float(),
        draws.either(6, 0.5, torch.zeros(6, 1, 1, 1), torch.ones(6, 1, 1, 1)),
        draws.some(9, 0.5).float(),
        draws.field(2, 6, 32),
        draws.pixel_of(torch.ones(3, 1, 8, 8, dtype=torch.bool)),
    ]


class TestDraws:
    def test_a_seed_gives_the_same_numbers_and_another_one_others(self) -> None:
        first, again, other = (everything(Draws(seed)) for seed in (4, 4, 5))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not any(torch.equal(first[n], other[n]) for n in (0, 1, 2, 6, 7))

    def test_numbers_live_where_they_are_asked_for(self) -> None:
        assert Draws(0).device == torch.device("cpu")
        placed = Draws(0, torch.device("cpu"))
        assert {made.device.type for made in everything(placed)} == {"cpu"}
        # The device of no data shows that the argument arrives.
        with pytest.raises(RuntimeError, match="(?i)meta"):
            Draws(0, "meta")

    def test_shapes(self) -> None:
        draws = Draws(0)
        assert draws.uniform(3).shape == draws.normal(3).shape == (3, 1, 1, 1)
        assert draws.normal(3, 2, 5).shape == (3, 2, 5)
        assert draws.field(3, 4, 40).shape == (3, 1, 40, 40)
        assert draws.field(3, 4).shape == (3, 1, 128, 128)
        assert all(len(draws.uniform(0)) == 0 for _ in range(2))
        assert draws.field(0, 4, 40).shape == (0, 1, 40, 40)

    def test_ranges(self) -> None:
        draws = Draws(1)
        plain, log = draws.uniform(20_000, -2, 6), draws.log_uniform(20_000, 0.5, 50)
        assert -2 <= float(plain.min()) < -1.99 and 5.99 < float(plain.max()) <= 6
        assert float(log.min()) >= 0.5 * (1 - 1e-6) and float(log.max()) <= 50 * (1 + 1e-6)
        # Half of the values lie below the geometric mean.
        assert float((log < 5).float().mean()) == pytest.approx(0.5, abs=0.02)
        assert float(draws.chance(20_000, 0.3).float().mean()) == pytest.approx(0.3, abs=0.02)

    def test_either_takes_whole_samples(self) -> None:
        first, second = torch.zeros(4000, 1, 2, 2), torch.ones(4000, 1, 2, 2)
        taken = Draws(2).either(4000, 0.8, first, second).flatten(1)
        assert torch.equal(taken.amin(1), taken.amax(1))
        assert float(taken.mean()) == pytest.approx(0.2, abs=0.03)

    @pytest.mark.parametrize(("count", "share"), [(1, 0.3), (7, 0.22), (96, 0.35), (5, 1.0)])
    def test_some_gives_the_share_on_average(self, count: int, share: float) -> None:
        draws = Draws(3)
        numbers = []
        for _ in range(600):
            chosen = draws.some(count, share)
            assert chosen.dtype == torch.int64
            assert len(set(chosen.tolist())) == len(chosen) <= count
            assert all(0 <= index < count for index in chosen.tolist())
            # As near as whole numbers come.
            assert abs(len(chosen) - count * share) < 1
            numbers.append(len(chosen))
        assert np.mean(numbers) == pytest.approx(count * share, abs=0.07)

    def test_some_of_none_and_more_than_all(self) -> None:
        draws = Draws(0)
        assert len(draws.some(0, 0.5)) == 0
        assert sorted(draws.some(4, 1.5).tolist()) == [0, 1, 2, 3]

    def test_some_is_any_of_them(self) -> None:
        draws = Draws(4)
        hits = torch.stack([torch.bincount(draws.some(6, 0.5), minlength=6) for _ in range(900)])
        assert float((hits.float().mean(0) - 0.5).abs().max()) < 0.07

    @pytest.mark.parametrize("knots", [2, 3, 6, 24, 60])
    def test_fields_have_zero_mean_and_unit_variance_everywhere(self, knots: int) -> None:
        fields = Draws(5).field(2000, knots, 48)[:, 0]
        error = 1 / math.sqrt(2000)
        assert float(fields.mean(0).abs().max()) < 5.5 * error
        deviation = fields.std(0)
        assert float((deviation - 1).abs().max()) < 5 * error, "borders and corners too"

    def test_fewer_knots_are_smoother(self) -> None:
        steps = [
            float(Draws(6).field(64, knots, 64).diff(dim=-1).square().mean())
            for knots in (2, 6, 24)
        ]
        assert steps[0] < steps[1] / 2 < steps[2] / 8

    @settings(max_examples=60, deadline=None)
    @given(
        region=arrays(bool, st.tuples(st.integers(1, 4), st.just(1), *[st.integers(1, 9)] * 2)),
        seed=st.integers(0, 10_000),
    )
    def test_pixel_of_lies_in_the_region(self, region: np.ndarray, seed: int) -> None:
        pixels = Draws(seed).pixel_of(torch.from_numpy(region))
        assert pixels.shape == (len(region), 2) and pixels.dtype == torch.float32
        for one, (row, column) in zip(region, pixels.long().tolist(), strict=True):
            if one.any():
                assert one[0, row, column]
            else:
                assert (row, column) == (one.shape[1] - 1, one.shape[2] - 1)

    def test_pixel_of_is_any_pixel(self) -> None:
        region = torch.zeros(4000, 1, 3, 5, dtype=torch.bool)
        region[:, :, 0, 0] = region[:, :, 1, 4] = region[:, :, 2, 2] = True
        pixels = Draws(7).pixel_of(region)
        places, numbers = pixels.unique(dim=0, return_counts=True)
        assert places.tolist() == [[0, 0], [1, 4], [2, 2]]
        assert float((numbers / 4000 - 1 / 3).abs().max()) < 0.03

    def test_numbers_go_on_where_they_stood(self) -> None:
        draws = Draws(8)
        everything(draws)
        buffer = io.BytesIO()
        torch.save(draws.state_dict(), buffer)
        expected = everything(draws)
        buffer.seek(0)
        other = Draws(0)
        other.load_state_dict(torch.load(buffer, weights_only=True))
        assert all(torch.equal(a, b) for a, b in zip(expected, everything(other), strict=True))

    def test_from_another_kind_of_device_only_the_hosts_numbers(self) -> None:
        draws, other = Draws(8), Draws(9)
        state = draws.state_dict() | {"device": "cuda"}
        other.load_state_dict(state)
        assert torch.equal(other.some(50, 0.5), draws.some(50, 0.5))
        assert torch.equal(other.uniform(5), Draws(9).uniform(5))


class TestBlur:
    @pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
    def test_is_scipys_in_the_middle(self, sigma: float) -> None:
        image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        expected = ndimage.gaussian_filter(
            image.double().numpy(), (0, 0, sigma, sigma), truncate=8.0
        )
        middle = np.s_[..., 26:38, 26:38]
        np.testing.assert_allclose(blur(image, sigma).numpy()[middle], expected[middle], atol=2e-5)

    def test_keeps_constants_up_to_the_border(self) -> None:
        constant = torch.full((2, 1, 32, 32), 3.5)
        assert torch.allclose(blur(constant, 5.0), constant, atol=1e-5)

    def test_each_sample_has_its_own_width(self) -> None:
        image = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
        widths = [0.0, 0.7, 2.5]
        together = blur(image, torch.tensor(widths)[:, None, None, None])
        for number, width in enumerate(widths):
            alone = blur(image[number : number + 1], width)
            assert torch.allclose(together[number : number + 1], alone, atol=1e-6)
        assert torch.equal(together[0], image[0]), "no width, no change"

    def test_no_samples(self) -> None:
        assert blur(torch.zeros(0, 1, 8, 8), Draws(0).uniform(0)).shape == (0, 1, 8, 8)


def test_pixel_grid() -> None:
    rows, columns = pixel_grid(5, torch.device("cpu"))
    assert (float(rows[3, 1]), float(columns[3, 1])) == (3.0, 1.0)
