"""mmccd.methods.scoring: maps hold inside the brain, and slices without brain are skipped."""

from __future__ import annotations

import pytest
import torch
from tests.methods.networks import CPU, Function

from mmccd.core.errors import CancelledError
from mmccd.imaging.robust import Sides
from mmccd.methods.base import Scorer, Slices
from mmccd.methods.constant import ConstantScorer
from mmccd.methods.cyclic_unet import TranslationCycleScorer
from mmccd.methods.ddpm import DiffusionScorer, PartialDiffusionInferer
from mmccd.methods.histogram import HistogramScorer
from mmccd.methods.intensity import IntensityScorer
from mmccd.methods.reconstruction import ReconstructionScorer
from mmccd.methods.rule import RuleScorer
from mmccd.models.schedule import MaskedDiffusionScheduler


def scorers() -> dict[str, Scorer]:
    half = Function(lambda x: 0.5 * x)
    scheduler = MaskedDiffusionScheduler(prediction_type="epsilon")
    noise = Function(lambda x, t: torch.zeros_like(x))
    return {
        "intensity": IntensityScorer(),
        "rule": RuleScorer(),
        "constant": ConstantScorer(0.1, Sides("both")),
        "histogram": HistogramScorer(),
        "reconstruction": ReconstructionScorer(half, CPU, 2),
        "cyclic": TranslationCycleScorer(half, half, CPU, 2),
        "ddpm": DiffusionScorer(PartialDiffusionInferer(scheduler, 100, 4), noise, CPU, 2),
    }


@pytest.mark.parametrize("name", list(scorers()))
def test_holds_inside_the_brain_alone(name: str, slices: Slices) -> None:
    result = scorers()[name].score(slices)
    for layer in (result.anomaly, result.signed):
        assert layer.shape == slices.image.shape
        assert layer[slices.brain].isfinite().all()
        assert layer[~slices.brain].isnan().all()
    assert torch.equal(result.coverage, slices.brain.float())


@pytest.mark.parametrize("name", ["reconstruction", "cyclic", "ddpm"])
def test_passes(name: str, slices: Slices) -> None:
    """Slices without brain are skipped; progress is told; a cancelled run ends."""
    seen: list[tuple[int, int]] = []
    scorers()[name].score(slices, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 4), (4, 4)]
    with pytest.raises(CancelledError):
        scorers()[name].score(slices, cancelled=lambda: True)
