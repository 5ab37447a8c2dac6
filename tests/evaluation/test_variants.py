"""mmccd.evaluation.variants: each post-processing on or off, and read from words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mmccd.core.errors import UsageError
from mmccd.evaluation.scoring import Maps
from mmccd.evaluation.variants import LOWEST, Scored, apply_variant, read_variant
from mmccd.imaging.robust import in_slice_sd
from mmccd.postprocessing.postprocessing import Postprocessing

Make = Callable[..., Scored]


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
    variant = read_variant(text, 7)
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
    assert read_variant(text, 7).postprocessing.across_mm == across_mm


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
        "",
        "slice_sd+slice_sd",
        "slice_sd=2",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--postprocessing"):
        read_variant(text, 7)


@pytest.fixture
def one(make_scored: Make) -> Scored:
    random = np.random.default_rng(0)
    brain = np.zeros((2, 20, 20), dtype=bool)
    brain[:, 3:17, 2:18] = True
    return make_scored(random.random((2, 20, 20)), random.random((2, 20, 20)) > 0.8, brain=brain)


def maps_of(one: Scored) -> Maps:
    empty = np.full(one.score.shape, np.nan, dtype=np.float16)
    anomaly = np.where(one.subject.brain, one.score, 0).astype(np.float32)
    return Maps(
        np.array(one.subject.slices), anomaly, 2 - anomaly, empty, empty, np.ones(len(anomaly))
    )


def test_none_changes_nothing_in_the_brain(one: Scored) -> None:
    (scored,) = apply_variant([maps_of(one)], [one.subject], read_variant("none", 7), 1)
    assert np.array_equal(scored.score[one.subject.brain], one.score[one.subject.brain])
    assert (scored.score[~one.subject.brain] == LOWEST).all()


def test_median_is_in_plane(one: Scored) -> None:
    (scored,) = apply_variant([maps_of(one)], [one.subject], read_variant("median=3", 7), 1)
    expected = np.stack(
        [ndimage.median_filter(layer, 3, mode="constant") for layer in maps_of(one).anomaly]
    )
    assert np.array_equal(scored.score[one.subject.brain], expected[one.subject.brain])


def test_across_uses_the_distance_of_the_slices(one: Scored) -> None:
    """Slices lie 4 mm apart."""
    (scored,) = apply_variant([maps_of(one)], [one.subject], read_variant("across=4", 7), 1)
    anomaly, weight = maps_of(one).anomaly, np.exp(-0.5)
    expected = (anomaly + weight * anomaly[::-1]) / (1 + weight)
    np.testing.assert_allclose(scored.values, expected[one.subject.brain], atol=1e-6)


def test_taken_slices_keep_what_their_neighbours_gave(one: Scored) -> None:
    (whole,) = apply_variant([maps_of(one)], [one.subject], read_variant("across", 7), 1)
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
    bright, dark = (
        apply_variant([maps_of(one)], [one.subject], read_variant("median=3", 7), sign)[0]
        for sign in (1, -1)
    )
    assert np.array_equal(bright.values, -dark.values)


@pytest.mark.parametrize("polarity", [1, -1])
def test_slice_sd_scales_the_signed_error(one: Scored, polarity: int) -> None:
    maps = maps_of(one)
    (scored,) = apply_variant([maps], [one.subject], read_variant("slice_sd+median=3", 7), polarity)
    expected = Postprocessing(3).smooth(
        in_slice_sd(polarity * maps.signed, one.subject.brain), one.subject.brain, 4.0
    )
    assert np.array_equal(scored.values, expected[one.subject.brain])


def test_erosion_takes_the_rim_out_and_keeps_the_truth(one: Scored) -> None:
    (scored,) = apply_variant([maps_of(one)], [one.subject], read_variant("erosion=2", 7), 1)
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
    one = make_scored(score, score > 0, variant=read_variant("components=0.05", 7))
    assert one.subject.voxel_ml == pytest.approx(0.016)
    assert one.segment(0.5).sum() == 4
    assert make_scored(score, score > 0).segment(0.5).sum() == 5
