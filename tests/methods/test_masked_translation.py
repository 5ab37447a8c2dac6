"""mmccd.methods.masked_translation."""

from __future__ import annotations

import torch
from tests.conftest import TINY
from tests.methods.networks import CPU, Function
from torch import nn

from mmccd.methods.base import Context, Slices
from mmccd.methods.masked_translation import MaskedTranslation
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.method import CycleScorer
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models.baselines import MaskedTranslator
from mmccd.models.noise import CONDITION, normal_noise
from mmccd.models.schedule import MaskedDiffusionScheduler, masked_condition


def test_masked_translation_in_the_cycle() -> None:
    """The cycle with a translator h in the place of f: the mean of |x - g(h(x under noise))| over
    the strips that cover a voxel.
    """
    torch.manual_seed(0)
    translator = MaskedTranslator(in_channels=1, **TINY).eval()
    for parameter in translator.parameters():
        nn.init.normal_(parameter, std=0.1)
    backward = Function(lambda y: 0.5 * y)
    image = torch.randn(2, 1, 32, 32)
    settings = CycleSettings(steps=1, stride=16)
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), settings, 8, seed=3)
    found = (
        CycleScorer(inferer, translator, backward, CPU)
        .score(Slices(image, torch.ones_like(image, dtype=torch.bool), 5.0))
        .anomaly
    )
    numbers, total, count = torch.arange(2), torch.zeros_like(image), torch.zeros_like(image)
    for index, mask in enumerate(settings.masks((32, 32))):
        noise = normal_noise(3, numbers, torch.full_like(numbers, index), 0, CONDITION, (32, 32))
        condition = masked_condition(image, mask, noise)
        with torch.no_grad():
            reconstructed = 0.5 * translator(torch.cat([condition, condition], dim=1))
        total += mask * (image - reconstructed).abs()
        count += mask
    assert torch.allclose(found, total / count, atol=1e-5)


def test_runs_one_step_in_the_papers_reading() -> None:
    """Whatever the preset says of steps; its strips and signs stay."""
    preset = CycleSettings("code", 100, stride=8, sign="brighter")
    cycle = MaskedTranslation(width=24).cycle(Context(cycle=preset))
    assert (cycle.reading, cycle.steps, cycle.sampler) == ("paper", 1, "ddim")
    assert (cycle.stride, cycle.width, cycle.sign) == (8, 24, "brighter")
