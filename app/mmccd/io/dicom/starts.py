"""Whether a file is DICOM, by its first bytes alone."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from mmccd.core import InputError, is_broken_link
from mmccd.io.containers import POINTERS

_PREAMBLE = 128
_GROUPS = (b"\x02\x00", b"\x00\x02", b"\x08\x00", b"\x00\x08")
_APPLE_DOUBLE = "._"
_NEVER_DICOM = tuple(
    f".{ending}"
    for ending in [
        "nii",
        "nii.gz",
        "json",
        "txt",
        "tsv",
        "csv",
        "md",
        "html",
        "xml",
        "pdf",
        "png",
        "jpg",
        "jpeg",
    ]
)


def looks_like_dicom(path: Path) -> bool:
    """Whether a file starts with a preamble and ``DICM``, or, without them, with an element of
    group 0002 or 0008.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_PREAMBLE + 4)
    return start[_PREAMBLE:] == b"DICM" or _starts_with_an_element(start)


def is_absent(path: Path) -> bool:
    """Whether a file stands for content that is not here and may be DICOM: a link that leads
    nowhere, or the short text that git-annex or Git LFS leaves in its place.

    Raises:
        OSError: the file cannot be read.
    """
    if path.name.lower().endswith(_NEVER_DICOM):
        return False
    if is_broken_link(path):
        return True
    with path.open("rb") as file:
        return file.read(_PREAMBLE).startswith(POINTERS)


def holds_dicom(path: Path) -> bool:
    """Whether a folder holds a DICOM file at any depth, or a link to a file that is not there and
    may have been one.

    Raises:
        InputError: a folder inside cannot be listed, or a file cannot be read.
    """
    try:
        return any(looks_like_dicom(file) for file in files_below(path)) or any(
            is_absent(file) for file in broken_links(path)
        )
    except OSError as error:
        raise InputError(
            f"{path}: a file in it cannot be read ({error.strerror}); expected readable files;"
            " check permissions",
            code="input.not_readable",
        ) from error


def files_below(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder, sorted. Links to folders are followed (each
    folder is visited once, and those above are not); macOS's shadow files (``._name``) and links
    that lead nowhere are left out.

    Raises:
        InputError: a folder inside cannot be listed.
    """
    return (file for file in _entries_below(path) if file.is_file())


def broken_links(path: Path) -> Iterator[Path]:
    """All links below a folder that lead nowhere, sorted; raises as :func:`files_below`."""
    return (file for file in _entries_below(path) if is_broken_link(file))


def _entries_below(path: Path) -> Iterator[Path]:
    """The file itself, or whatever is no folder below a folder."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{path}: a folder in it cannot be read ({error.strerror}); expected readable folders;"
            " check permissions",
            code="input.not_readable",
        ) from error

    if path.is_file():
        yield path
        return
    seen = {path.resolve(), *path.resolve().parents}
    for folder, folders, names in os.walk(path, onerror=refuse, followlinks=True):
        folders[:] = [name for name in sorted(folders) if _is_new(Path(folder) / name, seen)]
        yield from (
            Path(folder) / name for name in sorted(names) if not name.startswith(_APPLE_DOUBLE)
        )


def _is_new(folder: Path, seen: set[Path]) -> bool:
    place = folder.resolve()
    is_new = place not in seen
    seen.add(place)
    return is_new


def _starts_with_an_element(start: bytes) -> bool:
    if len(start) < 12 or start[:2] not in _GROUPS:
        return False
    order = "<" if start[1] == 0 else ">"
    element, length = struct.unpack(f"{order}HI", start[2:8])
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return bool(element <= 0x0100 and (explicit or length <= 256))
