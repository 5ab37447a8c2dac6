"""Volume formats of other programs to :class:`~mmccd.core.volume.Volume`: NRRD and MetaImage
through ITK, MGH through nibabel.
"""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHError
from numpy.typing import NDArray

from mmccd.core import Finding, InputError, UnsuitableInputError, Volume, first_line, shown_name
from mmccd.io.containers import open_content, starts_like_nifti
from mmccd.io.data_files import check_data_files
from mmccd.io.geometry import check_shear, checked_affine, three_dimensional_shape
from mmccd.io.nifti import READ_ERRORS, is_nifti_name
from mmccd.io.units import meta_units, mm_per_unit, nrrd_units

Format = Literal["NRRD", "MetaImage", "MGH"]
ENDINGS: dict[str, Format] = {
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".mgz": "MGH",
    ".mgh": "MGH",
}
_NRRD_START = b"NRRD0"
_MGH_HEADER, _MOST_BEHIND = 284, 1 << 26
_RAS_FLAG = slice(28, 30)
_META_KEYS = (b"ObjectType", b"NDims")
_NO_RAS_FLAG = (
    "the header has no orientation (its RAS flag is not set); the default of the format was taken"
)
_NO_SPACE = "the header names no patient space; left, posterior, superior (LPS) was taken"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def is_volume_name(path: Path) -> bool:
    """Whether the file's name ends like a volume that can be read: NIfTI, NRRD, MetaImage, MGH."""
    return is_nifti_name(path) or path.suffix.lower() in ENDINGS


