"""Where an NRRD or MetaImage header says that its voxels lie: in the file itself, or beside it. A
header that names any other file would have it read as voxels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from mmccd.core import InputError

MOST_HEADER = 1 << 20
_LINES = re.compile(rb"\r\n|\n|\r")
_NAMES = {
    "NRRD": re.compile(rb"\s*data ?file\s*:\s*(.*)", re.IGNORECASE),
    "MetaImage": re.compile(rb"\s*ElementDataFile\s*[=:]\s*(.*)", re.IGNORECASE),
}
_ENDS = {
    "NRRD": re.compile(rb"\n\n|\r\n\r\n"),
    "MetaImage": re.compile(rb"^ElementDataFile *[=:]", re.MULTILINE),
}
_LIST = re.compile(rb"LIST\b", re.IGNORECASE)


def check_data_files(path: Path, kind: str) -> None:
    """Refuse a header that names a file outside its own folder, or whose end is not found.

    Args:
        path: of the header.
        kind: ``"NRRD"`` or ``"MetaImage"``.

    Raises:
        InputError: see above.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(MOST_HEADER)
        is_whole = not file.read(1)
    if not is_whole and _ENDS[kind].search(start) is None:
        raise InputError(
            f"{path}: the header has no end within {MOST_HEADER >> 20} MiB; expected {kind}; copy"
            " it again",
            code="input.damaged",
        )
    for name in _named(start, kind):
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        outside = posix.is_absolute() or windows.anchor or ".." in windows.parts
        if outside:
            raise InputError(
                f"{path}: names a data file outside its own folder; expected it beside the header;"
                " put it there and correct its name in the header",
                code="input.outside",
            )


def _named(start: bytes, kind: str) -> Iterator[str]:
    """All names of data files; the voxels of the file itself may be among them."""
    is_list = False
    for line in _LINES.split(start):
        found = _NAMES[kind].match(line)
        if found is not None:
            is_list = _LIST.match(found[1]) is not None
        if found is not None or is_list:
            yield (found[1] if found else line).decode("latin-1").strip()
