"""mmccd.phantom.subject: images of a known anatomy, the built-in brain, and lesions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.typing import NDArray

from mmccd.brain import find_brain
from mmccd.core.errors import UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.phantom import (
    DEMO_LESIONS,
    KINDS,
    PLAIN,
    Acquisition,
    Anatomy,
    Lesion,
    Phantom,
    make_phantom,
    random_acquisition,
)
from mmccd.phantom.physics import NECROSIS, OEDEMA, SEQUENCES, TISSUES, signal
from mmccd.phantom.subject import WHITE_SIGNAL


def ball_anatomy(has_head: bool = False) -> Anatomy:
    """A ball of 48 mm: grey matter from 34 mm on, white inside, a small ventricle of fluid off the
    middle; with a head, 8 mm of scalp round it.
    """
    size, centre = 121, 60.0
    axis = torch.arange(size) - centre
    distance = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2).sqrt()
    ventricle = (
        ((axis - 12)[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2).sqrt() < 9
    ).float()
    shares = {
        "white": (distance < 34).float() * (1 - ventricle),
        "grey": ((distance >= 34) & (distance < 48)).float(),
        "fluid": ventricle,
    }
    if has_head:
        shares["scalp"] = ((distance >= 48) & (distance < 56)).float()
    affine = np.eye(4)
    affine[:3, 3] = -centre
    return Anatomy("ball", shares, (48 - distance).clamp(-20, 20), affine, has_head)


def world(volume: Volume) -> NDArray[np.float64]:
    """Position of every voxel in mm."""
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
    return np.asarray(indices @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def expected(tissue: str, modality: str, field: float = 3.0) -> float:
    """Intensity in a file without anything random."""
    here, white = TISSUES[tissue].at(field), TISSUES["white"].at(field)
    sequence = SEQUENCES[modality]
    return (
        WHITE_SIGNAL
        * signal(here.t1, here.t2, here.pd, sequence)
        / signal(white.t1, white.t2, white.pd, sequence)
    )


@pytest.mark.parametrize("field", [1.5, 3.0])
@pytest.mark.parametrize("slice_mm", [2.0, 5.0])
def test_pure_tissue_has_the_signal_of_the_equations_at_its_place(
    field: float, slice_mm: float
) -> None:
    plain = make_phantom(
        0,
        None,
        replace(PLAIN, field_strength=field, slice_mm=slice_mm, pixel_mm=1.5),
        ball_anatomy(),
    )
    places = world(plain.lesion)
    distance = np.linalg.norm(places, axis=-1)
    from_ventricle = np.linalg.norm(places - [12, 0, 0], axis=-1)
    regions = {
        "white": (distance < 29) & (from_ventricle > 14),
        "grey": (distance > 38) & (distance < 44),
        "fluid": from_ventricle < 5,
    }
    for tissue, region in regions.items():
        for modality, image in plain.images.items():
            assert region.sum() > 10
            assert np.abs(image.data[region] - expected(tissue, modality, field)).max() <= 1
    assert (plain.images["flair"].data[distance > 52] == 0).all()


def test_partial_volume_is_the_mean_of_the_signals() -> None:
    """Over the border between white and grey matter no value lies outside the two signals, and
    thick slices have more values in between.
    """

    def between(slice_mm: float) -> float:
        plain = make_phantom(
            0, None, replace(PLAIN, slice_mm=slice_mm, pixel_mm=1.0), ball_anatomy()
        )
        data, places = plain.images["flair"].data, world(plain.lesion)
        values = data[
            (np.linalg.norm(places, axis=-1) < 46)
            & (np.linalg.norm(places - [12, 0, 0], axis=-1) > 15)
        ]
        low, high = expected("white", "flair"), expected("grey", "flair")
        assert values.min() >= low - 1
        assert values.max() <= high + 1
        return float(((values > low + 5) & (values < high - 5)).mean())

    assert between(6.0) > 1.5 * between(1.0)


def test_field_changes_contrast() -> None:
    low = make_phantom(0, None, replace(PLAIN, field_strength=1.5, pixel_mm=2.0), ball_anatomy())
    high = make_phantom(0, None, replace(PLAIN, pixel_mm=2.0), ball_anatomy())
    assert (low.field_strength, high.field_strength) == (1.5, 3.0)
    assert not np.allclose(low.images["t1"].data, high.images["t1"].data, atol=5)


def test_noise_is_rician() -> None:
    """In the air round a head the mean is sigma sqrt(pi/2), in signal the spread is sigma."""
    noisy = make_phantom(
        3, None, replace(PLAIN, noise=0.05, pixel_mm=2.0), ball_anatomy(has_head=True), head=True
    )
    distance = np.linalg.norm(world(noisy.lesion), axis=-1)
    flair, sigma = noisy.images["flair"].data, 0.05 * WHITE_SIGNAL
    assert flair[distance > 60].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.03)
    white = flair[
        (distance < 29) & (np.linalg.norm(world(noisy.lesion) - [12, 0, 0], axis=-1) > 14)
    ]
    assert white.std() == pytest.approx(sigma, rel=0.05)
    assert np.corrcoef(flair[distance > 60], noisy.images["t2"].data[distance > 60])[
        0, 1
    ] == pytest.approx(0, abs=0.05)


def test_head_and_brain_mask() -> None:
    head = make_phantom(
        0, None, replace(PLAIN, pixel_mm=2.0), ball_anatomy(has_head=True), head=True
    )
    distance = np.linalg.norm(world(head.brain), axis=-1)
    assert head.brain.data[distance < 44].all()
    assert not head.brain.data[distance > 52].any()
    assert (
        np.abs(
            head.images["flair"].data[(distance > 50) & (distance < 53.5)].mean()
            / expected("scalp", "flair")
            - 1
        )
        < 0.2
    )


def test_no_head_in_a_brain() -> None:
    with pytest.raises(UnsuitableInputError, match="without skull"):
        make_phantom(0, anatomy=ball_anatomy(), head=True)


def test_stripping_leaves_a_rim_or_takes_one() -> None:
    sizes = [
        int(
            make_phantom(
                0, None, replace(PLAIN, pixel_mm=2.0, strip_mm=mm), ball_anatomy()
            ).brain.data.sum()
        )
        for mm in (-3.0, 0.0, 3.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] / sizes[0] == pytest.approx((51 / 45) ** 3, rel=0.1)


def test_one_grid(lesion_phantom: Phantom) -> None:
    flair = lesion_phantom.images["flair"]
    assert set(lesion_phantom.images) == {"flair", "t1", "t2"}
    for name, image in lesion_phantom.images.items():
        assert image.modality == name
        assert image.same_grid(flair)
        assert image.data.dtype == np.float32
        assert np.array_equal(image.data > 0, flair.data > 0)
    for mask in (lesion_phantom.lesion, lesion_phantom.brain):
        assert mask.same_grid(flair)
        assert mask.data.dtype == np.uint8
    assert np.array_equal(lesion_phantom.brain.data > 0, flair.data > 0)


def test_spacing_and_place(healthy_phantom: Phantom) -> None:
    """The voxels that were asked for; the brain's middle is near the atlas's, and its size that of
    a brain.
    """
    flair = healthy_phantom.images["flair"]
    assert flair.spacing == pytest.approx((2.0, 2.0, 12.0))
    assert np.allclose(np.abs(world(flair)[flair.data > 0].mean(0) - [0, -18, 10]), 0, atol=12)
    litres = (flair.data > 0).sum() * flair.voxel_ml / 1000
    assert 1.2 < litres < 2.1


def test_tissues_look_as_they_should(healthy_phantom: Phantom) -> None:
    """Over tissue that is white (bright on T1), grey, or fluid (very bright on T2): the order of
    the three contrasts.
    """
    flair, t1, t2 = (healthy_phantom.images[name].data for name in ("flair", "t1", "t2"))
    brain = flair > 0
    white = brain & (t1 > np.quantile(t1[brain], 0.8)) & (t2 < np.median(t2[brain]))
    fluid = brain & (t2 > np.quantile(t2[brain], 0.98))
    grey = (
        brain
        & (t1 > np.quantile(t1[brain], 0.2))
        & (t1 < np.median(t1[brain]))
        & (t2 < np.quantile(t2[brain], 0.8))
    )
    assert t2[white].mean() < t2[grey].mean() < t2[fluid].mean()
    assert t1[white].mean() > t1[grey].mean() > t1[fluid].mean()
    assert flair[fluid].mean() < 0.6 * flair[white].mean()
    assert 300 < np.median(flair[white]) < 500


def test_large_lesions_of_the_demo_change_what_they_should(lesion_phantom: Phantom) -> None:
    places = world(lesion_phantom.lesion)
    brain = lesion_phantom.images["flair"].data > 0
    ratios = []
    for lesion in DEMO_LESIONS[:2]:
        distance = np.linalg.norm(places - lesion.centre_mm, axis=-1)
        core = distance < 0.6 * lesion.radius_mm
        around = (
            brain
            & (distance > 1.5 * lesion.radius_mm)
            & (distance < 2.2 * lesion.radius_mm)
            & (lesion_phantom.lesion.data == 0)
        )
        assert lesion_phantom.lesion.data[core].mean() > 0.8
        ratios.append(
            {
                name: image.data[core].mean() / np.median(image.data[around])
                for name, image in lesion_phantom.images.items()
            }
        )
    oedema, necrosis = ratios
    assert oedema["flair"] > 1.4, "bright on FLAIR"
    assert 0.85 < necrosis["flair"] < 1.4, "like grey matter on FLAIR: no threshold finds it"
    assert oedema["t2"] > 1.4
    assert necrosis["t2"] > 1.8
    assert necrosis["t1"] < 0.85


def test_a_lesion_has_its_size_and_its_tissue() -> None:
    lesion = Lesion((-10.0, 5.0, 0.0), 12.0, OEDEMA, roughness=0)
    plain = make_phantom(0, (lesion,), replace(PLAIN, slice_mm=2.0, pixel_mm=1.0), ball_anatomy())
    millilitres = plain.lesion.data.sum() * plain.lesion.voxel_ml
    assert millilitres == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=0.05)
    core = np.linalg.norm(world(plain.lesion) - lesion.centre_mm, axis=-1) < 9
    white = TISSUES["white"]
    for name, image in plain.images.items():
        ratio = signal(OEDEMA.t1, OEDEMA.t2, OEDEMA.pd, SEQUENCES[name]) / signal(
            white.t1, white.t2, white.pd, SEQUENCES[name]
        )
        assert np.abs(image.data[core] / WHITE_SIGNAL - ratio).max() < 0.01


def test_half_severity_is_the_geometric_mean_of_the_parameters() -> None:
    lesion = Lesion((-10.0, 5.0, 0.0), 12.0, OEDEMA, roughness=0, severity=0.5)
    plain = make_phantom(0, (lesion,), replace(PLAIN, slice_mm=2.0, pixel_mm=1.5), ball_anatomy())
    core = np.linalg.norm(world(plain.lesion) - lesion.centre_mm, axis=-1) < 6
    white = TISSUES["white"]
    mean = [
        float(np.sqrt(getattr(white, key) * getattr(OEDEMA, key))) for key in ("t1", "t2", "pd")
    ]
    for name, image in plain.images.items():
        ratio = signal(mean[0], mean[1], mean[2], SEQUENCES[name]) / signal(
            white.t1, white.t2, white.pd, SEQUENCES[name]
        )
        assert np.abs(image.data[core] / WHITE_SIGNAL - ratio).max() < 0.01


def test_oedema_spares_the_cortex() -> None:
    where = Lesion((-30.0, 0.0, 0.0), 12.0, OEDEMA, roughness=0)
    everywhere, white_only = (
        make_phantom(
            0,
            (replace(where, white_only=kept),),
            replace(PLAIN, slice_mm=2.0, pixel_mm=1.5),
            ball_anatomy(),
        )
        for kept in (False, True)
    )
    cortex = np.linalg.norm(world(everywhere.lesion), axis=-1) > 36
    assert everywhere.lesion.data[cortex].any()
    assert not white_only.lesion.data[cortex].any()


def test_mass_effect_pushes_the_ventricle_away() -> None:
    lesion = Lesion((-8.0, 0.0, 0.0), 12.0, NECROSIS, roughness=0)
    settings_ = replace(PLAIN, slice_mm=2.0, pixel_mm=1.0)
    ventricles = []
    for push in (0.0, 6.0):
        plain = make_phantom(0, (replace(lesion, push_mm=push),), settings_, ball_anatomy())
        fluid = (plain.images["t2"].data > 0.8 * expected("fluid", "t2")) & (plain.lesion.data == 0)
        ventricles.append(world(plain.lesion)[fluid].mean(0))
    assert ventricles[1][0] > ventricles[0][0] + 1
    assert ventricles[1][1:] == pytest.approx(ventricles[0][1:], abs=0.5)


def test_flair_contrast_that_was_asked_for() -> None:
    lesion = Lesion((-10.0, 5.0, 0.0), 12.0, NECROSIS, roughness=0, flair_contrast=1.1)
    plain = make_phantom(
        0, (lesion,), replace(PLAIN, slice_mm=2.0, pixel_mm=1.5, field_strength=1.5), ball_anatomy()
    )
    core = np.linalg.norm(world(plain.lesion) - lesion.centre_mm, axis=-1) < 6
    assert np.abs(plain.images["flair"].data[core] / WHITE_SIGNAL - 1.1).max() < 0.01
    assert plain.images["t2"].data[core].mean() > 2 * WHITE_SIGNAL


def test_a_later_lesion_lies_in_an_earlier_one() -> None:
    """Necrosis in oedema: the mask is their union, the core has the necrosis's signal."""
    outer, inner = (
        Lesion((-8.0, 0.0, 0.0), 14.0, OEDEMA, roughness=0),
        Lesion((-8.0, 0.0, 0.0), 7.0, NECROSIS, roughness=0),
    )
    grid = replace(PLAIN, slice_mm=2.0, pixel_mm=1.5)
    both, alone = (
        make_phantom(0, lesions, grid, ball_anatomy()) for lesions in ((outer, inner), (inner,))
    )
    core = np.linalg.norm(world(both.lesion) - inner.centre_mm, axis=-1) < 4
    assert np.array_equal(both.images["t2"].data[core], alone.images["t2"].data[core])
    assert np.array_equal(
        both.lesion.data, make_phantom(0, (outer,), grid, ball_anatomy()).lesion.data
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))
def test_no_lesion_outside_the_brain(kind: str, seed: int) -> None:
    acquisition = replace(
        random_acquisition(np.random.default_rng(seed)), slice_mm=6.0, pixel_mm=3.0
    )
    made = make_phantom(seed, kind, acquisition, ball_anatomy())
    assert not made.lesion.data[made.brain.data == 0].any()
    assert (made.images["flair"].data[made.brain.data > 0] >= 1).all()
    assert np.array_equal(made.images["flair"].data > 0, made.brain.data > 0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_kinds_have_a_lesion(kind: str) -> None:
    made = [
        make_phantom(seed, kind, Acquisition(pixel_mm=2.0), ball_anatomy()).lesion
        for seed in range(3)
    ]
    sizes = [float(lesion.data.sum()) * lesion.voxel_ml for lesion in made]
    assert max(sizes) > 0.2
    assert max(sizes) < 120


def test_bright_and_isointense_kinds() -> None:
    """On FLAIR a glioma is brighter than all healthy tissue, an iso-intense mass is within it; on
    T2 both are far outside it.
    """
    medians = {}
    for kind in ("glioma", "isointense"):
        made = make_phantom(5, kind, replace(PLAIN, pixel_mm=1.5, slice_mm=3.0), ball_anatomy())
        inside = made.lesion.data > 0
        medians[kind] = {
            name: float(np.median(image.data[inside])) / WHITE_SIGNAL
            for name, image in made.images.items()
        }
    assert medians["glioma"]["flair"] > 1.3
    assert 0.9 < medians["isointense"]["flair"] < 1.35
    assert min(found["t2"] for found in medians.values()) > 1.8


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="glioma"):
        make_phantom(0, "flu", anatomy=ball_anatomy())


