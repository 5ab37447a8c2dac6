"""Where voxels lie in the patient, and how many there are: what every format has to keep to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Finding, UnsuitableInputError

MIN_SLICES = 3
MAX_MATRIX = 4096
MAX_VOXELS = 2**28
"""645 x 645 x 645: more than the finest scans of heads have, and little enough (1 GB) that what is
wrong with the voxels can be told in 2 GB.
"""
SPACING_MM = (0.05, 20.0)
"""Plausible distances of neighbouring voxels of a head."""
MOST_SHEAR = 0.002
"""Cosine of the angle between two axes that counts as a right one: 0.11 degrees, as between the
slices of a DICOM series.
"""
MOST_SHEAR_DEGREES = 10.0
"""Axes further from right angles are refused: the models see them as if they were at right angles.
"""
SHEARED = "image.sheared"


def three_dimensional_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The first three numbers of voxels, where there are no more volumes than one.

    Raises:
        UnsuitableInputError: several volumes, fewer than 3 slices, or more voxels than can be read.
    """
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        raise UnsuitableInputError(
            f"{path}: holds several volumes (shape {shape}); expected one 3-D volume; split it"
            " first",
            code="image.several_volumes",
        )
    if len(shape) < 3 or min(shape[:3]) < MIN_SLICES:
        raise UnsuitableInputError(
            f"{path}: has shape {shape}, fewer than {MIN_SLICES} slices along one axis; expected a"
            " whole 3-D volume",
            code="slices.few",
        )
    i, j, k = (int(n) for n in shape[:3])
    if max(i, j, k) > MAX_MATRIX or i * j * k > MAX_VOXELS:
        raise UnsuitableInputError(
            f"{path}: has shape {(i, j, k)}; expected at most {MAX_MATRIX} voxels along an axis and"
            " 2^28 in all; check the header, or resample the image",
            code="image.too_large",
        )
    return i, j, k


def checked_affine(path: Path, stored: NDArray[np.generic], hint: str = "") -> NDArray[np.float64]:
    """The affine as float64.

    Args:
        path: the file, for messages.
        stored: 4x4 matrix from voxel indices to mm.
        hint: what else to say of spacings that cannot be right.

    Raises:
        UnsuitableInputError: it is singular or not finite, its spacings are not those of a head, or
            its axes are far from right angles.
    """
    affine = np.asarray(stored, dtype=np.float64)
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.isfinite(affine).all() and (
        lengths.min() < SPACING_MM[0] or lengths.max() > SPACING_MM[1]
    ):
        shown = " x ".join(f"{length:.4g}" for length in lengths)
        raise UnsuitableInputError(
            f"{path}: the voxels are {shown} mm apart{hint}; expected {SPACING_MM[0]} to"
            f" {SPACING_MM[1]:g} mm; check the header and its units, or convert the original DICOM"
            " series again",
            code="image.spacing",
        )
    if (
        not np.isfinite(affine).all()
        or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3
        or not np.allclose(affine[3], (0, 0, 0, 1), atol=1e-6)
    ):
        raise UnsuitableInputError(
            f"{path}: the affine is singular or not finite, so the voxels have no place in the"
            " patient; expected an invertible one; convert the original DICOM series again",
            code="nifti.affine",
        )
    if shear_degrees(affine) > MOST_SHEAR_DEGREES:
        raise UnsuitableInputError(
            f"{path}: two axes of the image are {shear_degrees(affine):.2g} degrees from a right"
            f" angle (sheared); expected at most {MOST_SHEAR_DEGREES:g}; resample it to a grid with"
            " right angles",
            code=SHEARED,
        )
    return affine


def check_shear(affine: NDArray[np.float64]) -> tuple[Finding, ...]:
    """A warning where the axes are not at right angles."""
    degrees = shear_degrees(affine)
    if np.sin(np.radians(degrees)) <= MOST_SHEAR:
        return ()
    text = (
        f"two axes of the image are {degrees:.2g} degrees from a right angle (sheared); they are"
        " taken for right-angled, and maps may be wrong"
    )
    return (Finding(SHEARED, text),)


def shear_degrees(affine: NDArray[np.float64]) -> float:
    """How far the two axes that are furthest from a right angle are from it, in degrees."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(directions.T @ directions - np.eye(3))
    return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
