"""mmccd.training.decision.batches: healthy slices of a data set to what d is trained on."""

from __future__ import annotations

import pytest
import torch
from tests.training.decision.nets import Forward, Identity
from tests.training.slices import healthy_slices
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.methods import DECISION_CHANNELS, MIDDLE
from mmccd.training.decision.batches import DecisionPrepareBatch
from mmccd.training.decision.returned import OneStepCycle
from mmccd.training.decision.samples import Samples, decision_sample

CYCLE = OneStepCycle(Forward(), Identity(), veil_sd=0.0)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    image, brain = healthy_slices(6)
    return {"image": image, "label": image.clone(), "brain": brain.float()}


def same(given: Tensor, truth: dict[str, Tensor], expected: Samples) -> bool:
    return (
        torch.equal(given, expected.given)
        and torch.equal(truth["target"], expected.label)
        and torch.equal(truth["brain"], expected.brain)
    )


def test_what_d_sees_and_has_to_say(batch: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    given, truth = DecisionPrepareBatch(CYCLE)(batch)
    assert given.shape == (6, DECISION_CHANNELS, *MIDDLE)
    assert truth["target"].shape == truth["brain"].shape == (6, 1, *MIDDLE)
    assert truth["brain"].dtype == torch.bool
    assert torch.equal(given[:, 2:3] > 0, truth["brain"])
    assert float(truth["target"].max()) > 0.5, "something is painted on some of them"


def test_it_is_the_sample_of_trainings_from_packs(batch: dict[str, Tensor]) -> None:
    given, truth = DecisionPrepareBatch(CYCLE, blind_share=0.5, seed=3)(batch)
    expected = decision_sample(batch["image"], batch["brain"] > 0.5, Draws(3), CYCLE, 0.5)
    assert same(given, truth, expected)


def test_the_global_seed_decides(batch: dict[str, Tensor]) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(DecisionPrepareBatch(CYCLE)(batch)[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_validation_is_the_same_every_time(batch: dict[str, Tensor]) -> None:
    prepare = DecisionPrepareBatch(CYCLE, seed=5)
    state = torch.random.get_rng_state()
    first, second = prepare(batch), prepare(batch)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1]["target"], second[1]["target"])
    assert torch.equal(torch.random.get_rng_state(), state), "nothing is drawn from training"
    assert not torch.equal(DecisionPrepareBatch(CYCLE, seed=6)(batch)[0], first[0])


def test_nothing_painted_and_nothing_seen_of_the_cycle(batch: dict[str, Tensor]) -> None:
    given, truth = DecisionPrepareBatch(CYCLE, blind_share=1.0, families=(), seed=0)(batch)
    assert float(given[:, 3:].abs().max()) == 0
    assert float(truth["target"].max()) == 0


def test_the_batch_stays_as_it_is(batch: dict[str, Tensor]) -> None:
    before = {key: value.clone() for key, value in batch.items()}
    DecisionPrepareBatch(CYCLE, seed=0)(batch)
    assert all(torch.equal(batch[key], before[key]) for key in batch)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_shares_that_cannot_be(share: float) -> None:
    with pytest.raises(ValueError, match=f"blind_share must lie in 0 to 1, got {share}"):
        DecisionPrepareBatch(CYCLE, blind_share=share)
