"""What a file is wrapped in: its first bytes decide, never its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from mmccd.core import InputError

GZIP, BZIP2, XZ, ZIP, TAR = "gzip", "bzip2", "xz", "zip", "tar"
_STARTS = (
    (b"\x1f\x8b", GZIP),
    (b"BZh", BZIP2),
    (b"\xfd7zXZ\x00", XZ),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
)
_OPENED: dict[str, Callable[[Path], Any]] = {
    GZIP: gzip.open,
    BZIP2: bz2.open,
    XZ: lzma.open,
}
_ARCHIVES = (ZIP, TAR, "7z", "rar")
_NIFTI_HEADER = 348
_TAR_MARK, _TAR_PLACE = b"ustar", 257
POINTERS = (b"/annex/objects/", b"version https://git-lfs.github.com/")
"""How the texts begin that git-annex and Git LFS leave in the place of files."""
UNPACK_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What reading damaged compressed data raises."""


def container_of(path: Path) -> str:
    """The container of a file: ``gzip``, ``bzip2``, ``xz``, ``zstd``, ``lz4``, ``compress``,
    ``zip``, ``tar``, ``7z`` or ``rar``; "" where it has none. A compressed tar archive is a
    ``tar``.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_TAR_PLACE + len(_TAR_MARK))
    kind = next((kind for mark, kind in _STARTS if start.startswith(mark)), "")
    if kind in _OPENED:
        start = _first_bytes(path, kind, _TAR_PLACE + len(_TAR_MARK))
    return TAR if start[_TAR_PLACE:] == _TAR_MARK else kind


def starts_like_nifti(path: Path) -> bool:
    """Whether a file, or what is compressed in it, has the header of a NIfTI image.

    Raises:
        OSError: the file cannot be read.
    """
    kind = container_of(path)
    if kind in _OPENED:
        start = _first_bytes(path, kind, _NIFTI_HEADER)
    else:
        with path.open("rb") as file:
            start = file.read(_NIFTI_HEADER)
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def open_content(path: Path) -> BinaryIO:
    """The bytes of a file as they are before compression, to read from their start.

    Raises:
        OSError: the file cannot be read.
        InputError: an archive, or compressed in a way that cannot be read.
    """
    kind = container_of(path)
    if kind in _ARCHIVES:
        article = "a tar or zip archive" if kind in (ZIP, TAR) else f"a {kind} archive"
        raise InputError(
            f"{path}: is {article}; expected one volume; unpack it first", code="input.archive"
        )
    if kind and kind not in _OPENED:
        raise InputError(
            f"{path}: is compressed with {kind}; expected .nii or .nii.gz; unpack it first",
            code="input.compressed",
        )
    return cast(BinaryIO, _OPENED[kind](path)) if kind else path.open("rb")


def _first_bytes(path: Path, kind: str, count: int) -> bytes:
    try:
        with _OPENED[kind](path) as file:
            return cast(bytes, file.read(count))
    except UNPACK_ERRORS:
        return b""  # damaged: whoever reads it to its end says so
