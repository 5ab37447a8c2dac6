"""Whether a file is DICOM, by its first bytes alone."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from mmccd.core import InputError

_PREAMBLE = 128
_GROUPS = (b"\x02\x00", b"\x00\x02", b"\x08\x00", b"\x00\x08")
_APPLE_DOUBLE = "._"


def looks_like_dicom(path: Path) -> bool:
    """Whether a file starts with a preamble and ``DICM``, or, without them, with an element of
    group 0002 or 0008.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_PREAMBLE + 4)
    return start[_PREAMBLE:] == b"DICM" or _starts_with_an_element(start)


def holds_dicom(path: Path) -> bool:
    """Whether a folder holds a DICOM file at any depth.

    Raises:
        InputError: a folder inside cannot be listed, or a file cannot be read.
    """
    try:
        return any(looks_like_dicom(file) for file in files_below(path))
    except OSError as error:
        raise InputError(
            f"{path}: a file in it cannot be read ({error.strerror}); expected readable files;"
            " check permissions",
            code="input.not_readable",
        ) from error


def files_below(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder, sorted. Links to folders are not followed,
    macOS's shadow files (``._name``) are left out.

    Raises:
        InputError: a folder inside cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{path}: a folder in it cannot be read ({error.strerror}); expected readable folders;"
            " check permissions",
            code="input.not_readable",
        ) from error

    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path, onerror=refuse):
        folders.sort()
        wanted = [
            Path(folder) / name for name in sorted(names) if not name.startswith(_APPLE_DOUBLE)
        ]
        yield from (file for file in wanted if file.is_file())


def _starts_with_an_element(start: bytes) -> bool:
    if len(start) < 12 or start[:2] not in _GROUPS:
        return False
    order = "<" if start[1] == 0 else ">"
    element, length = struct.unpack(f"{order}HI", start[2:8])
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return bool(element <= 0x0100 and (explicit or length <= 256))