def volume_format(path: Path) -> Format | None:
    """Which of these formats a file has: by its first bytes, or its ending where these say nothing
    (MGH has no mark of its own).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(_NRRD_START):
        return "NRRD"
    if start.startswith(_META_KEYS) and b"=" in start:
        return "MetaImage"
    named = ENDINGS.get(path.suffix.lower())
    return None if named is None or starts_like_nifti(path) else named


def read_other(path: Path, kind: Format, modality: str = "") -> Volume:
    """Read one 3-D volume; a 4-D file with one volume counts as 3-D.

    Args:
        path: an NRRD (``.nrrd``, ``.nhdr`` with its data file), MetaImage (``.mha``, ``.mhd`` with
            its data file) or MGH (``.mgz``, ``.mgh``) file.
        kind: its format, see :func:`volume_format`.
        modality: what the image shows, passed on to the Volume.

    Returns:
        Volume with float32 voxels on the file's own grid.

    Raises:
        InputError: the file is damaged or cut off, or its data file is missing or lies elsewhere.
        UnsuitableInputError: several volumes, colour, vectors or complex voxels, fewer than 3
            slices, or an affine that places the voxels nowhere.
    """
    return _read_mgh(path, modality) if kind == "MGH" else _read_itk(path, kind, modality)


def _read_mgh(path: Path, modality: str) -> Volume:
    try:
        with open_content(path) as stream:
            content = stream.read(_MGH_HEADER)
            header = nib.MGHImage.header_class.from_fileobj(io.BytesIO(content))
            stored = tuple(int(n) for n in header.get_data_shape())
            shape = three_dimensional_shape(path, stored)
            affine = checked_affine(path, header.get_affine())
            most = header.get_data_dtype().itemsize * math.prod(shape) + _MOST_BEHIND
            content += stream.read(most)
            while stream.read(_MOST_BEHIND):
                pass  # to the checksum
        image = nib.MGHImage.from_bytes(content)
        data = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except (*READ_ERRORS, MGHError, LookupError) as error:
        raise _damaged(path, "MGH", first_line(error)) from error
    notes = {"file": shown_name(path), "format": "MGH", "data_type": str(image.get_data_dtype())}
    without = content[_RAS_FLAG] == b"\0\0"  # nibabel sets it when it takes the default
    said = [Finding("mgh.no_orientation", _NO_RAS_FLAG)] if without else []
    findings = (*said, *check_shear(affine))
    return Volume(data.reshape(shape), affine, modality, notes, findings=findings)


def _read_itk(path: Path, kind: Format, modality: str) -> Volume:
    check_data_files(path, kind)
    header = _header(path, kind)
    dimensions = range(header.GetNumberOfDimensions())
    stored = tuple(int(header.GetDimensions(axis)) for axis in dimensions)
    pixel = header.GetPixelTypeAsString(header.GetPixelType())
    if header.GetNumberOfComponents() != 1:
        raise UnsuitableInputError(
            f"{path}: holds {header.GetNumberOfComponents()} numbers per voxel ({pixel}); expected"
            " one grey value per voxel in one volume; split it first",
            code="image.several_volumes",
        )
    shape = three_dimensional_shape(path, stored)
    to_mm, said = mm_per_unit(nrrd_units(path) if kind == "NRRD" else meta_units(path))
    hint = f" ({said[0].text})" if said else ""
    affine = checked_affine(path, _LPS_TO_RAS @ np.diag([*to_mm, 1.0]) @ _to_lps(header), hint)
    notes = {
        "file": shown_name(path),
        "format": kind,
        "data_type": header.GetComponentTypeAsString(header.GetComponentType()),
    }
    without = kind == "NRRD" and "NRRD_space" not in header.GetMetaDataDictionary().GetKeys()
    findings = (
        *([Finding("nrrd.no_orientation", _NO_SPACE)] if without else ()),
        *said,
        *check_shear(affine),
    )
    data = np.ascontiguousarray(_voxels(path, kind, header, len(stored)).T).reshape(shape)
    return Volume(data, affine, modality, notes, findings=findings)


def _header(path: Path, kind: Format) -> Any:
    """ITK's reader of the format with the file's header in it."""
    # Each by the name of its own module: itk.NrrdImageIO would load 300 others first.
    import itk.itkMetaImageIOPython
    import itk.itkNrrdImageIOPython

    header = (
        itk.itkNrrdImageIOPython.itkNrrdImageIO.New()
        if kind == "NRRD"
        else itk.itkMetaImageIOPython.itkMetaImageIO.New()
    )
    header.SetFileName(str(path))
    try:
        with _silent():
            header.ReadImageInformation()
    except RuntimeError as error:
        raise _damaged(path, kind, _reason(error)) from error
    return header


def _voxels(path: Path, kind: Format, header: Any, dimensions: int) -> NDArray[np.float32]:
    """The voxels as float32, axes from the slowest to the fastest."""
    import itk
    import itk.itkImageFileReaderPython

    readers = itk.itkImageFileReaderPython
    reader = (
        readers.itkImageFileReaderIF4 if dimensions == 4 else readers.itkImageFileReaderIF3
    ).New()
    reader.SetImageIO(header)
    reader.SetFileName(str(path))
    try:
        with _silent():
            reader.Update()
    except RuntimeError as error:
        raise _damaged(path, kind, _reason(error)) from error
    return np.asarray(itk.array_from_image(reader.GetOutput()), dtype=np.float32)


def _to_lps(header: Any) -> NDArray[np.float64]:
    """Voxel indices to mm in ITK's world (LPS)."""
    affine = np.eye(4)
    for axis in range(3):
        affine[:3, axis] = np.array(header.GetDirection(axis))[:3] * header.GetSpacing(axis)
        affine[axis, 3] = header.GetOrigin(axis)
    return affine


@contextmanager
def _silent() -> Iterator[None]:
    """Without the standard error of C++: MetaIO writes there what it also raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device)
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _damaged(path: Path, kind: Format, reason: str) -> InputError:
    beside = "; a header of its own needs its data file beside it" if kind != "MGH" else ""
    return InputError(
        f"{path}: is damaged or cut off, it cannot be read as {kind} ({reason}); expected a whole"
        f" file{beside}; copy it again",
        code="input.damaged",
    )


def _reason(error: RuntimeError) -> str:
    """The last line that says something: ITK puts its own source files first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:120] if lines else type(error).__name__
