"""mmccd.methods.rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmccd.methods.base import Context, Slices
from mmccd.methods.rule import Rule, RuleScorer


@pytest.mark.parametrize(
    ("slice_mm", "reach"), [(1.0, (1, 1, 1)), (2.5, (1, 1, 1)), (2.6, (0, 2, 2)), (5.0, (0, 2, 2))]
)
def test_median_by_hand(slices: Slices, slice_mm: float, reach: tuple[int, ...]) -> None:
    """3 x 3 x 3, or 5 x 5 in thick slices; a neighbour beyond the stack is its last slice."""
    found = RuleScorer().score(replace(slices, slice_mm=slice_mm)).anomaly[:, 0].numpy()
    padded = np.pad(slices.image[:, 0].numpy(), [(one, one) for one in reach], mode="edge")
    for place in np.argwhere(slices.brain[:, 0].numpy()):
        box = tuple(slice(at, at + 2 * one + 1) for at, one in zip(place, reach, strict=True))
        assert found[tuple(place)] == np.median(padded[box])


def test_slices_beside_those_that_are_scored_have_their_part(slices: Slices) -> None:
    """A store scores some slices of a volume now and others later, and gets the same map."""
    thin = replace(slices, slice_mm=1.0)
    whole = RuleScorer().score(thin).anomaly
    some = thin.brain.clone()
    some[[0, 2, 3]] = False
    part = RuleScorer().score(replace(thin, brain=some)).anomaly
    assert torch.equal(part[some], whole[some])


def test_its_own_threshold_is_for_flair() -> None:
    assert Rule().threshold(Context()) == 1.2
    assert Rule().threshold(Context(source="t1")) is None
    assert Rule.is_final
