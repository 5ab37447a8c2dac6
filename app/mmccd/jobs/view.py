"""A folder that shows the files of one study only, so that what reads a folder can read one study
of many.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmccd.core import InputError
from mmccd.jobs.flairs import named_as_flair, without_masks
from mmccd.jobs.inputs import Input

UNPACKED = "mmccd-"
"""How the names of temporary folders begin."""


@contextlib.contextmanager
def view_of(one: Input) -> Iterator[Path]:
    """The path to read a study from: its source, a temporary folder of links to its files (and to
    the input's DICOMDIRs, which list what must be there), or a temporary folder with what an
    archive holds.

    Raises:
        InputError: an archive that cannot be unpacked, or holds no image or several.
    """
    from mmccd.io import archive_of

    archive = None if one.files else archive_of(one.path)
    if archive is None and not one.files:
        yield one.path
        return
    with tempfile.TemporaryDirectory(prefix=UNPACKED) as name:
        folder = Path(name) / one.name
        folder.mkdir()
        if archive is not None:
            yield _unpacked(archive, folder, one.path)
            return
        listings = [
            file
            for file in one.path.rglob("*")
            if file.name.upper() == "DICOMDIR" and file.is_file()
        ]
        for number, file in enumerate([*one.files, *listings]):
            place = folder / f"{number:06d}"
            place.mkdir()
            (place / _link_name(file)).symlink_to(file.resolve())
        yield folder


def _link_name(file: Path) -> str:
    """A name that is what readers look at in one, and nothing of the patient."""
    from mmccd.io import DICOM_ENDINGS

    if file.name.upper() == "DICOMDIR":
        return file.name
    ending = file.suffix.lower()
    return f"IM{ending if ending in DICOM_ENDINGS else ''}"


def _unpacked(archive: Path, folder: Path, shown: Path) -> Path:
    """The folder of a DICOM study, or the one volume file that an archive holds."""
    from mmccd.io import files_below, holds_dicom, is_volume_name, unpack

    unpack(archive, folder, shown)
    if holds_dicom(folder):
        return folder
    files = list(files_below(folder))
    images = [file for file in files if is_volume_name(file)]
    volumes = named_as_flair(images) or without_masks(images)
    if len(volumes) == 1:
        return volumes[0]
    if len(files) == 1:
        return files[0]
    raise InputError(
        f"{shown}: the archive holds {len(files)} files, none of them DICOM, and"
        f" {len(volumes)} NIfTI images; expected a DICOM study or one image; unpack it first",
        code="input.archive",
    )
