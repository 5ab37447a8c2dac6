"""mmccd.training.batches: the batches of an f that leaves anomalies out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmccd.training.batches import CorruptedDiffusionPrepareBatch, CorruptedValidationBatch
from mmccd.training.cycle.conditions import Hiding

SIZE = 32


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Healthy slices whose brain is a disk."""
    line = torch.arange(SIZE) - SIZE / 2
    brain = (line[:, None] ** 2 + line**2 < 150).expand(24, 1, SIZE, SIZE).float()
    noise = torch.randn(24, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return {"image": noise * brain, "label": (noise + 3) * brain, "brain": brain}


def condition_of(batch: dict[str, Tensor], seed: int, hiding: Hiding) -> Tensor:
    torch.manual_seed(seed)
    _, target, _, named = CorruptedDiffusionPrepareBatch(hiding=hiding)(batch)
    assert torch.equal(target, batch["label"]), "the target is the clean y"
    found: Tensor = named["condition"]
    return found


def test_f_sees_a_corrupted_source(batch: dict[str, Tensor]) -> None:
    seen = condition_of(batch, 0, Hiding(strips=0.0, veil=0.0))
    assert seen.isfinite().all()
    different = (seen - batch["image"]).abs().flatten(1).amax(1)
    assert (different > 0.05).all(), "scanner effects change every slice"
    outside = seen[(batch["brain"] == 0)]
    assert (outside == 0).float().mean() > 0.95, "but for rims that a mask took with it"


def test_the_global_seed_decides(batch: dict[str, Tensor]) -> None:
    first = condition_of(batch, 1, Hiding())
    assert torch.equal(first, condition_of(batch, 1, Hiding()))
    assert not torch.equal(first, condition_of(batch, 2, Hiding()))


def test_strips_and_veils_hide(batch: dict[str, Tensor]) -> None:
    clear = condition_of(batch, 3, Hiding(strips=0.0, veil=0.0))
    veiled = condition_of(batch, 3, Hiding(strips=0.0, veil=1.0, partly=0.0))
    outside = batch["brain"] == 0
    assert (veiled - clear)[outside].std() > 0.3, "noise lies on everything"


def test_validation_is_the_same_every_time(batch: dict[str, Tensor]) -> None:
    prepare = CorruptedValidationBatch(seed=5)
    first, second = prepare(batch), prepare(batch)
    for one, other in zip(first[:1], second[:1], strict=True):
        assert torch.equal(one, other)
    seen, truth, _, arguments = first
    assert torch.equal(truth["source"], batch["image"])
    assert not torch.equal(seen, batch["image"])
    assert torch.equal(arguments["initial"], second[3]["initial"])
    assert not arguments["mask"].any(), "nothing is hidden"
    assert truth["mask"].all(), "and everything counts"
    assert not torch.equal(CorruptedValidationBatch(seed=6)(batch)[0], seen)
