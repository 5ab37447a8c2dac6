"""mmccd.brain.extract: the way to the network's grid and back, orientation, cleaning; with a
stand-in for the network.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from mmccd.brain.extract import AxialGrid, extract_brain, find_lower, without_neck
from mmccd.brain.slices import intensity_scale, triples
from mmccd.core.errors import UnsuitableInputError
from mmccd.core.volume import Volume

SHAPE = (80, 96, 40)
SPACING = np.array([2.0, 2.0, 4.0])
INNER = np.array([66.0, 80.0, 60.0])


def bright(x: Tensor) -> Tensor:
    """What a network says that takes the middle intensities for brain, and the lower part of it
    from the slice's position behind.
    """
    middle = x[:, 1]
    brain = (middle > 0.35) & (middle < 0.7)
    return (
        torch.stack([brain * 20.0 - 10, (middle > 0.35) & (middle < 0.45)], dim=1).float()
        * torch.tensor([1.0, 20.0])[None, :, None, None]
        - torch.tensor([0.0, 10.0])[None, :, None, None]
    )


def ball(radii: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    axes = [np.arange(n) * mm for n, mm in zip(SHAPE, SPACING, strict=True)]
    grids = np.meshgrid(*axes, indexing="ij")
    return np.asarray(
        sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii, strict=True)) < 1
    )


def head(
    centre: tuple[float, float, float] = (79.0, 95.0, 78.0),
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A bright shell round a grey brain with a dark gap between."""
    place = np.array(centre)
    brain = ball(INNER, place)
    data = np.where(ball(INNER + 12, place), 100.0, 0.0)
    data[ball(INNER + 6, place)] = 3.0
    data[brain] = 60.0
    data[brain & (np.arange(SHAPE[2]) * SPACING[2] < centre[2] - 30)] = 42.0
    return data.astype(np.float32), brain


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def affine(degrees: tuple[float, float, float] = (0, 0, 0)) -> NDArray[np.float64]:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(
        SPACING
    )
    return result


def test_a_coarse_look_finds_the_lower_part_where_extraction_does() -> None:
    """Fewer slices, each seen once; nothing where there is no brain."""
    data, _ = head()
    seen: list[int] = []

    def counted(x: Tensor) -> Tensor:
        seen.append(len(x))
        return bright(x)

    volume = Volume(data, affine())
    whole = extract_brain(volume, counted)
    by_extraction = sum(seen)
    seen.clear()
    lower = find_lower(volume, counted)
    assert dice(lower, whole.lower) > 0.8
    assert sum(seen) < 0.4 * by_extraction
    assert not find_lower(volume.with_data(np.full_like(data, 3.0)), bright).any()


def test_a_brain_is_found() -> None:
    data, brain = head()
    found = extract_brain(Volume(data, affine()), bright)
    assert dice(found.mask, brain) > 0.97
    assert found.lower.any()
    assert not (found.lower & ~found.mask).any()
    assert np.argwhere(found.lower)[:, 2].mean() < np.argwhere(found.mask)[:, 2].mean()
    assert 0 <= found.doubt < 0.2


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    degrees=st.tuples(*[st.sampled_from([-12.0, 0.0, 9.0])] * 3),
)
@pytest.mark.slow
def test_axes_do_not_matter(
    order: list[int], flips: tuple[bool, ...], degrees: tuple[float, float, float]
) -> None:
    """A brain that is found is found in the permuted, mirrored, oblique volume: the same voxels."""
    data, brain = head()
    expected = extract_brain(Volume(data, affine(degrees)), bright).mask
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(order):
        change[old, new] = -1 if flips[old] else 1
        change[old, 3] = SHAPE[old] - 1 if flips[old] else 0
    turned = data[tuple(slice(None, None, -1 if flip else 1) for flip in flips)].transpose(order)
    mask = brain[tuple(slice(None, None, -1 if flip else 1) for flip in flips)].transpose(order)
    found = extract_brain(
        Volume(np.ascontiguousarray(turned), affine(degrees) @ change), bright
    ).mask
    assert dice(found, mask) > 0.97
    back = found.transpose(np.argsort(order))[
        tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    ]
    assert (back != expected).mean() < 2e-3


@settings(max_examples=8, deadline=None)
@given(factors=st.tuples(*[st.floats(0.5, 1.6)] * 2), thickness=st.floats(0.8, 1.7))
def test_voxel_sizes_do_not_matter(factors: tuple[float, float], thickness: float) -> None:
    data, brain = head()
    zoom = [1 / factors[0], 1 / factors[1], 1 / thickness]
    place = affine() @ np.diag([*(np.array(SHAPE) / np.round(np.array(SHAPE) * zoom)), 1.0])
    found = extract_brain(
        Volume(ndimage.zoom(data, zoom, order=1, grid_mode=True, mode="nearest"), place), bright
    ).mask
    expected = (
        ndimage.zoom(brain.astype(float), zoom, order=1, grid_mode=True, mode="nearest") > 0.5
    )
    assert dice(found, expected) > 0.93


def test_a_small_head_in_a_large_field_and_at_its_edge() -> None:
    data, brain = head()
    wide = np.pad(data, ((100, 10), (0, 60), (0, 0)))
    found = extract_brain(Volume(wide, affine()), bright).mask
    assert dice(found[100:180, :96], brain) > 0.97


