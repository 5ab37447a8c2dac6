"""mmccd.methods.cyclic_unet."""

from __future__ import annotations

import torch
from tests.methods.networks import CPU, Function

from mmccd.methods.base import Slices
from mmccd.methods.cyclic_unet import TranslationCycleScorer


def test_two_translators(slices: Slices) -> None:
    image, brain = slices.image, slices.brain
    result = TranslationCycleScorer(
        Function(lambda x: 3 * x), Function(lambda y: y + 1), CPU, 2
    ).score(slices)
    assert torch.allclose(result.translated[brain], 3 * image[brain])
    assert torch.allclose(result.reconstructed[brain], 3 * image[brain] + 1)
    assert torch.allclose(result.anomaly[brain], (2 * image[brain] + 1).abs(), atol=1e-5)
