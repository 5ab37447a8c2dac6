"""mmccd.phantom.scan_slices: slices of T1 scans as mixtures of fluid, grey and white matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.phantom.label_maps import nested_labels
from tests.phantom.scans import scan_of, write_scans

from mmccd.core import InputError, UnsuitableInputError
from mmccd.io.nifti import write_nifti
from mmccd.phantom import cut_scan_slices, find_scans
from mmccd.phantom.scan_slices import (
    CHOROID,
    EDGE,
    HIGHEST,
    LOWEST,
    MIN_BRAIN_PIXELS,
    PALLIDUM,
    PLAIN,
    RIM,
    _load,
    _Scan,
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return find_scans(*write_scans(tmp_path_factory.mktemp("scans")))[0]


@pytest.fixture(scope="module")
def slices(pair: tuple[Path, Path]) -> NDArray[np.uint8]:
    return cut_scan_slices(*pair, 12, 3)


SPOT, PLEXUS = (-25.0, 23.0, 0.0), (12.0, -5.0, 0.0)
"""Where, in mm."""


def voxel(affine: NDArray[np.float64], place: tuple[float, float, float]) -> tuple[int, int, int]:
    found = np.linalg.solve(affine, [*place, 1])[:3].round().astype(int)
    return int(found[0]), int(found[1]), int(found[2])


def levels(slices: NDArray[np.uint8]) -> NDArray[np.float64]:
    return (slices[:, 0].astype(float) - 1) / 254 * (HIGHEST - LOWEST) + LOWEST


class TestFind:
    def test_by_name(self, tmp_path: Path) -> None:
        images, maps = write_scans(tmp_path, 2)
        (maps / "head01_labels.nii.gz").unlink()
        assert find_scans(images, maps) == [
            (images / "head00_T1.nii.gz", maps / "head00_labels.nii.gz")
        ]

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="none with a label map"):
            find_scans(tmp_path, tmp_path)


class TestSlices:
    def test_shapes_and_kinds(self, slices: NDArray[np.uint8]) -> None:
        assert slices.shape == (len(slices), 2, EDGE, EDGE) and slices.dtype == np.uint8
        assert len(slices) > 8
        assert ((slices[:, 0] > 0).sum((1, 2)) >= MIN_BRAIN_PIXELS).all()
        assert {PLAIN, RIM, PALLIDUM} <= set(np.unique(slices[:, 1])) <= {0, 1, 2, 3}

    def test_the_brain_is_in_the_middle_and_has_no_skull(self, slices: NDArray[np.uint8]) -> None:
        for one in slices:
            columns = np.nonzero(one[0])[1]
            assert abs(columns.mean() - (EDGE - 1) / 2) < 6
            assert np.ptp(columns) * 1.875 <= 102, "the brain of this head is 100 mm wide"
        rows = np.nonzero(slices[:, 0])[1]
        assert abs(rows.mean() - (EDGE - 1) / 2) < 6

    def test_tissues_have_their_levels_whatever_the_coil(self, slices: NDArray[np.uint8]) -> None:
        """White matter is 1, grey matter 0, although the right is a fifth brighter."""
        value, kind = levels(slices), slices[:, 1]
        inside = (slices[:, 0] > 0) & (kind == PLAIN)
        counts, edges = np.histogram(value[inside], bins=np.arange(-1.25, 1.6, 0.1))
        assert edges[counts.argmax()] == pytest.approx(1, abs=0.15)
        sides = [value[:, 64, column][inside[:, 64, column]] for column in (50, 78)]
        assert np.median(sides[0]) == pytest.approx(np.median(sides[1]), abs=0.2)

    def test_the_marker_is_at_the_right_and_in_front(self, slices: NDArray[np.uint8]) -> None:
        rows, columns = np.nonzero((slices[:, 1] == PALLIDUM).any(0))
        assert rows.mean() < 60 and columns.mean() < 60, "right is left in the picture"

    def test_a_flipped_map_gives_the_same(self, tmp_path: Path) -> None:
        first, second = (
            cut_scan_slices(*found, 4, 1) for found in find_scans(*write_scans(tmp_path, 2))
        )
        assert first.shape == second.shape
        assert np.abs(levels(first) - levels(second)).mean() < 0.02

    def test_seeded(self, pair: tuple[Path, Path], slices: NDArray[np.uint8]) -> None:
        np.testing.assert_array_equal(cut_scan_slices(*pair, 12, 3), slices)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> _Scan:
    """With a spot of white matter as bright as grey matter on T1, and something solid in a
    ventricle.
    """
    folder = tmp_path_factory.mktemp("spots")
    labels = nested_labels()
    image = scan_of(labels, dark_spot=True)
    assert image.data[voxel(image.affine, SPOT)] < 800
    image.data[voxel(image.affine, PLEXUS)] = 700
    write_nifti(labels, folder / "a_labels.nii.gz", "int16")
    write_nifti(image, folder / "a_T1.nii.gz", "float32")
    return _load(folder / "a_T1.nii.gz", folder / "a_labels.nii.gz")


class TestHealthy:
    def test_dark_spots_of_deep_white_matter_are_evened(self, scan: _Scan) -> None:
        """They are lesions of small vessels."""
        x, y, z = voxel(scan.affine, SPOT)
        assert scan.levels[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].min() >= 0.59

    def test_solid_in_a_ventricle_is_choroid_plexus(self, scan: _Scan) -> None:
        assert scan.kinds[voxel(scan.affine, PLEXUS)] == CHOROID


class TestBadInput:
    def test_no_t1_contrast(self, tmp_path: Path) -> None:
        """Fluid brighter than tissue: a T2."""
        labels = nested_labels()
        image = scan_of(labels)
        write_nifti(labels, tmp_path / "a_labels.nii.gz", "int16")
        image.data[image.data > 0] = 1300 - image.data[image.data > 0]
        write_nifti(image, tmp_path / "a_T1.nii.gz", "float32")
        with pytest.raises(UnsuitableInputError, match="expected a T1-weighted scan") as caught:
            cut_scan_slices(tmp_path / "a_T1.nii.gz", tmp_path / "a_labels.nii.gz", 1, 0)
        assert str(caught.value).startswith(str(tmp_path / "a_T1.nii.gz"))

    def test_no_brain_in_the_map(self, pair: tuple[Path, Path]) -> None:
        with pytest.raises(UnsuitableInputError, match="label map"):
            cut_scan_slices(pair[0], pair[0], 1, 0)
