"""A small head of made-up FreeSurfer labels: nested ellipsoids, and a marker on one side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmccd.core.volume import Volume
from mmccd.io.nifti import write_nifti

MARKER = 13
"""Pallidum, in front at the patient's right: a pillar through all heights."""


def nested_labels(flip: bool = False) -> Volume:
    """Voxels of 1 mm: bone and skin, fluid, grey and white matter, ventricles, the marker. Where it
    is flipped, the first axis points to the left and the second one back.
    """
    right, front, up = np.ogrid[-60:61, -72:73, -46:47]
    distance = np.sqrt((right / 50.0) ** 2 + (front / 62.0) ** 2 + (up / 40.0) ** 2)
    labels = np.zeros(distance.shape, dtype=np.float32)
    for radius, label in ((1.12, 507), (1.0, 24), (0.94, 3), (0.8, 2)):
        labels[distance < radius] = label
    for side in (-12, 12):
        labels[ball(right - side, front + 5, up / 2) < 7] = 4
    pillar = ((right - 22) ** 2 + (front - 30) ** 2 < 7**2) & (distance < 0.9)
    labels[pillar] = MARKER
    affine = np.eye(4)
    affine[:3, 3] = (-60, -72, -46)
    if flip:
        labels = labels[::-1, ::-1].copy()
        affine = affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
        affine[:2, 3] = (60, 72)
    return Volume(labels, affine, "labels")


def ball(*offsets: NDArray[np.int_]) -> NDArray[np.float64]:
    """Distance from the middle."""
    return np.sqrt(sum(np.asarray(offset, dtype=float) ** 2 for offset in offsets))


def write_labels(folder: Path, count: int = 1) -> list[Path]:
    """That head as files, every second one flipped."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"head_{number:02}.nii.gz" for number in range(count)]
    for number, file in enumerate(files):
        write_nifti(nested_labels(bool(number % 2)), file, "int16")
    return files
