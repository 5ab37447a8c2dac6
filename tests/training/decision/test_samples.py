"""mmccd.training.decision.samples: what d sees, and what it has to say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.training.decision.nets import Forward, Identity, samples
from tests.training.slices import healthy_slices

from mmccd.imaging import Draws
from mmccd.methods import MIDDLE
from mmccd.training.corruption import Family
from mmccd.training.decision.returned import OneStepCycle, Returned
from mmccd.training.decision.samples import decision_sample

CYCLE = OneStepCycle(Forward(), Identity(), veil_sd=0.0)


def test_a_batch(tmp_path: Path) -> None:
    batch = samples(CYCLE).draw(6)
    assert batch.given.shape == (6, 5, *MIDDLE)
    assert batch.label.shape == batch.brain.shape == (6, 1, *MIDDLE)
    assert batch.brain.dtype == torch.bool
    assert torch.equal(batch.given[:, 2:3] > 0, batch.brain)
    outside = ~batch.brain.expand_as(batch.given[:, [0, 3, 4]])
    assert float(batch.given[:, [0, 3, 4]][outside].abs().max()) == 0
    assert float(batch.label[~batch.brain].abs().max()) == 0
    assert float(batch.label.min()) >= 0 and float(batch.label.max()) < 1 + 1e-6
    assert float(batch.given[:, 0].abs().max()) <= 8


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 5), (1.0, 10)])
def test_some_are_blind(share: float, expected: int) -> None:
    batch = samples(CYCLE, blind_share=share).draw(10)
    blind = (batch.given[:, 3:] == 0).flatten(1).all(1)
    assert int(blind.sum()) == expected


def test_without_a_cycle_all_are() -> None:
    assert float(samples(None).draw(4).given[:, 3:].abs().max()) == 0


def test_what_is_painted_is_labelled_and_nothing_else() -> None:
    """Scanner effects, mask slips and healthy variation are no anomaly."""

    def paint(
        image: torch.Tensor, brain: torch.Tensor, draws: Draws
    ) -> tuple[torch.Tensor, torch.Tensor]:
        changed = torch.zeros_like(image)
        changed[..., 60:68, 60:68] = 1.0
        return image + 4 * changed, changed

    nothing = samples(None, families=()).draw(8)
    assert float(nothing.label.max()) == 0
    everything = samples(None, families=[Family("square", paint, 1.0)]).draw(8)
    rows, columns = ((n - m) // 2 for n, m in zip((128, 128), MIDDLE, strict=True))
    square = torch.zeros(1, 1, *MIDDLE, dtype=torch.bool)
    square[..., 59 - rows : 69 - rows, 59 - columns : 69 - columns] = True
    assert float(everything.label[~square.expand_as(everything.label)].max()) == 0
    inside = square & everything.brain
    assert float(everything.label[inside].mean()) > 0.5


def test_a_batch_is_the_sample_of_healthy_pairs() -> None:
    """The function that the bundle's batches share."""
    found, other = samples(CYCLE, seed=3, blind_share=0.5).draw(4), samples(CYCLE, seed=3)
    pairs = other.pairs.draw(4)
    expected = decision_sample(pairs.source, pairs.brain, other.draws, CYCLE, 0.5)
    assert torch.equal(found.given, expected.given)
    assert torch.equal(found.label, expected.label)
    assert torch.equal(found.brain, expected.brain)


def test_seeded() -> None:
    first, again, other = (samples(CYCLE, seed=seed).draw(4) for seed in (1, 1, 2))
    assert torch.equal(first.given, again.given) and torch.equal(first.label, again.label)
    assert not torch.equal(first.given, other.given)


class TestOneStepCycle:
    def test_x_comes_back_from_the_highest_noise(self) -> None:
        """f that returns its condition, g that returns it, too: the error is nothing."""
        image, brain = healthy_slices(3)
        forward = Forward()
        found = OneStepCycle(forward, Identity(), veil_sd=0.0)(image, brain, Draws(0))
        assert torch.equal(found.reconstructed, torch.where(brain, image, 0))
        assert float(found.signed.abs().max()) < 1e-6
        assert forward.steps == [[999, 999, 999]]
        start = forward.starts[0]
        assert abs(float(start.std()) - 1) < 0.05 and abs(float(start.mean())) < 0.05

    def test_the_veil(self) -> None:
        image, brain = healthy_slices(8)
        found = OneStepCycle(Forward(), Identity(), veil_sd=0.5)(image, brain, Draws(0))
        noise = (found.reconstructed - image)[brain]
        assert float(noise.std()) == pytest.approx(0.5, abs=0.02)

    def test_nothing(self) -> None:
        image, _ = healthy_slices(2)
        found = Returned.nothing(image)
        assert float(found.reconstructed.abs().max() + found.signed.abs().max()) == 0
