"""Where a NIfTI header puts the voxels: units, sform, qform, and what to do where they differ."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from mmccd.core import Finding, UnsuitableInputError
from mmccd.io.geometry import check_shear, checked_affine

MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""By the code of the unit of length in ``xyzt_units``; 0 (not said) is taken for mm."""
UNIT_NAMES = {1: "metres", 3: "micrometres"}
_UNIT_BITS = 7
ROUNDING_MM, ROUNDING_VOXELS = 0.1, 0.05
"""How far sform and qform may place a voxel apart."""
_NO_ORIENTATION = (
    "the header has no orientation (qform and sform codes are 0); the default of the format was"
    " taken"
)


def place(
    path: Path,
    header: nib.Nifti1Header,
    shape: tuple[int, int, int],
    spacing: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """The affine that a header means, and what is out of the ordinary about it.

    The sform is taken where both forms are there, as most programs do; not where it is the
    identity, which programs write that know nothing, and the qform says more.

    Args:
        path: the file, for messages.
        header: of the file.
        shape: number of voxels along each axis.
        spacing: ``pixdim`` as it is stored; nibabel's header has 1 in place of 0.

    Returns:
        4x4 matrix from voxel indices to mm, RAS.

    Raises:
        UnsuitableInputError: the voxels have no place in the patient, or not that of a head.
    """
    unit = int(header["xyzt_units"]) & _UNIT_BITS
    to_mm = np.diag([MM_PER_UNIT.get(unit, 1.0)] * 3 + [1.0])
    sform, qform = _forms(path, header)
    stored, doubts = _chosen(sform, qform, to_mm, shape)
    if stored is None:
        stored = header.get_base_affine()
    if sform is None or stored is qform:
        stored = stored @ np.diag([*np.where(spacing == 0, 0.0, 1.0), 1.0])
    hint = f" (its header gives {UNIT_NAMES[unit]})" if unit in UNIT_NAMES else ""
    with np.errstate(invalid="ignore"):
        in_mm = to_mm @ stored
    affine = checked_affine(path, in_mm, hint)
    if sform is not None and qform is None:
        doubts = _spacing_doubts(np.abs(spacing), sform)
    return affine, (*_unit_findings(unit), *doubts, *check_shear(affine))


def _forms(
    path: Path, header: nib.Nifti1Header
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """sform and qform as float64; None where the code of the form is 0."""
    sform = np.asarray(header.get_sform(), np.float64) if header["sform_code"] > 0 else None
    try:
        qform = np.asarray(header.get_qform(), np.float64) if header["qform_code"] > 0 else None
    except (HeaderDataError, ValueError) as error:
        raise UnsuitableInputError(
            f"{path}: the qform of the header is no rotation, so the voxels have no place in the"
            " patient; expected a quaternion of length 1; convert the original DICOM series again",
            code="nifti.affine",
        ) from error
    return sform, qform


def _chosen(
    sform: NDArray[np.float64] | None,
    qform: NDArray[np.float64] | None,
    to_mm: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> tuple[NDArray[np.float64] | None, tuple[Finding, ...]]:
    """The form that is taken, in the file's units; None where there is none."""
    if sform is None and qform is None:
        return None, (Finding("nifti.no_orientation", _NO_ORIENTATION),)
    if sform is None or qform is None:
        return (qform if sform is None else sform), ()
    with np.errstate(all="ignore"):
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
        apart = to_mm @ (sform - qform) @ np.vstack([corners, np.ones(corners.shape[1])])
        distance = float(np.linalg.norm(apart[:3], axis=0).max())
        smallest = np.linalg.norm((to_mm @ sform)[:3, :3], axis=0).min()
        mirrored = np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    if distance <= max(ROUNDING_MM, ROUNDING_VOXELS * smallest):
        return sform, ()
    nameless = np.allclose(sform, np.eye(4), atol=1e-6)
    taken = (
        "the qform was taken, because the sform is the identity"
        if nameless
        else ("the sform was taken")
    )
    sides = ", one mirrored against the other" if mirrored else ""
    text = (
        f"sform and qform of the header contradict each other (by up to {distance:.1f} mm{sides});"
        f" {taken}; check left and right, or convert the original DICOM series again"
    )
    return (qform if nameless else sform), (Finding("nifti.two_orientations", text),)


def _spacing_doubts(stored: NDArray[np.float64], sform: NDArray[np.float64]) -> tuple[Finding, ...]:
    """Where an sform stands alone, the spacing beside it should be its own."""
    own = np.linalg.norm(sform[:3, :3], axis=0)
    if np.allclose(stored, own, rtol=ROUNDING_VOXELS):
        return ()
    shown = [" x ".join(f"{value:.4g}" for value in values) for values in (own, stored)]
    text = (
        f"the voxels are {shown[0]} apart by the sform of the header and {shown[1]} by its pixdim;"
        " the sform was taken; check the size of the brain"
    )
    return (Finding("nifti.two_orientations", text),)


def _unit_findings(unit: int) -> tuple[Finding, ...]:
    if unit in UNIT_NAMES:
        text = f"the header gives lengths in {UNIT_NAMES[unit]}; they were converted to mm"
        return (Finding("nifti.units", text, "note"),)
    if unit not in MM_PER_UNIT:
        text = f"the header gives an unknown unit of length (code {unit}); mm was taken"
        return (Finding("nifti.units", text),)
    return ()
