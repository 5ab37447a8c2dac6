"""Zip and tar archives: what is in them, unpacked into a folder of our own, safely."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mmccd.core import InputError, first_line
from mmccd.io.containers import TAR, UNPACK_ERRORS, ZIP, container_of

MOST_FILES, MOST_BYTES = 20_000, 1 << 32
"""A study has fewer; what unpacks to more is refused before it fills the disk."""
_CHUNK = 1 << 20
_SHADOWS = ("__MACOSX", "._", ".DS_Store")
_ERRORS = (
    *UNPACK_ERRORS,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    RuntimeError,
)


def archive_of(path: Path) -> Path | None:
    """The archive (zip, tar, compressed tar) that a path is, or that is the only file of a folder;
    None where there is none.
    """
    try:
        if path.is_dir():
            entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
            if len(entries) != 1 or not entries[0].is_file():
                return None
            path = entries[0]
        return path if path.is_file() and container_of(path) in (ZIP, TAR) else None
    except OSError:
        return None  # whoever reads it says why


def unpack(archive: Path, folder: Path, shown: Path) -> None:
    """Write the files of an archive into a folder, each into a numbered folder of its own: no name
    in the archive decides a path.

    Args:
        archive: zip or tar.
        folder: an empty folder.
        shown: what the user gave, for messages.

    Raises:
        InputError: damaged, encrypted, too large, or with names that lead out of it.
    """
    try:
        written = number = 0
        for number, (name, file) in enumerate(_members(archive, shown), 1):
            place = folder / f"{number:06d}" / _plain_name(shown, name)
            place.parent.mkdir()
            with file, place.open("wb") as target:
                while chunk := file.read(_CHUNK):
                    written += len(chunk)
                    _check_size(shown, number, written)
                    target.write(chunk)
    except _ERRORS as error:
        raise InputError(
            f"{shown}: the archive cannot be unpacked ({first_line(error)}); expected a whole one"
            " without a password; copy it again, or unpack it first",
            code="input.archive",
        ) from error
    if number == 0:
        raise InputError(
            f"{shown}: the archive holds no file; expected a study; pack it again",
            code="input.archive",
        )


def _members(archive: Path, shown: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the files in it; links, devices and shadow files are left out."""
    if container_of(archive) == ZIP:
        with zipfile.ZipFile(archive) as packed:
            files = [one for one in packed.infolist() if not one.is_dir()]
            _check_size(shown, len(files), sum(one.file_size for one in files))
            for one in files:
                if _wanted(one.filename):
                    yield one.filename, packed.open(one)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None and _wanted(member.name):
                yield member.name, content


def _wanted(name: str) -> bool:
    return not any(part.startswith(_SHADOWS) for part in PurePosixPath(name).parts)


def _plain_name(shown: Path, name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/"):
        raise InputError(
            f"{shown}: a file in the archive has a path that leads out of it; expected paths"
            " below its own folder; unpack it with a program that you trust",
            code="input.archive",
        )
    return parts[-1].encode("utf-8", "replace").decode()[-100:]


def _check_size(shown: Path, files: int, size: int) -> None:
    if files > MOST_FILES or size > MOST_BYTES:
        raise InputError(
            f"{shown}: the archive holds more than {MOST_FILES} files or {MOST_BYTES >> 30} GB;"
            " expected one study; unpack it first",
            code="input.archive",
        )
