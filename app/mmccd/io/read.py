"""One image, whatever its format: the content of the path decides, its name only where that says
nothing.
"""

from __future__ import annotations

from pathlib import Path

from mmccd.core import InputError, UsageError, Volume
from mmccd.io.itk_formats import read_other, volume_format
from mmccd.io.nifti import read_nifti


def read_volume(
    path: str | Path, modality: str = "", series_uid: str | None = None, visit: str = "auto"
) -> Volume:
    """Read a NIfTI, NRRD, MetaImage or MGH file, or a DICOM study.

    A folder is a DICOM study. A file is DICOM where it starts like one (a multi-frame image), NRRD
    or MetaImage where it starts like one or has its ending, MGH where it has its ending, else
    NIfTI.

    Args:
        path: a volume file, a folder with a DICOM study, or a DICOM file.
        modality: what the image shows, passed on to the Volume.
        series_uid: for DICOM: which series, see :func:`~mmccd.io.dicom.read.read_dicom`.
        visit: for DICOM: which study, likewise.

    Raises:
        InputError: missing or unreadable.
        UnsuitableInputError: no volume that can be used.
        UsageError: a series or a study is asked for and the file is not DICOM.
    """
    # pydicom, highdicom and the codecs take half a second to load, which a NIfTI file need not wait
    # for.
    from mmccd.io.dicom.starts import looks_like_dicom

    path = Path(path)
    try:
        is_file = path.is_file()
        dicom = path.is_dir() or (is_file and looks_like_dicom(path))
        other = volume_format(path) if is_file and not dicom else None
    except OSError as error:
        raise InputError(
            f"{path}: not readable ({error.strerror}); expected a NIfTI file or a DICOM study;"
            " check permissions",
            code="input.not_readable",
        ) from error
    if dicom:
        from mmccd.io.dicom.read import read_dicom

        return read_dicom(path, modality, series_uid, visit)
    for flag, is_given in (("--series", series_uid is not None), ("--study", visit != "auto")):
        if is_given and path.exists():
            raise UsageError(
                f"{flag}: {path} is not DICOM; {flag} chooses from a DICOM folder; leave it out",
                code="usage.series",
            )
    return read_other(path, other, modality) if other else read_nifti(path, modality)
