"""mmccd.imaging.preprocessing: where things land on the model grid and back, and the intensity
normalisation.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmccd.core.errors import UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.imaging.grid import Grid, GridTransform, resampling_weights
from mmccd.imaging.normalisation import Normalisation
from mmccd.imaging.slices import to_model_slices

Array = NDArray[np.float64]
AXIS_ORDERS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
OBLIQUE = (12.0, -9.0, 14.0)
PIXEL, MIDDLE = 1.875, 63.5


def head(
    order: tuple[int, ...],
    signs: tuple[int, ...],
    degrees: tuple[float, ...],
    spacing: tuple[float, ...] = (1.2, 2.0, 4.5),
) -> Volume:
    """An empty field of view whose voxel axis a runs along the patient axis ``order[a]`` (R, A, S),
    turned by ``degrees``.
    """
    matrix = np.zeros((3, 3))
    for axis, (world, sign, distance) in enumerate(zip(order, signs, spacing, strict=True)):
        matrix[world, axis] = sign * distance
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ matrix
    affine[:3, 3] = (31.0, -17.0, 8.0)
    return Volume(np.zeros((100, 66, 34)), affine)


def world_of(volume: Volume) -> Array:
    """Position of every voxel in mm (R, A, S), ``(i, j, k, 3)``."""
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
    return indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def box(volume: Volume) -> NDArray[np.bool_]:
    """A brain mask off the middle, with even numbers of voxels: its centre lies on voxel edges."""
    mask = np.zeros(volume.shape, dtype=bool)
    mask[20:94, 6:58, 4:32] = True
    return mask


def axis_towards(volume: Volume, direction: tuple[int, int, int]) -> Array:
    """Unit vector of the voxel axis, forwards or backwards, that is closest to a patient direction
    (R, A, S).
    """
    units = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    cosines = units.T @ np.array(direction)
    best = int(np.argmax(np.abs(cosines)))
    return units[:, best] * np.sign(cosines[best])


def expected_pixel(volume: Volume, mask: NDArray[np.bool_], point: Array) -> Array:
    """(slice, row, column) of a point in mm by the design: LPS, 1.875 mm, the brain in the middle,
    slices where they are.
    """
    positions = world_of(volume)
    ends = [(found.min() + found.max()) / 2 for found in np.nonzero(mask)]
    centre = volume.affine[:3, :3] @ ends + volume.affine[:3, 3]
    left, posterior, superior = (
        axis_towards(volume, direction) for direction in ((-1, 0, 0), (0, -1, 0), (0, 0, 1))
    )
    heights = positions @ superior
    thickness = np.unique(np.round(heights, 6))
    slice_ = (point @ superior - heights.min()) / (thickness[1] - thickness[0])
    return np.array(
        [
            slice_,
            MIDDLE + (point - centre) @ posterior / PIXEL,
            MIDDLE + (point - centre) @ left / PIXEL,
        ]
    )


def blob(positions: Array, point: Array, sigma: float = 6.0) -> NDArray[np.float32]:
    """A bright spot with soft edges around a point."""
    return np.exp(-((positions - point) ** 2).sum(-1) / (2 * sigma**2)).astype(np.float32)


def centroid(values: NDArray[np.float32]) -> Array:
    """Centre of mass in indices."""
    return np.array(
        [
            (values.sum(axis=tuple(a for a in range(3) if a != axis)) @ np.arange(n)) / values.sum()
            for axis, n in enumerate(values.shape)
        ]
    )


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(("order", "signs"), AXIS_ORDERS)
def test_a_landmark_lands_where_its_world_position_says(
    order: tuple[int, ...], signs: tuple[int, ...], degrees: tuple[float, ...]
) -> None:
    volume = head(order, signs, degrees)
    mask, positions = box(volume), world_of(volume)
    point = positions[70, 20, 22] + (0.3, -0.4, 0.2)
    transform = GridTransform.fit(volume, mask)
    landmark = blob(positions, point)
    slices = transform.to_model(landmark, 0.0)
    expected = expected_pixel(volume, mask, point)
    # Well below half a pixel: a shift by half a native voxel would be seen.
    np.testing.assert_allclose(centroid(slices), expected, atol=0.15)
    native = transform.to_native(slices, np.ones(slices.shape, dtype=bool))
    assert native.shape == volume.shape
    np.testing.assert_allclose(centroid(native), centroid(landmark), atol=0.25)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(AXIS_ORDERS),
    st.tuples(*[st.floats(-15, 15)] * 3),
    st.sampled_from([(1.2, 2.0, 4.5), (0.9, 1.7, 4.0), (2.2, 1.1, 3.0)]),
)
def test_directions_hold_for_any_obliquity(
    axes: tuple[tuple[int, ...], tuple[int, ...]],
    degrees: tuple[float, ...],
    spacing: tuple[float, ...],
) -> None:
    volume = head(*axes, degrees, spacing)
    mask, positions = box(volume), world_of(volume)
    transform = GridTransform.fit(volume, mask)
    point = positions[60, 30, 18]
    np.testing.assert_allclose(
        centroid(transform.to_model(blob(positions, point), 0.0)),
        expected_pixel(volume, mask, point),
        atol=0.2,
    )
    for direction, axis, sign in (((-1, 0, 0), 2, 1), ((0, -1, 0), 1, 1), ((0, 0, 1), 0, 1)):
        ramp = transform.to_model((positions @ np.array(direction)).astype(np.float32), 0.0)
        inner = ramp[5:25, 60:68, 60:68] if ramp.shape[0] > 25 else ramp[:, 60:68, 60:68]
        assert sign * float(np.diff(inner, axis=axis).mean()) > 0, (
            "rows run to posterior, columns to the patient's left, slices to superior"
        )


@pytest.mark.parametrize(("order", "signs"), AXIS_ORDERS[::5])
def test_model_slices_as_native_voxels(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = head(order, signs, OBLIQUE)
    transform = GridTransform.fit(volume, box(volume))
    height = world_of(volume) @ axis_towards(volume, (0, 0, 1))
    levels = np.unique(np.round(height, 6))
    chosen = np.zeros(len(levels), dtype=bool)
    chosen[[0, 7]] = True
    expected = np.isclose(height, levels[0], atol=1e-4) | np.isclose(height, levels[7], atol=1e-4)
    np.testing.assert_array_equal(transform.slices_to_native(chosen), expected)


@pytest.mark.parametrize(
    "spacing", [(0.9, 0.9, 3.0), (1.875, 1.875, 5.0), (2.4, 1.0, 5.0), (3.0, 3.0, 3.0)]
)
def test_constants_stay(spacing: tuple[float, float, float]) -> None:
    volume = replace(
        head((0, 1, 2), (-1, -1, 1), OBLIQUE, spacing), data=np.full((100, 66, 34), 7.0)
    )
    brain = ((world_of(volume) - world_of(volume)[50, 33, 17]) ** 2).sum(-1) < 28**2
    transform = GridTransform.fit(volume, brain)
    everywhere = transform.to_model(volume.data, 7.0)
    np.testing.assert_allclose(everywhere, 7.0, rtol=1e-5)
    slices = transform.to_model(volume.data, 0.0)
    inside = transform.to_model(brain, 0.0) >= 0.5
    np.testing.assert_allclose(slices[inside], 7.0, rtol=1e-5)
    outside = np.where(inside, slices, np.nan)
    native = transform.to_native(outside, inside)
    assert np.isfinite(native).all(), "what does not count has no influence"
    np.testing.assert_allclose(native[native != 0], 7.0, rtol=1e-5)
    assert (native[brain] != 0).mean() > 0.99, "the brain is covered but for slivers at its surface"


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 3.0), (0.9375, 0.9375, 5.0), (2.5, 1.5, 4.0)])
def test_a_smooth_image_returns(spacing: tuple[float, float, float]) -> None:
    volume = head((2, 0, 1), (1, -1, -1), (0.0, 0.0, 0.0), (spacing[2], spacing[0], spacing[1]))
    positions = world_of(volume)
    smooth = (
        10
        + np.sin(positions[..., 0] / 12)
        + np.cos(positions[..., 1] / 15)
        + positions[..., 2] / 40
    ).astype(np.float32)
    transform = GridTransform.fit(volume, box(volume))
    slices = transform.to_model(smooth, 0.0)
    native = transform.to_native(slices, np.ones(slices.shape, dtype=bool))
    inner = np.s_[5:-5, 5:-5, 5:-5]
    assert float(np.abs(native - smooth)[inner].max()) < 0.02 * float(np.ptp(smooth))


def test_half_pixels_are_averaged_two_by_two_exactly() -> None:
    affine = np.diag([-PIXEL / 2, -PIXEL / 2, 4.0, 1.0])
    data = np.random.default_rng(0).integers(0, 1000, (64, 48, 5)).astype(np.float32)
    brain = np.zeros(data.shape, dtype=bool)
    brain[4:61, 3:45] = True
    transform = GridTransform.fit(Volume(data, affine), brain)
    slices = transform.to_model(data, -5.0)
    left, top = (int(MIDDLE + 0.5 - (centre + 0.5) / 2) for centre in transform.centre)
    blocks = data.reshape(32, 2, 24, 2, 5).mean(axis=(1, 3)).transpose(2, 1, 0)
    np.testing.assert_array_equal(slices[:, top : top + 24, left : left + 32], blocks)
    rest = np.ones(slices.shape, dtype=bool)
    rest[:, top : top + 24, left : left + 32] = False
    np.testing.assert_array_equal(slices[rest], -5.0)


def test_equal_pixels_are_copied_exactly() -> None:
    affine = np.diag([-PIXEL, -PIXEL, 4.0, 1.0])
    data = np.random.default_rng(0).normal(size=(40, 30, 4)).astype(np.float32)
    slices = GridTransform.fit(Volume(data, affine), np.ones(data.shape, dtype=bool)).to_model(
        data, 0.0
    )
    np.testing.assert_allclose(slices[:, 49:79, 44:84], data.transpose(2, 1, 0), rtol=0, atol=1e-6)


def test_coarse_pixels_are_interpolated_linearly() -> None:
    affine = np.diag([-3.0, -3.0, 4.0, 1.0])
    data = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 40, 4))
    slices = GridTransform.fit(Volume(data, affine), np.ones(data.shape, dtype=bool)).to_model(
        data, 0.0
    )
    columns = 19.5 + (np.arange(128) - MIDDLE) * PIXEL / 3.0
    inner = (columns > 0) & (columns < 39)
    np.testing.assert_allclose(slices[0, 64, inner], columns[inner], atol=1e-4)


def test_the_fill_is_outside_the_field_of_view() -> None:
    volume = head((0, 1, 2), (1, 1, 1), (0.0, 0.0, 0.0))
    slices = GridTransform.fit(volume, box(volume)).to_model(np.ones(volume.shape), -3.0)
    assert set(np.unique(slices[:, [0, -1]])) == {np.float32(-3.0)}
    assert slices[:, 60:68, 60:68] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("count", "spacing", "fits"),
    [(200, 1.2, True), (201, 1.2, False), (96, 2.5, True), (98, 2.5, False)],
)
def test_a_brain_larger_than_the_field_of_view(count: int, spacing: float, fits: bool) -> None:
    """240 mm is the last that fits, in both directions."""
    for shape in ((count, 20, 5), (20, count, 5)):
        volume = Volume(np.zeros(shape), np.diag([spacing, spacing, 4.0, 1.0]))
        mask = np.ones(shape, dtype=bool)
        if not fits:
            with pytest.raises(UnsuitableInputError, match="240 mm"):
                GridTransform.fit(volume, mask)
            continue
        transform = GridTransform.fit(volume, mask)
        slices = transform.to_model(mask, 0.0)
        assert slices.max() == pytest.approx(1.0)
        assert (transform.to_native(slices, slices > 0.5) > 0.5).all(), "nothing is cropped"


def test_a_long_head_is_not_too_large_along_the_slices() -> None:
    volume = Volume(np.zeros((30, 30, 100)), np.diag([2.0, 2.0, 5.0, 1.0]))
    assert GridTransform.fit(volume, np.ones(volume.shape, dtype=bool)).to_model(
        volume.data, 0.0
    ).shape == (100, 128, 128)


def test_another_grid() -> None:
    volume = Volume(np.ones((30, 30, 4)), np.diag([2.0, 2.0, 5.0, 1.0]))
    mask = np.ones(volume.shape, dtype=bool)
    slices = GridTransform.fit(volume, mask, Grid(16, 4.0)).to_model(volume.data, 0.0)
    assert slices.shape == (4, 16, 16)
    assert float(slices.sum()) * 16 == pytest.approx(mask.sum() * 4)
    with pytest.raises(UnsuitableInputError):
        GridTransform.fit(volume, mask, Grid(14, 4.0))


@settings(deadline=None)
@given(
    st.integers(2, 60),
    st.floats(0.3, 6),
    st.floats(-30, 30),
    st.integers(1, 60),
    st.floats(0.3, 6),
    st.floats(-30, 30),
)
def test_weights_sum_to_one_inside_the_field(
    count: int, spacing: float, start: float, new_count: int, new_spacing: float, new_start: float
) -> None:
    weights = resampling_weights(count, spacing, start, new_count, new_spacing, new_start)
    assert weights.shape == (new_count, count)
    assert (weights >= 0).all()
    new = new_start + new_spacing * np.arange(new_count)
    first, last = start - spacing / 2, start + spacing * (count - 0.5)
    reach = new_spacing / 2 if new_spacing >= spacing else 0.0
    margin = 1e-6
    inside = (new - reach > first + margin) & (new + reach < last - margin)
    outside = (new + reach < first - margin) | (new - reach > last + margin)
    np.testing.assert_allclose(weights[inside].sum(1), 1.0, atol=1e-4)
    np.testing.assert_array_equal(weights[outside], 0.0)
    assert (weights.sum(1) <= 1 + 1e-4).all()


@settings(deadline=None)
@given(st.integers(4, 40), st.floats(0.5, 4), st.integers(4, 40), st.floats(0.5, 4))
def test_resampling_keeps_ramps(
    count: int, spacing: float, new_count: int, new_spacing: float
) -> None:
    """A ramp stays where it is: no shift by half a pixel in either direction."""
    start, new_start = -spacing * (count - 1) / 2, -new_spacing * (new_count - 1) / 2
    weights = resampling_weights(count, spacing, start, new_count, new_spacing, new_start)
    old, new = start + spacing * np.arange(count), new_start + new_spacing * np.arange(new_count)
    resampled = weights @ old
    margin = max(spacing, new_spacing)
    inner = np.abs(new) < spacing * count / 2 - margin
    # The average over a staircase is off by at most spacing^2 / 8 at each of the two edges, shared
    # out over the new pixel.
    tolerance = 1e-3 + (spacing**2 / (8 * new_spacing) * 2 if new_spacing >= spacing else 0.0)
    np.testing.assert_allclose(resampled[inner], new[inner], atol=tolerance)
    np.testing.assert_allclose(resampled, -resampled[::-1], atol=1e-3)


@pytest.mark.parametrize(("modality", "upper"), [("flair", 90.0), ("t1", 98.0), ("t2", 98.0)])
def test_normalisation_of_the_paper(modality: str, upper: float) -> None:
    values = np.random.default_rng(1).gamma(4, 100, 5000)
    normalisation = Normalisation.for_modality(modality)
    assert normalisation == Normalisation("paper", 2.0, upper, 0.0)
    scale, shift = normalisation.fit(values)
    ordered = np.sort(values)
    kept = ordered[int(np.ceil(0.02 * 4999)) : int(np.floor(upper / 100 * 4999)) + 1]
    np.testing.assert_allclose(
        scale * values + shift, (values - kept.mean()) / kept.std(), rtol=1e-6, atol=1e-9
    )


def test_normalisation_of_the_public_code() -> None:
    values = np.random.default_rng(1).gamma(4, 100, 5001)
    normalisation = Normalisation.for_modality("flair", "code")
    assert (normalisation.kind, normalisation.background) == ("code", -3.0)
    scale, shift = normalisation.fit(values)
    reference = np.sort(values)[4500]
    np.testing.assert_allclose(scale * values + shift, 6 * values / reference - 3, rtol=1e-9)


def test_normalisation_to_a_range() -> None:
    values = np.random.default_rng(1).gamma(4, 100, 5001)
    scale, shift = Normalisation("range", 2.0, 90.0).fit(values)
    low, high = np.sort(values)[[100, 4500]]
    np.testing.assert_allclose(
        scale * np.array([low, high, 0.0]) + shift,
        [0.0, 1.0, -low / (high - low)],
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("range", np.full(500, 3.0)),
        ("paper", np.full(500, 3.0)),
        ("paper", np.zeros(500)),
        ("paper", np.r_[np.full(490, 100.0), np.arange(10)]),
        ("code", np.zeros(500)),
    ],
)
def test_constant_intensities_are_refused(kind: str, values: Array) -> None:
    with pytest.raises(UnsuitableInputError) as caught:
        Normalisation(kind).fit(values)
    assert "\n" not in str(caught.value)


def test_negative_intensities_are_refused_where_they_must_be_positive() -> None:
    with pytest.raises(UnsuitableInputError, match="positive"):
        Normalisation("code").fit(-np.arange(1.0, 500.0))


@pytest.mark.parametrize(
    "arguments", [{"kind": "z"}, {"lower": -1.0}, {"lower": 60.0, "upper": 50.0}, {"upper": 101.0}]
)
def test_normalisation_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Normalisation(**arguments)  # type: ignore[arg-type]


@pytest.fixture
def scan() -> tuple[Volume, NDArray[np.bool_]]:
    """A volume of noise with a spherical brain, background 0."""
    volume = head((0, 1, 2), (-1, 1, 1), OBLIQUE, (1.0, 1.2, 3.0))
    brain = ((world_of(volume) - world_of(volume)[50, 33, 17]) ** 2).sum(-1) < 30**2
    data = np.where(brain, np.random.default_rng(2).normal(100, 20, volume.shape), 0.0).astype(
        np.float32
    )
    return volume.with_data(data), brain


@pytest.mark.parametrize("kind", ["paper", "code"])
def test_model_slices_are_normalised_inside_and_constant_outside(
    kind: str, scan: tuple[Volume, NDArray[np.bool_]]
) -> None:
    volume, brain = scan
    normalisation = Normalisation.for_modality("flair", kind)
    slices = to_model_slices(volume, brain, normalisation)
    assert slices.image.shape == slices.brain.shape == (34, 1, 128, 128)
    assert (slices.image.dtype, slices.brain.dtype) == (torch.float32, torch.bool)
    assert bool((slices.image[~slices.brain] == normalisation.background).all())
    area = int(slices.brain.sum()) * PIXEL**2
    assert area == pytest.approx(int(brain.sum()) * 1.0 * 1.2, rel=0.02)
    scale, shift = normalisation.fit(volume.data[brain])
    assert float(slices.image[slices.brain].mean()) == pytest.approx(
        scale * float(volume.data[brain].mean()) + shift, abs=0.15
    )


def test_scaling_the_input_changes_nothing(scan: tuple[Volume, NDArray[np.bool_]]) -> None:
    volume, brain = scan
    first = to_model_slices(volume, brain, Normalisation.for_modality("flair"))
    second = to_model_slices(
        volume.with_data(volume.data * 17 + 300), brain, Normalisation.for_modality("flair")
    )
    torch.testing.assert_close(first.image, second.image, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad: float, scan: tuple[Volume, NDArray[np.bool_]]) -> None:
    volume, brain = scan
    normalisation = Normalisation.for_modality("flair")
    clean = to_model_slices(volume, brain, normalisation)
    outside = to_model_slices(
        volume.with_data(np.where(brain, volume.data, bad)), brain, normalisation
    )
    assert torch.equal(clean.image, outside.image), "outside the brain they are nothing"
    inside = volume.data.copy()
    inside[tuple(np.argwhere(brain)[1000])] = bad
    with pytest.raises(UnsuitableInputError, match="1 voxels"):
        to_model_slices(volume.with_data(inside), brain, normalisation)


@pytest.mark.parametrize("voxels", [0, 99])
def test_too_small_a_brain(voxels: int, scan: tuple[Volume, NDArray[np.bool_]]) -> None:
    volume, _ = scan
    brain = np.zeros(volume.shape, dtype=bool)
    brain.flat[:voxels] = True
    with pytest.raises(UnsuitableInputError, match=f"{voxels} voxels"):
        to_model_slices(volume, brain, Normalisation())


def test_an_empty_mask_has_no_place() -> None:
    volume = head((0, 1, 2), (1, 1, 1), (0.0, 0.0, 0.0))
    with pytest.raises(UnsuitableInputError, match="empty"):
        GridTransform.fit(volume, np.zeros(volume.shape, dtype=bool))


def test_a_second_contrast_takes_the_place_of_the_first(
    scan: tuple[Volume, NDArray[np.bool_]],
) -> None:
    volume, brain = scan
    smaller = brain.copy()
    smaller[:45] = False
    first = to_model_slices(volume, brain, Normalisation())
    second = to_model_slices(volume, smaller, Normalisation(), first.transform)
    assert bool((second.brain <= first.brain).all())
    moved = to_model_slices(volume, smaller, Normalisation())
    assert not bool((moved.brain <= first.brain).all())