def test_shoulders_and_a_long_neck_do_not_move_the_field_of_view() -> None:
    """Below the head there is something wide, far to one side."""
    data, brain = head()
    tall = np.pad(data, ((0, 120), (0, 0), (30, 0)))
    tall[:, :, :20] = np.random.default_rng(0).uniform(80, 120, tall[:, :, :20].shape)
    found = extract_brain(Volume(tall, affine()), bright).mask
    assert dice(found[:80, :, 30:], brain) > 0.97


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d - 1024,
        lambda d: np.where(d == 0, np.nan, d),
        lambda d: d * 1e-6,
        lambda d: d * 1e6,
    ],
)
def test_other_zeros_and_units(change: object) -> None:
    data, brain = head()
    found = extract_brain(Volume(change(data).astype(np.float32), affine()), bright).mask  # type: ignore[operator]
    assert dice(found, brain) > 0.97


def test_what_hangs_on_by_a_thread_is_cut() -> None:
    data, brain = head()
    data[36:39, 80:, 18:21] = 60.0
    data[30:46, 90:, 12:26] = 60.0
    found = extract_brain(Volume(data, affine()), bright).mask
    assert dice(found, brain) > 0.97


def test_a_neck_that_looks_like_brain_does_not_spread() -> None:
    """The network takes a wide neck below a narrow skull base for brain: no more of it stays than
    the skull base is wide.
    """
    data, brain = head()
    heights = np.arange(SHAPE[2]) * SPACING[2] - (78.0 - INNER[2])
    neck = (
        ball(np.array([52.0, 52.0, 400.0]), np.array([79.0, 95.0, 78.0]))
        & (heights <= 4)
        & (heights > -16)
    )
    data[neck] = 60.0
    found = extract_brain(Volume(data, affine()), bright).mask
    assert float((found & ~brain).sum()) < 0.6 * float((neck & ~brain).sum())
    assert dice(found, brain) > 0.93


@pytest.mark.parametrize("upside_down", [False, True])
def test_slices_of_fat_and_bone_at_the_lower_end_are_no_brain(upside_down: bool) -> None:
    random = np.random.default_rng(0)
    radii = np.array([5, 5, 6, 9, 12, 14, 14, 12, 8, 5])
    rows = np.arange(32) - 15.5
    mask = np.hypot(rows[:, None], rows)[None] < radii[:, None, None]
    image = random.normal(100, 10, mask.shape).astype(np.float32)
    image[:2] = random.choice(np.array([20.0, 100.0, 300.0], dtype=np.float32), image[:2].shape)
    lower = np.where(np.arange(10) < 4, 0.9, 0.1)[:, None, None] * np.ones(mask.shape)
    order = slice(None, None, -1 if upside_down else 1)
    kept = without_neck(mask[order], image[order], lower[order])[order]
    assert not kept[:2].any()
    assert np.array_equal(kept[2:], mask[2:])
    image[-2:] = image[:2]
    assert np.array_equal(without_neck(mask, image, lower)[2:], mask[2:]), "the crown stays"
    assert np.array_equal(without_neck(mask, np.full_like(image, 100), lower), mask)


def test_a_leaning_brain_is_not_cut() -> None:
    """Slices shifted against each other by 0.36 of their spacing, as in a stack tilted by 20
    degrees.
    """
    data, brain = head()
    shifts = np.rint(0.36 * SPACING[2] * (np.arange(SHAPE[2]) - 20) / SPACING[1]).astype(int)
    data, brain = (
        np.stack([np.roll(array[:, :, k], shift, axis=1) for k, shift in enumerate(shifts)], axis=2)
        for array in (data, brain)
    )
    assert dice(extract_brain(Volume(data, affine()), bright).mask, brain) > 0.97


def test_no_brain() -> None:
    data = np.random.default_rng(0).normal(100, 1, SHAPE).astype(np.float32)
    with pytest.raises(UnsuitableInputError, match=r"scan\.nii: no brain was found") as caught:
        extract_brain(Volume(data, affine(), provenance={"file": "scan.nii"}), bright)
    assert "\n" not in str(caught.value)


def test_grid_is_the_way_there_and_back() -> None:
    random = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(random.normal(size=SHAPE), 4).astype(np.float32)
    volume = Volume(smooth, affine((5, -8, 170)))
    grid = AxialGrid.fit(volume, (79.0, 95.0))
    back = grid.to_native(grid.to_model(smooth))
    assert back.shape == SHAPE
    assert np.abs(back - smooth)[3:-3, 3:-3].max() < 0.05 * np.abs(smooth).max()


def test_triples_have_empty_neighbours_at_the_ends() -> None:
    slices = np.arange(1, 4, dtype=np.float32)[:, None, None] * np.ones((3, 2, 2), dtype=np.float32)
    np.testing.assert_array_equal(triples(slices)[:, :, 0, 0], [[0, 1, 2], [1, 2, 3], [2, 3, 0]])


def test_the_scale_does_not_depend_on_air() -> None:
    values = np.random.default_rng(0).uniform(50, 100, 10_000)
    assert intensity_scale(values) == pytest.approx(
        intensity_scale(np.concatenate([values, np.zeros(30_000)])), rel=0.01
    )
    assert intensity_scale(np.zeros(10)) == 1.0
