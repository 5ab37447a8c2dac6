"""mmccd.evaluation.variants: each post-processing on or off, and read from words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core.errors import UsageError
from mmccd.core.score_maps import ScoreMaps
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.scoring import StoredMaps
from mmccd.evaluation.variants import (
    LOWEST,
    Scored,
    Variant,
    apply_variant,
    erode_slices,
    read_variant,
)
from mmccd.imaging.normalisation import Normalisation
from mmccd.imaging.robust import Sides, error_robust_z
from mmccd.methods.base import Context, Method
from mmccd.methods.constant import Constant
from mmccd.methods.intensity import Intensity
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.rule import Rule
from mmccd.postprocessing.settings import Postprocessing
from mmccd.postprocessing.smoothing import smooth

Make = Callable[..., Scored]
PRESET = Postprocessing(7, 0.5, "error", 2.0)


@pytest.mark.parametrize(
    ("text", "median", "component", "erosion"),
    [
        ("none", 1, 0.0, 0),
        ("median", 7, 0.0, 0),
        ("median=5", 5, 0.0, 0),
        ("erosion", 1, 0.0, 4),
        ("components", 1, 1.0, 0),
        ("components=0.25", 1, 0.25, 0),
        ("median+erosion=2+components", 7, 1.0, 2),
        ("slice_sd", 1, 0.0, 0),
        ("median+slice_sd", 7, 0.0, 0),
        ("median+across", 7, 0.0, 0),
    ],
)
def test_words(text: str, median: int, component: float, erosion: int) -> None:
    variant = read_variant(text, PRESET)
    assert (
        variant.postprocessing.median_size,
        variant.postprocessing.min_component_ml,
        variant.erosion_pixels,
    ) == (
        median,
        component,
        erosion,
    )
    assert variant.as_dict()["name"] == text
    assert (variant.postprocessing.units == "slice_sd") == ("slice_sd" in text)


@pytest.mark.parametrize(
    ("text", "across_mm"),
    [("median", 0.0), ("across", 3.0), ("across=4.5+median", 4.5), ("across=0", 0.0)],
)
def test_across_in_mm(text: str, across_mm: float) -> None:
    assert read_variant(text, PRESET).postprocessing.across_mm == across_mm


@pytest.mark.parametrize(
    "text",
    [
        "blur",
        "across=-1",
        "across=nan",
        "across+across",
        "median+median",
        "median=x",
        "median=4",
        "median=2.5",
        "erosion=1.5",
        "erosion=-1",
        "components=-1",
        "none+median",
        "preset+median",
        "",
        "slice_sd+slice_sd",
        "slice_sd=2",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--postprocessing"):
        read_variant(text, PRESET)


@pytest.fixture
def one(make_scored: Make) -> Scored:
    random = np.random.default_rng(0)
    brain = np.zeros((2, 20, 20), dtype=bool)
    brain[:, 3:17, 2:18] = True
    return make_scored(random.random((2, 20, 20)), random.random((2, 20, 20)) > 0.8, brain=brain)


def maps_of(one: Scored) -> StoredMaps:
    anomaly = torch.from_numpy(np.where(one.subject.brain, one.score, np.nan))[:, None].float()
    nothing = torch.full_like(anomaly, torch.nan)
    scores = ScoreMaps(anomaly, 2 - anomaly, nothing, nothing, torch.ones_like(anomaly))
    return StoredMaps(np.array(one.subject.slices), scores, np.ones(len(anomaly)))


def candidate(method: Method | None = None, **cycle: str | float) -> Candidate:
    """A method whose score is taken as it is."""
    context = Context(cycle=CycleSettings(**cycle))  # type: ignore[arg-type]
    return Candidate("some", "SOME", method or Intensity(), context, Normalisation(), {})


def apply(one: Scored, words: str, polarity: int = 1, by: Candidate | None = None) -> Scored:
    """Post-processing by words."""
    variant = read_variant(words, PRESET)
    return apply_variant(maps_of(one), one.subject, variant, by or candidate(), polarity)


def anomaly_of(one: Scored) -> NDArray[np.float32]:
    return np.where(one.subject.brain, one.score, 0).astype(np.float32)


def test_none_changes_nothing_in_the_brain(one: Scored) -> None:
    scored = apply(one, "none")
    assert np.array_equal(scored.score[one.subject.brain], one.score[one.subject.brain])
    assert (scored.score[~one.subject.brain] == LOWEST).all()


def test_median_is_in_plane(one: Scored) -> None:
    scored = apply(one, "median=3")
    expected = np.stack(
        [ndimage.median_filter(layer, 3, mode="constant") for layer in anomaly_of(one)]
    )
    assert np.array_equal(scored.score[one.subject.brain], expected[one.subject.brain])


def test_across_uses_the_distance_of_the_slices(one: Scored) -> None:
    """Slices lie 4 mm apart."""
    scored = apply(one, "across=4")
    anomaly, weight = anomaly_of(one), np.exp(-0.5)
    expected = (anomaly + weight * anomaly[::-1]) / (1 + weight)
    np.testing.assert_allclose(scored.values, expected[one.subject.brain], atol=1e-6)


def test_taken_slices_keep_what_their_neighbours_gave(one: Scored) -> None:
    whole = apply(one, "across")
    second = replace(
        one.subject,
        **{
            name: getattr(one.subject, name)[1:] for name in ("image", "brain", "lesion", "healthy")
        },
        slices=one.subject.slices[1:],
        picture=0,
    )
    taken = whole.take(second)
    assert taken.subject is second
    assert np.array_equal(taken.score, whole.score[1:])


def test_dark_is_the_map_turned_round(one: Scored) -> None:
    bright, dark = (apply(one, "median=3", sign) for sign in (1, -1))
    assert np.array_equal(bright.values, -dark.values)


@pytest.mark.parametrize("polarity", [1, -1])
def test_slice_sd_is_the_robust_z_score_of_the_signed_error(one: Scored, polarity: int) -> None:
    """On one side of it, as ``predict`` has it."""
    scored = apply(one, "slice_sd+median=3", polarity)
    signed, brain = np.where(one.subject.brain, 2 - one.score, 0), one.subject.brain
    z = error_robust_z((polarity * signed).astype(np.float32), brain)
    expected = smooth(z, brain, 4.0, Postprocessing(3))
    assert np.array_equal(scored.values, expected[brain])


def test_slice_sd_counts_the_sides_of_the_cycle(one: Scored) -> None:
    scored = apply(one, "slice_sd", by=candidate(Constant(), sign="darker", other_side=0.25))
    signed, brain = np.where(one.subject.brain, 2 - one.score, 0), one.subject.brain
    z = error_robust_z(signed.astype(np.float32), brain, Sides("darker", 0.25))
    assert np.array_equal(scored.values, z[brain])


def test_preset_is_the_presets_own_and_adds_nothing_to_a_final_score() -> None:
    variant = read_variant("preset", PRESET)
    assert variant == Variant("preset", PRESET, is_preset=True)
    assert variant.of(Intensity()) is variant
    assert variant.of(Rule()).postprocessing == Postprocessing()
    words = read_variant("median", PRESET)
    assert words.of(Rule()) is words, "words that are asked for are done"


def test_erosion_takes_the_rim_out_and_keeps_the_truth(one: Scored) -> None:
    scored = apply(one, "erosion=2")
    kept = scored.score > LOWEST
    assert kept[0, 5:15, 4:16].all()
    assert kept.sum() == 2 * 10 * 12
    assert np.array_equal(scored.truth, one.truth), "lesion in the rim still counts, as missed"
    assert not scored.segment(-1e30)[~kept].any()


def test_components(make_scored: Make) -> None:
    """A voxel has 4 x 2 x 2 mm = 0.016 mL: a component of one voxel goes, one of four stays, also
    across slices.
    """
    score = np.zeros((2, 6, 6))
    score[0, 0, 0] = 1
    score[:, 3:5, 3] = 1
    one = make_scored(score, score > 0, variant=read_variant("components=0.05", PRESET))
    assert one.subject.voxel_ml == pytest.approx(0.016)
    assert one.segment(0.5).sum() == 4
    assert make_scored(score, score > 0).segment(0.5).sum() == 5


class TestErosion:
    def test_disk(self) -> None:
        """A disk of radius 2 has 13 pixels: what is closer than that to the border or a hole
        goes.
        """
        brain = np.zeros((1, 11, 11), dtype=bool)
        brain[0, 1:10, 1:10] = True
        brain[0, 5, 5] = False
        eroded = erode_slices(brain, 2)
        expected = np.zeros_like(brain)
        expected[0, 3:8, 3:8] = True
        rows, columns = np.ogrid[:11, :11]
        expected[0, (rows - 5) ** 2 + (columns - 5) ** 2 <= 4] = False
        assert np.array_equal(eroded, expected)

    def test_slices_are_apart(self) -> None:
        brain = np.zeros((3, 9, 9), dtype=bool)
        brain[1, 1:8, 1:8] = True
        assert erode_slices(brain, 1)[1].sum() == 25
        assert not erode_slices(brain, 1)[[0, 2]].any()

    def test_nothing_to_erode(self) -> None:
        brain = np.ones((2, 4, 4), dtype=bool)
        assert np.array_equal(erode_slices(brain, 0), brain)