def test_lesion_that_reaches_out_of_the_brain_is_cut() -> None:
    lesion = Lesion((44.0, 0.0, 0.0), 14.0, OEDEMA)
    edge = make_phantom(3, (lesion,), Acquisition(slice_mm=4.0, pixel_mm=2.0), ball_anatomy())
    ball = np.linalg.norm(world(edge.lesion) - lesion.centre_mm, axis=-1) < 10
    outside = edge.images["flair"].data == 0
    assert (ball & outside).any(), "the ball does reach out of the brain"
    assert edge.lesion.data.any()
    assert not edge.lesion.data[outside].any()


def test_no_lesions_empty_mask(healthy_phantom: Phantom) -> None:
    assert not healthy_phantom.lesion.data.any()


def test_the_seed_decides() -> None:
    acquisition = Acquisition(slice_mm=4.0, pixel_mm=3.0)
    first, again, other = (
        make_phantom(seed, "glioma", acquisition, ball_anatomy()) for seed in (4, 4, 5)
    )
    assert np.array_equal(first.lesion.data, again.lesion.data)
    assert not np.array_equal(first.lesion.data, other.lesion.data)
    for name, image in first.images.items():
        assert np.array_equal(again.images[name].data, image.data)
        assert np.mean(other.images[name].data != image.data) > 0.1


