"""mmccd.training.brain.heads: scans of people as heads; label maps: test_synthesis.py."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mmccd.training.brain.heads import (
    BRAIN_BIT,
    CLASS_BITS,
    LEVELS_TO,
    LOWER_BIT,
    TIGHTEN_MM,
    _tightened,
    load_scan,
)


def ball(
    radius: float, centre: tuple[float, float, float], affine: NDArray[np.float64], n: int
) -> NDArray[np.bool_]:
    """Where a ball lies, in a cube of ``n`` voxels with that affine."""
    places = np.indices((n, n, n)).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    inside = np.linalg.norm(places - np.array(centre), axis=1) < radius
    return np.asarray(inside.reshape(n, n, n))


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A brain of 45 mm radius, off the middle, in a head of 60 mm; the scan is stored from front to
    back, from left to right and with voxels of 2 mm, its label map in another order with 1 mm.
    """
    folder = tmp_path_factory.mktemp("scan")
    middle = (5.0, -8.0, 10.0)
    to_scan = np.array([[0, 0, 2, -70], [-2, 0, 0, 70], [0, 2, 0, -70], [0, 0, 0, 1.0]])
    head, brain = (ball(radius, middle, to_scan, 70) for radius in (60, 45))
    lower = ball(12, (5.0, -30.0, -15.0), to_scan, 70)
    data = np.where(brain, 200.0, np.where(head, 350.0, 0.0))
    data[lower] = 100.0
    nib.save(nib.Nifti1Image(data.astype(np.float32), to_scan), folder / "someone_T1.nii.gz")
    to_map = np.array([[-1, 0, 0, 60], [0, 1, 0, -68], [0, 0, 1, -50], [0, 0, 0, 1.0]])
    labels = np.where(ball(45, middle, to_map, 120), 2, 0)
    labels[ball(12, (5.0, -30.0, -15.0), to_map, 120)] = 8
    nib.save(nib.Nifti1Image(labels.astype(np.int16), to_map), folder / "someone_labels.nii.gz")
    return folder / "someone_T1.nii.gz", folder / "someone_labels.nii.gz"


def test_scan_and_label_map_meet_in_the_world(scan: tuple[Path, Path]) -> None:
    head = load_scan(*scan)
    assert head.tissues == ()
    levels = (head.codes & CLASS_BITS) / CLASS_BITS * LEVELS_TO
    brain, lower = (head.codes & BRAIN_BIT) > 0, (head.codes & LOWER_BIT) > 0
    assert head.codes.shape == (140, 140, 140), "voxels of 1 mm"
    assert brain.sum() == pytest.approx(4 / 3 * np.pi * (45 - TIGHTEN_MM) ** 3, rel=0.03)
    assert lower.sum() == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.1)
    assert np.median(levels[brain & ~lower]) == pytest.approx(1.0, abs=0.03), "white matter is 1"
    assert np.median(levels[lower]) == pytest.approx(0.5, abs=0.03)
    assert np.median(levels[~brain & (levels > 0)]) == pytest.approx(1.75, abs=0.06)
    # Right, anterior, superior: the lower part lies behind and below the middle.
    offset = np.argwhere(lower).mean(0) - head.centre
    np.testing.assert_allclose(offset, (0, -22, -25), atol=1.0)
    np.testing.assert_allclose(head.half, 45, atol=1.5)


def test_the_border_of_a_scan_moves_inwards() -> None:
    """By half a millimetre, all round; what is smaller than a voxel of the map goes."""
    axes = np.indices((80, 80, 80)) - 40
    whole = np.asarray((axes**2).sum(0) < 30**2)
    crumb = whole.copy()
    crumb[3, 3, 3] = True
    found = _tightened(crumb)
    assert not found[3, 3, 3]
    assert not (found & ~whole).any()
    moved = (whole.sum() - found.sum()) / (4 * np.pi * 30**2)
    assert moved == pytest.approx(TIGHTEN_MM, abs=0.15)
