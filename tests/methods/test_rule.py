"""mmccd.methods.rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmccd.data.cases import find_cases
from mmccd.data.slices import load_case
from mmccd.evaluation.metrics import auprc, dice
from mmccd.methods.base import Context, Slices
from mmccd.methods.rule import Rule, RuleScorer


@pytest.mark.parametrize(
    ("slice_mm", "reach"), [(1.0, (1, 1, 1)), (2.5, (1, 1, 1)), (2.6, (0, 2, 2)), (5.0, (0, 2, 2))]
)
def test_median_of_the_range_by_hand(
    slices: Slices, slice_mm: float, reach: tuple[int, ...]
) -> None:
    """3 x 3 x 3, or 5 x 5 in thick slices; a neighbour beyond the stack is its last slice."""
    found = RuleScorer().score(replace(slices, slice_mm=slice_mm)).anomaly[:, 0].numpy()
    image, brain = slices.image[:, 0].numpy(), slices.brain[:, 0].numpy()
    low, high = np.quantile(image[brain], [0.02, 0.9])
    scaled = np.where(brain, (image - low) / (high - low), 0)
    padded = np.pad(scaled, [(one, one) for one in reach], mode="edge")
    for place in np.argwhere(brain):
        box = tuple(slice(at, at + 2 * one + 1) for at, one in zip(place, reach, strict=True))
        assert found[tuple(place)] == pytest.approx(np.median(padded[box]), abs=1e-5)


def test_slices_that_are_not_scored_have_their_part(slices: Slices) -> None:
    """A store scores some slices of a volume now and others later, and gets the same map."""
    thin = replace(slices, slice_mm=1.0)
    whole = RuleScorer().score(thin).anomaly
    some = thin.brain.clone()
    some[[0, 2, 3]] = False
    part = RuleScorer().score(replace(thin, brain=some, whole=thin.brain)).anomaly
    assert torch.equal(part[some], whole[some])
    assert part[~some].isnan().all()


def test_no_brain_is_no_score(slices: Slices) -> None:
    nothing = replace(slices, brain=torch.zeros_like(slices.brain))
    assert RuleScorer().score(nothing).anomaly.isnan().all()


def test_figures_of_a_case_from_elsewhere(real_data: Path) -> None:
    """What the rule was measured to reach on a patient with multiple sclerosis."""
    (case,) = [one for one in find_cases(real_data / "ms") if one.name == "MSLESSEG_P14_T2"]
    method, context = Rule(), Context()
    normalisation = method.normalisation(context)
    loaded = load_case(case, {"flair": normalisation})
    brain, lesion = loaded.brain, loaded.lesion
    slices = Slices(loaded.images["flair"], brain, loaded.transform.spacing[2])
    score = method.build(context).score(slices).anomaly
    assert auprc(lesion[brain].numpy(), score[brain].numpy()) == pytest.approx(0.85, abs=0.02)
    marked = (score > method.threshold(context)) & brain  # type: ignore[operator]
    assert dice(lesion.numpy(), marked.numpy()) == pytest.approx(0.79, abs=0.02)


def test_its_own_threshold_is_for_flair() -> None:
    assert Rule().threshold(Context()) == 1.2
    assert Rule().threshold(Context(source="t1")) is None
    assert Rule.is_final
