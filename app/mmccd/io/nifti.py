"""NIfTI files to :class:`~mmccd.core.volume.Volume`, and back."""

from __future__ import annotations

import logging
import lzma
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import DTypeLike, NDArray

from mmccd.core import InputError, OutputError, UnsuitableInputError, Volume, first_line, shown_name
from mmccd.io.containers import POINTERS, open_content
from mmccd.io.geometry import check_shear, three_dimensional_shape
from mmccd.io.nifti_header import place

ENDINGS = (".nii", ".nii.gz", ".nii.bz2", ".nii.xz")
_CHUNK = 1 << 24
_LONGEST_HEADER, _EXTENSION_FLAG = 540, 4
_MOST_OFFSET, _MOST_BEHIND = 1 << 28, 1 << 26
"""Bytes before and behind the voxels: extensions of the header, padding."""
_MOST_AT_ONCE, _PIECE = 1 << 25, 1 << 22
"""Voxels that are converted at once, at most, and in pieces."""
_SMALLEST = 1e-36
"""Of the largest intensity; below it there are hardly any digits left."""
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
    lzma.LZMAError,
    OverflowError,
)
"""What nibabel raises on damaged files."""


def is_nifti_name(path: Path) -> bool:
    """Whether the file's name ends like a single-file NIfTI image (``.nii``, ``.nii.gz``, or
    compressed in another way that is read).
    """
    return path.name.lower().endswith(ENDINGS)


def read_nifti(path: str | Path, modality: str = "") -> Volume:
    """Read one 3-D volume. Scale factors of the header are applied; a 4-D file with one volume
    counts as 3-D.

    Args:
        path: a NIfTI file of any integer or real data type and either byte order, plain or
            compressed with gzip, bzip2 or xz, whatever its name says.
        modality: what the image shows, passed on to the Volume.

    Returns:
        Volume with float32 voxels on the file's own grid.

    Raises:
        InputError: the file is missing, is no NIfTI file, or is cut off.
        UnsuitableInputError: several volumes, colour or complex voxels, fewer than 3 slices, too
            many voxels, or an affine that cannot be that of a head.
    """
    path = Path(path)
    if not path.exists():
        raise missing(path, "a NIfTI file (.nii or .nii.gz)")
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder; expected a NIfTI file (.nii or .nii.gz)", code="nifti.folder"
        )
    if path.is_fifo():
        raise InputError(
            f"{path}: is a pipe, which cannot be read twice; expected a file; write it to a file"
            " first",
            code="nifti.not_nifti",
        )
    with _stream(path) as stream:
        image, spacing = _header(path, stream)
        _check_data_type(path, image)
        shape = three_dimensional_shape(path, image.shape)
        affine, findings = place(path, image.header, shape, spacing)
        _check_length(path, image, stream)
        data = _voxels(path, image).reshape(shape)
    notes = {"file": shown_name(path), "format": "NIfTI", "data_type": str(image.get_data_dtype())}
    return Volume(data, affine, modality, notes, findings=findings)


def write_nifti(volume: Volume, path: str | Path, dtype: DTypeLike) -> None:
    """Write a volume on its own grid, unscaled; in mm. The qform says that it holds nothing (code
    0) where the axes are not at right angles, which it cannot say.

    Args:
        volume: what to write.
        path: file to make; its folder exists.
        dtype: data type of the voxels in the file.

    Raises:
        OutputError: the file cannot be written.
    """
    image = nib.Nifti1Image(np.asarray(volume.data, dtype=dtype), volume.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(volume.affine, code=0 if check_shear(volume.affine) else 1)
    image.set_sform(volume.affine, code=1)
    try:
        nib.save(image, str(path))
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output",
            code="output.not_writable",
        ) from error


def missing(path: Path, expected: str) -> InputError:
    """The error for a path that is not there, or is a link to nothing."""
    if path.is_symlink():
        return InputError(
            f"{path}: is a link whose file is not there; expected {expected}; fetch the file, or"
            " mend the link",
            code="input.missing",
        )
    return InputError(f"{path}: no such file; expected {expected}", code="input.missing")


def _stream(path: Path) -> BinaryIO:
    try:
        return open_content(path)
    except PermissionError as error:
        raise InputError(
            f"{path}: not readable (permission denied); expected a readable NIfTI file",
            code="input.not_readable",
        ) from error
    except OSError as error:
        raise _not_nifti(path, first_line(error)) from error


def _header(path: Path, stream: BinaryIO) -> tuple[nib.Nifti1Image, NDArray[np.float64]]:
    """The image, whose voxels are read from the stream later, and the spacing as it is stored:
    nibabel makes 1 of 0.
    """
    try:
        start = stream.read(_LONGEST_HEADER)
        stream.seek(0)
        kind = _image_class(path, start)
        raw = kind.header_class(start[: kind.header_class.sizeof_hdr], check=False)
        return kind.from_stream(stream), np.asarray(raw["pixdim"][1:4], np.float64)
    except READ_ERRORS as error:
        raise _not_nifti(path, first_line(error)) from error


