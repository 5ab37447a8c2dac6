"""mmccd.core.volume: geometry and refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmccd.core.volume import Volume

SHAPE = (10, 12, 5)


def volume(shift: float = 0.0, scale: float = 1.0) -> Volume:
    """An oblique, anisotropic volume, moved along x and stretched along the slices."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix() @ np.diag(
        [0.5, 0.8, 4.0 * scale]
    )
    affine[:3, 3] = (5 + shift, -3, 8)
    return Volume(np.zeros(SHAPE), affine, "flair", {"file": "a.nii"})


def test_geometry() -> None:
    made = volume()
    assert made.shape == SHAPE
    assert made.spacing == pytest.approx((0.5, 0.8, 4.0))
    assert made.voxel_ml == pytest.approx(0.5 * 0.8 * 4.0 / 1000)


def test_a_sheared_or_mirrored_voxel_has_a_positive_volume() -> None:
    affine = np.array([[-1.0, 0, 0.5, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert Volume(np.zeros(SHAPE), affine).voxel_ml == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("shift", "scale", "same"),
    [(0, 1, True), (1e-4, 1, True), (0.1, 1, False), (0, 1 + 1e-6, True), (0, 1.01, False)],
)
def test_same_grid(shift: float, scale: float, same: bool) -> None:
    assert volume().same_grid(volume(shift, scale)) is same
    assert volume(shift, scale).same_grid(volume()) is same


def test_another_shape_is_another_grid() -> None:
    first = volume()
    assert not first.same_grid(Volume(np.zeros((10, 12, 6)), first.affine))
    assert not first.same_grid(Volume(np.zeros((12, 10, 5)), first.affine))


def test_with_data_keeps_the_place() -> None:
    first = volume()
    second = first.with_data(np.ones(SHAPE), "mask")
    assert second.modality == "mask"
    assert second.same_grid(first)
    assert second.provenance == first.provenance
    assert first.with_data(np.ones(SHAPE)).modality == "flair"
    assert not first.data.any()


def test_with_data_of_another_shape() -> None:
    with pytest.raises(ValueError, match="shape"):
        volume().with_data(np.zeros((10, 12, 4)))


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [((4, 4), (4, 4)), ((4, 4, 4, 1), (4, 4)), ((4, 4, 4), (3, 3)), ((4, 4, 4), (3, 4))],
)
def test_refuses_other_dimensions(shape: tuple[int, ...], matrix: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="shape"):
        Volume(np.zeros(shape), np.ones(matrix))


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume().modality = "t2"  # type: ignore[misc]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_axes_of_another_volume(order: tuple[int, int, int], flips: tuple[int, int, int]) -> None:
    """Permuted and reversed axes are put back: the same grid and the same voxels as before."""
    made = volume()
    made = dataclasses.replace(made, data=np.arange(made.data.size, dtype=float).reshape(SHAPE))
    corner = [n - 1 if flip < 0 else 0 for n, flip in zip(SHAPE, flips, strict=True)]
    reversing = np.diag([*flips, 1.0])
    reversing[:3, 3] = corner
    affine = (made.affine @ reversing)[:, [*order, 3]]
    changed = Volume(
        made.data[tuple(slice(None, None, flip) for flip in flips)].transpose(order), affine, "mask"
    )
    back = changed.with_axes_of(made)
    assert back.same_grid(made)
    np.testing.assert_array_equal(back.data, made.data)
    assert back.modality == "mask"
    assert changed.with_axes_of(changed).same_grid(changed)