def test_subjects_differ_in_shape_and_tissue() -> None:
    """Warp, tilt and scaling move the brain's border; texture and individual values spread a
    tissue's signal.
    """
    plain = make_phantom(1, None, replace(PLAIN, pixel_mm=2.0), ball_anatomy())
    warped = make_phantom(
        1, None, replace(PLAIN, pixel_mm=2.0, warp_mm=3.0, scaling=0.05), ball_anatomy()
    )
    spread = [
        float(np.linalg.norm(world(each.brain)[each.brain.data > 0], axis=-1).max())
        for each in (plain, warped)
    ]
    assert spread[1] != pytest.approx(spread[0], abs=0.5)
    varied = make_phantom(
        1, None, replace(PLAIN, pixel_mm=2.0, texture=0.06, individual=0.05), ball_anatomy()
    )
    white = (np.linalg.norm(world(varied.lesion), axis=-1) < 29) & (
        np.linalg.norm(world(varied.lesion) - [12, 0, 0], axis=-1) > 16
    )
    assert varied.images["flair"].data[white].std() > 5
    assert plain.images["flair"].data[white].std() < 1


def test_noise_differs_between_contrasts_and_translation_is_no_lookup_table(
    healthy_phantom: Phantom,
) -> None:
    """One FLAIR value stands for many T2 values."""
    flair, t2 = healthy_phantom.images["flair"].data, healthy_phantom.images["t2"].data
    band = (flair > 395) & (flair < 405)
    assert t2[band].std() > 20


def test_brain_is_found(healthy_phantom: Phantom, lesion_phantom: Phantom) -> None:
    for phantom in (healthy_phantom, lesion_phantom):
        for image in phantom.images.values():
            brain = find_brain(image)
            assert brain.method == "already stripped"
            assert (brain.mask >= (image.data > 0)).all()
            assert brain.mask.sum() < 1.02 * (image.data > 0).sum()