def _image_class(path: Path, start: bytes) -> type[nib.Nifti1Image]:
    """By the magic word of the header."""
    if not start:
        raise _not_nifti(path, "it is empty")
    found: type[nib.Nifti1Image]
    if start[344:347] == b"n+1" or start[4:7] == b"n+2":
        found = nib.Nifti2Image if start[4:7] == b"n+2" else nib.Nifti1Image
        return found
    if start.startswith(POINTERS):
        raise InputError(
            f"{path}: is a placeholder of git-annex or Git LFS, whose file is not there; expected"
            " a NIfTI file; fetch it (such as by 'datalad get' or 'git lfs pull')",
            code="input.absent",
        )
    if start.lstrip()[:5].lower() in (b"<html", b"<!doc"):
        raise InputError(
            f"{path}: is a web page, expected a NIfTI file; download the file itself",
            code="nifti.other_format",
        )
    others = {
        "the header of a pair of files (.hdr, .img)": start[344:347] == b"ni1"
        or start[4:7] == b"ni2",
        "ANALYZE": start[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"),
        "one of a pair of files (.hdr, .img)": _is_half_of_a_pair(path),
        "HDF5 (MINC 2)": start.startswith(b"\x89HDF"),
        "NetCDF (MINC 1)": start.startswith(b"CDF"),
    }
    name = next((name for name, is_it in others.items() if is_it), None)
    if name is None:
        raise _not_nifti(path, "its first bytes are not those of a NIfTI header")
    raise InputError(
        f"{path}: is {name}, expected a single-file NIfTI image; convert it to .nii.gz first",
        code="nifti.other_format",
    )


def _is_half_of_a_pair(path: Path) -> bool:
    """Whether the voxels of NIfTI pairs and ANALYZE, beside their header."""
    return path.suffix.lower() == ".img" and any(
        path.with_suffix(ending).is_file() for ending in (".hdr", ".HDR")
    )


def _not_nifti(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: is not a NIfTI file or is damaged ({reason}); expected .nii or .nii.gz",
        code="nifti.not_nifti",
    )


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


def _check_length(path: Path, image: nib.Nifti1Image, stream: BinaryIO) -> None:
    """Read the file to its end, where the checksum of a compressed one stands, before memory is
    taken for voxels that may not be there.
    """
    first = image.dataobj.offset
    least = int(image.header["sizeof_hdr"]) + _EXTENSION_FLAG
    if not first >= least or first > _MOST_OFFSET:
        raise InputError(
            f"{path}: the header says that the voxels begin at byte {first:g}; expected"
            f" {least} or more; it is damaged: convert the original again",
            code="input.damaged",
        )
    promised = int(first) + image.get_data_dtype().itemsize * math.prod(image.shape)
    there = 0
    try:
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            there += len(chunk)
            if there > promised + _MOST_BEHIND:
                raise InputError(
                    f"{path}: holds far more than the {promised} bytes that its header promises;"
                    " expected one volume; convert the original again",
                    code="input.damaged",
                )
        stream.seek(0)
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: the compressed data are damaged or cut off ({first_line(error)}); copy the"
            " file again",
            code="input.damaged",
        ) from error
    if there < promised:
        raise InputError(
            f"{path}: is cut off, it has {there} bytes, its header promises {promised}; copy it"
            " again",
            code="input.damaged",
        )


def _voxels(path: Path, image: nib.Nifti1Image) -> NDArray[np.float32]:
    stored = image.dataobj
    is_plain = (stored.slope, stored.inter) == (1.0, 0.0)
    try:
        # Of what is large, or is stored with more digits than are kept, a few slices at a time.
        if is_plain and (
            math.prod(image.shape) > _MOST_AT_ONCE
            or stored.dtype.itemsize > np.dtype(np.float32).itemsize
        ):
            return _piece_by_piece(path, image)
        with np.errstate(over="ignore"):
            found = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
        if stored.dtype.kind in "iu" and not is_plain and not np.isfinite(found).all():
            raise _out_of_range(path, "larger than 3.4e38 by the scale of the header")
        return found
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: the voxels cannot be read, the file is cut off or damaged"
            f" ({first_line(error)}); copy it again",
            code="input.damaged",
        ) from error


def _piece_by_piece(path: Path, image: nib.Nifti1Image) -> NDArray[np.float32]:
    """Unscaled voxels as float32, in the order in which they are stored, from a copy of a few
    slices at a time.
    """
    found = np.empty(image.shape, np.float32, order="F")
    slices = found.shape[2]
    step = max(1, _PIECE * slices // max(1, found.size))
    largest = 0.0
    for start in range(0, slices, step):
        piece = np.asarray(image.dataobj[:, :, start : start + step])
        finite = piece[np.isfinite(piece)]
        if finite.size:
            largest = max(largest, float(finite.max()), -float(finite.min()))
        with np.errstate(over="ignore"):
            found[:, :, start : start + step] = piece
    if largest > float(np.finfo(np.float32).max):
        raise _out_of_range(path, f"of up to {largest:.2g}")
    if 0 < largest < _SMALLEST:
        raise _out_of_range(path, f"of at most {largest:.2g}")
    return found


def _out_of_range(path: Path, found: str) -> UnsuitableInputError:
    return UnsuitableInputError(
        f"{path}: holds values {found}; expected the intensities of an image, which single"
        " precision can hold (1e-36 to 3.4e38); scale them",
        code="image.range",
    )
