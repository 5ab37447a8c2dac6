"""mmccd.methods.histogram."""

from __future__ import annotations

import torch

from mmccd.methods.base import Slices
from mmccd.methods.histogram import HistogramScorer


def test_by_hand() -> None:
    image = torch.tensor([[5.0, 1.0, 3.0], [3.0, 9.0, 7.0]])[None, None]
    brain = torch.tensor([[True, True, True], [True, True, False]])[None, None]
    found = HistogramScorer().score(Slices(image, brain, 5.0)).anomaly[0, 0]
    expected = torch.tensor([[4.0, 1.0, 2.5], [2.5, 5.0, 0.0]]) / 5
    assert torch.allclose(found[brain[0, 0]], expected[brain[0, 0]])


def test_knows_the_order_alone(slices: Slices) -> None:
    """Any change of contrast that keeps the order keeps the map, slice by slice."""
    image, brain = slices.image, slices.brain
    scorer = HistogramScorer()
    changed = image.exp() * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[:, None, None, None]
    assert torch.equal(
        scorer.score(Slices(changed, brain, 5.0)).anomaly[brain],
        scorer.score(slices).anomaly[brain],
    )
