"""What the objects that were made say of themselves: their series, and which one they are made
of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom

from mmccd.io import READ_ERRORS, quiet

_TAGS = ["SeriesInstanceUID", "ReferencedSeriesSequence"]


def series_of(files: Sequence[Path]) -> set[str]:
    """SeriesInstanceUIDs of objects; empty where one cannot be read."""
    headers = [_header(file) for file in files]
    found = {str(one.get("SeriesInstanceUID", "")) for one in headers if one is not None}
    return set() if None in headers or "" in found else found


def made_of(files: Sequence[Path]) -> str | None:
    """SeriesInstanceUID of the images that objects reference; None where they name no single
    one.
    """
    found: set[str] = set()
    for file in files:
        header = _header(file)
        for item in [] if header is None else header.get("ReferencedSeriesSequence", []):
            found.add(str(item.get("SeriesInstanceUID", "")))
    return found.pop() if len(found) == 1 else None


def _header(file: Path) -> pydicom.Dataset | None:
    try:
        with quiet():
            return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
    except READ_ERRORS:
        return None
