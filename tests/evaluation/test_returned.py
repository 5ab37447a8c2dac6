"""mmccd.evaluation.returned: the reconstructed images of a method over cases."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.evaluation.conftest import MakeScored

from mmccd.core.score_maps import ScoreMaps
from mmccd.evaluation.bootstrap import patient_draws
from mmccd.evaluation.returned import returned_images
from mmccd.evaluation.scoring import StoredMaps
from mmccd.evaluation.subjects import Subject
from mmccd.quality import measure_returned

SHAPE = (2, 24, 24)


def subject(make_scored: MakeScored, name: str, ill: bool) -> Subject:
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[0, 8:12, 8:12] = ill
    return make_scored(np.zeros(SHAPE, dtype=np.float32), lesion, name=name).subject


def image_of(one: Subject, seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return (noise + 4 * one.lesion).astype(np.float32)


def maps_of(one: Subject, x: NDArray[np.float32], back: NDArray[np.float32]) -> StoredMaps:
    """As stored, with a slice before the reported ones that is to be left alone."""

    def layer(values: NDArray[np.float32]) -> torch.Tensor:
        padded = np.concatenate([np.full((1, *SHAPE[1:]), 99.0, dtype=np.float32), values])
        return torch.from_numpy(padded)[:, None]

    signed = layer(x - back)
    scores = ScoreMaps(signed.abs(), signed, layer(back), layer(back), torch.ones_like(signed))
    return StoredMaps(np.array([9, *one.slices]), scores, np.ones(3))


def test_means_and_cases(make_scored: MakeScored) -> None:
    """Each case by itself, then the mean; removal over the case that has a lesion."""
    subjects = [subject(make_scored, "ill", True), subject(make_scored, "well", False)]
    images = {one.name: image_of(one, seed) for seed, one in enumerate(subjects)}
    backs = {"ill": 0.5 * images["ill"], "well": images["well"] + image_of(subjects[1], 7)}
    maps = {one.name: maps_of(one, images[one.name], backs[one.name]) for one in subjects}
    found = returned_images(
        subjects, maps, patient_draws(["ill", "well"], 200), lambda one: images[one.name]
    )
    assert found is not None
    for one in subjects:
        expected = measure_returned(images[one.name], backs[one.name], one.brain, one.lesion)
        assert expected is not None
        assert found.cases[one.name]["correlation"] == pytest.approx(expected.correlation, abs=1e-6)
    assert found.figures["removal"].cases == 1
    assert found.figures["removal"].mean == pytest.approx(0.5, abs=1e-5)
    assert math.isnan(found.cases["well"]["removal"])
    correlation = found.figures["correlation"]
    values = [found.cases[one.name]["correlation"] for one in subjects]
    assert correlation.mean == pytest.approx(np.mean(values))
    assert correlation.interval == pytest.approx(sorted(values)), "both ends are one patient twice"
    assert correlation.cases == 2


def test_a_method_that_reconstructs_nothing(make_scored: MakeScored) -> None:
    one = subject(make_scored, "ill", True)
    x = image_of(one, 0)
    maps = maps_of(one, x, x)
    nothing = torch.full_like(maps.scores.reconstructed, torch.nan)
    plain = replace(maps, scores=replace(maps.scores, reconstructed=nothing))
    assert returned_images([one], {"ill": plain}, patient_draws(["ill"], 3), lambda _: x) is None


def test_a_case_that_was_not_scored(make_scored: MakeScored) -> None:
    """It has no figures, and the others keep theirs."""
    subjects = [subject(make_scored, name, True) for name in ("seen", "unseen")]
    x = image_of(subjects[0], 0)
    nothing = np.full(SHAPE, np.nan, dtype=np.float32)
    maps = {"seen": maps_of(subjects[0], x, x), "unseen": maps_of(subjects[1], x, nothing)}
    found = returned_images(subjects, maps, patient_draws(["seen", "unseen"], 50), lambda _: x)
    assert found is not None
    assert found.figures["correlation"].cases == 1
    assert found.figures["correlation"].mean == pytest.approx(1)
    assert math.isnan(found.cases["unseen"]["correlation"])


def test_a_levelled_error_changes_nothing(make_scored: MakeScored) -> None:
    """x' is compared with what the method saw, whatever was taken out of the error."""
    one = subject(make_scored, "ill", True)
    x = image_of(one, 0)
    maps = maps_of(one, x, 0.5 * x)
    ramp = torch.arange(SHAPE[-1]).float() / 4
    levelled = replace(maps, scores=replace(maps.scores, signed=maps.scores.signed - ramp))
    weights = patient_draws(["ill"], 3)
    found = [
        returned_images([one], {"ill": each}, weights, lambda _: x) for each in (maps, levelled)
    ]
    assert found[0] is not None
    assert found[0] == found[1]
    assert found[0].figures["correlation"].mean == pytest.approx(1)
