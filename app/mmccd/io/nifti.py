"""NIfTI files to :class:`~mmccd.core.volume.Volume`, and back."""

from __future__ import annotations

import gzip
import logging
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import DTypeLike, NDArray

from mmccd.core import (
    Finding,
    InputError,
    OutputError,
    UnsuitableInputError,
    Volume,
    first_line,
)

_NO_ORIENTATION = (
    "the header has no orientation (qform and sform codes are 0); the default of the format was"
    " taken"
)
MIN_SLICES = 3
_CHUNK = 1 << 24
# nibabel reports what it repairs in a header on stderr; what cannot be repaired is our error.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
READ_ERRORS = (
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    OverflowError,
)
"""What nibabel raises on damaged files."""


def is_nifti_name(path: Path) -> bool:
    """Whether the file's name ends like a single-file NIfTI image (``.nii`` or ``.nii.gz``)."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti(path: str | Path, modality: str = "") -> Volume:
    """Read one 3-D volume. Scale factors of the header are applied; a 4-D file with one volume
    counts as 3-D.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file, of any integer or real data type and either byte
            order.
        modality: what the image shows, passed on to the Volume.

    Returns:
        Volume with float32 voxels on the file's own grid.

    Raises:
        InputError: the file is missing, is no NIfTI file, or is cut off.
        UnsuitableInputError: several volumes, colour or complex voxels, fewer than 3 slices, or an
            affine that places the voxels nowhere.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such file; expected a NIfTI file (.nii or .nii.gz)", code="input.missing"
        )
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder; expected a NIfTI file (.nii or .nii.gz)", code="nifti.folder"
        )
    image = _open(path)
    _check_data_type(path, image)
    shape = three_dimensional_shape(path, image.shape)
    affine = checked_affine(path, image.affine)
    data = _voxels(path, image).reshape(shape)
    notes = {"file": path.name, "format": "NIfTI", "data_type": str(image.get_data_dtype())}
    without = int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0
    findings = (Finding("nifti.no_orientation", _NO_ORIENTATION),) if without else ()
    return Volume(data, affine, modality, notes, findings=findings)


def write_nifti(volume: Volume, path: str | Path, dtype: DTypeLike) -> None:
    """Write a volume on its own grid, unscaled.

    Args:
        volume: what to write.
        path: file to make; its folder exists.
        dtype: data type of the voxels in the file.

    Raises:
        OutputError: the file cannot be written.
    """
    image = nib.Nifti1Image(np.asarray(volume.data, dtype=dtype), volume.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(volume.affine, code=1)
    image.set_sform(volume.affine, code=1)
    try:
        nib.save(image, str(path))
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output",
            code="output.not_writable",
        ) from error


def _open(path: Path) -> nib.Nifti1Image:
    try:
        _check_whole(path)
        image = nib.load(path)
    except PermissionError as error:
        raise InputError(
            f"{path}: not readable (permission denied); expected a readable NIfTI file",
            code="input.not_readable",
        ) from error
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: is not a NIfTI file or is damaged ({first_line(error)}); expected .nii or"
            " .nii.gz",
            code="nifti.not_nifti",
        ) from error
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(
            f"{path}: is {type(image).__name__}, expected a single-file NIfTI image; convert it to"
            " .nii.gz first",
            code="nifti.other_format",
        )
    return image


def _check_whole(path: Path) -> None:
    """Read a compressed file to its end, where the checksum stands: nibabel stops before it and
    would pass on damaged voxels.
    """
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as file:
            while file.read(_CHUNK):
                pass


def _check_data_type(path: Path, image: nib.Nifti1Image) -> None:
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        raise UnsuitableInputError(
            f"{path}: holds RGB colour voxels; expected one grey value per voxel; give the original"
            " series",
            code="image.colour",
        )
    if dtype.kind == "c":
        raise UnsuitableInputError(
            f"{path}: holds complex voxels; expected real ones; give the magnitude image",
            code="image.complex",
        )


def three_dimensional_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The first three numbers of voxels, where there are no more volumes than one.

    Raises:
        UnsuitableInputError: several volumes, or fewer than 3 slices.
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
    i, j, k = shape[:3]
    return i, j, k


def checked_affine(path: Path, stored: NDArray[np.generic]) -> NDArray[np.float64]:
    """The affine as float64.

    Raises:
        UnsuitableInputError: it is singular or not finite.
    """
    affine = np.asarray(stored, dtype=np.float64)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if (
        not np.isfinite(affine).all()
        or lengths.min() <= 0
        or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3
    ):
        raise UnsuitableInputError(
            f"{path}: the affine is singular or not finite, so the voxels have no place in the"
            " patient; expected an invertible one; convert the original DICOM series again",
            code="nifti.affine",
        )
    return affine


def _voxels(path: Path, image: nib.Nifti1Image) -> NDArray[np.float32]:
    stored = image.get_data_dtype().itemsize * int(np.prod(image.shape, dtype=np.int64))
    if not path.name.lower().endswith(".gz") and stored > path.stat().st_size:
        raise InputError(
            f"{path}: is cut off, it has {path.stat().st_size} bytes, its header promises {stored};"
            " copy it again",
            code="input.damaged",
        )
    try:
        return np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except gzip.BadGzipFile as error:
        raise InputError(
            f"{path}: the compressed data are damaged ({first_line(error)}); copy the file again",
            code="input.damaged",
        ) from error
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: the voxels cannot be read, the file is cut off or damaged"
            f" ({first_line(error)}); copy it again",
            code="input.damaged",
        ) from error
