"""mmccd.training.cycle.conditions: what f gets to see."""

from __future__ import annotations

import json

import pytest
import torch
from tests.training.slices import SIZE, disc, healthy_slices
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import normalise_slices
from mmccd.training.cycle.conditions import Hiding, corrupted_source
from mmccd.training.cycle.pack import HIGHEST, LOWEST
from mmccd.training.cycle.pairs import Pairs


def ramp(count: int) -> Tensor:
    """Any condition, without noise of its own."""
    return torch.linspace(-2, 2, SIZE * SIZE).view(1, 1, SIZE, SIZE).repeat(count, 1, 1, 1)


class TestHiding:
    def test_shares(self) -> None:
        """Over many draws: strips change some whole lines, a veil more than that."""
        condition = ramp(500)
        changed = Hiding(partly=0.0)(condition, Draws(0)) != condition
        clear = ~changed.flatten(1).any(1)
        veiled = changed.flatten(1).float().mean(1) > 0.999
        assert float(clear.float().mean()) == pytest.approx(0.4, abs=0.06)
        assert float(veiled.float().mean()) == pytest.approx(0.35, abs=0.06)
        assert float((~clear & ~veiled).float().mean()) == pytest.approx(0.25, abs=0.06)

    def test_clear_is_the_input(self) -> None:
        condition = ramp(20)
        assert torch.equal(Hiding(strips=0.0, veil=0.0)(condition, Draws(1)), condition)

    def test_strips_are_noise_and_the_rest_is_untouched(self) -> None:
        condition = ramp(300)
        given = condition.clone()
        hidden = Hiding(strips=1.0, veil=0.0)(condition, Draws(2))
        assert torch.equal(condition, given)
        changed = hidden != condition
        noise = hidden[changed]
        assert float(noise.mean()) == pytest.approx(0, abs=0.01)
        assert float(noise.std()) == pytest.approx(1, abs=0.01)
        assert bool(changed.flatten(1).any(1).all()), "each has one"
        down = widths(changed, across=False)
        across = widths(changed, across=True)
        assert bool(((down > 0) != (across > 0)).all()), "across or down, and whole lines"
        assert float((down > 0).float().mean()) == pytest.approx(0.5, abs=0.1)
        found = down + across
        assert int(found.min()) >= 1 and int(found.max()) <= 64

    @pytest.mark.parametrize("width", [(6, 6), (4, 64), (16, 20)])
    def test_width_range(self, width: tuple[int, int]) -> None:
        """Whole where it does not hang over the border; narrow ones are as frequent as wide ones
        by the logarithm.
        """
        changed = Hiding(1.0, 0.0, width)(ramp(400), Draws(3)) != ramp(400)
        sizes = widths(changed, across=False) + widths(changed, across=True)
        inner = sizes[~at_border(changed)]
        assert int(inner.min()) >= width[0] and int(inner.max()) <= width[1]
        assert int(sizes.max()) <= width[1]
        if width == (4, 64):
            assert int(inner.min()) == 4 and int(inner.max()) > 45
            assert 10 < float(sizes.float().median()) < 22

    def test_no_strip_lies_beside_the_slice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draws = Draws(0)
        monkeypatch.setattr(draws, "uniform", lambda count, *limits: torch.zeros(count, 1, 1, 1))
        hidden = Hiding(1.0, 0.0, (1, 1))(ramp(3), draws)
        assert bool((hidden != ramp(3)).flatten(1).any(1).all())

    def test_a_veil_is_noise_of_up_to_its_sd(self) -> None:
        hidden = Hiding(0.0, 1.0, veil_sd=1.5, partly=0.0)(ramp(300), Draws(4))
        amount = (hidden - ramp(300)).flatten(1).std(1)
        assert 0 <= float(amount.min()) < 0.03 and 1.45 < float(amount.max()) < 1.53
        assert float(amount.mean()) == pytest.approx(0.75, abs=0.07)

    def test_some_veils_cover_half(self) -> None:
        hidden = Hiding(0.0, 1.0, partly=0.3)(ramp(500), Draws(5))
        covered = (hidden != ramp(500)).flatten(1).float().mean(1)
        part = covered < 0.99
        assert float(part.float().mean()) == pytest.approx(0.3, abs=0.06)
        assert float(covered[part].mean()) == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("count", [0, 1])
    def test_few(self, count: int) -> None:
        assert Hiding()(ramp(1)[:count], Draws(0)).shape == (count, 1, SIZE, SIZE)

    def test_plain_values(self) -> None:
        values = Hiding().as_dict()
        assert json.loads(json.dumps(values)) == values
        assert values["strip_width"] == [4, 64]


def widths(changed: Tensor, across: bool) -> Tensor:
    """Lines of each slice that are changed as a whole."""
    return changed.all(-1 if across else -2).flatten(1).sum(1)


def at_border(changed: Tensor) -> Tensor:
    """Which strips touch the border that they run along."""
    lines = [changed.all(-1).flatten(1), changed.all(-2).flatten(1)]
    return torch.stack([line[:, 0] | line[:, -1] for line in lines]).any(0)


class TestCorruptedSource:
    def pairs(self, count: int, radius: float = 54) -> Pairs:
        image, brain = healthy_slices(count)
        brain = brain & disc((64, 64), radius)
        image = normalise_slices(torch.where(brain, image, 0), brain)
        return Pairs(image, -image, brain)

    def test_normalised_and_within_the_range(self) -> None:
        pairs = self.pairs(40)
        given = pairs.source.clone()
        seen, label = corrupted_source(pairs, Draws(0))
        assert torch.equal(pairs.source, given)
        assert seen.shape == label.shape == given.shape
        assert float(seen.min()) >= LOWEST and float(seen.max()) <= HIGHEST
        assert float(label.min()) >= 0 and 0.5 < float(label.max()) <= 1
        assert float(label[~pairs.brain].max()) == 0
        # Healthy tissue stays where it was: white matter at about its value of the volume.
        healthy = pairs.brain & (label < 0.05)
        error = (seen - pairs.source)[healthy].abs()
        assert float(error.median()) < 0.5

    def test_what_is_labelled_differs_more(self) -> None:
        pairs = self.pairs(60)
        seen, label = corrupted_source(pairs, Draws(1))
        error = (seen - pairs.source).abs()
        ill, well = pairs.brain & (label > 0.5), pairs.brain & (label < 0.05)
        assert float(error[ill].mean()) > 3 * float(error[well].mean())

    @pytest.mark.parametrize("radius", [0.0, 1.0, 3.0])
    def test_hardly_any_brain(self, radius: float) -> None:
        for seed in range(4):
            seen, label = corrupted_source(self.pairs(8, radius), Draws(seed))
            assert bool(seen.isfinite().all()) and bool(label.isfinite().all())

    def test_one_slice_and_none(self) -> None:
        draws = Draws(2)
        for _ in range(10):
            assert bool(corrupted_source(self.pairs(1), draws)[0].isfinite().all())
        assert len(corrupted_source(self.pairs(0), draws)[0]) == 0

    def test_seeded(self) -> None:
        first, again, other = (corrupted_source(self.pairs(4), Draws(s))[0] for s in (3, 3, 4))
        assert torch.equal(first, again) and not torch.equal(first, other)
