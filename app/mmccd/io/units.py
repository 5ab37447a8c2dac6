"""The units of length that NRRD and MetaImage headers give: ITK takes every length for mm."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Finding

_MM_PER_UNIT = {
    "": 1.0,
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimetre": 10.0,
    "m": 1000.0,
    "meter": 1000.0,
    "metre": 1000.0,
    "um": 0.001,
    "\N{MICRO SIGN}m": 0.001,
    "\N{GREEK SMALL LETTER MU}m": 0.001,
    "micron": 0.001,
    "micrometer": 0.001,
    "micrometre": 0.001,
    "nm": 1e-6,
    "in": 25.4,
}
_MOST_HEADER = 1 << 16
_NRRD_FIELDS = ("space units", "units")
_META_FIELD, _META_LAST = "DistanceUnits", "ElementDataFile"


def nrrd_units(path: Path) -> tuple[str, str, str]:
    """Units of the three axes of the space, or of the voxels where the file names no space; "" for
    one that is not said.

    Args:
        path: of a file whose header can be read.

    Raises:
        OSError: it cannot be read.
    """
    fields = {}
    for line in _header_lines(path):
        if not line:
            break
        name, colon, value = line.partition(": ")  # ":=" has no field before it
        if colon:
            fields[name.strip().lower()] = re.findall(r'"([^"]*)"', value)
    found = next((fields[name] for name in _NRRD_FIELDS if name in fields), [])
    first, second, third = (*found, "", "", "")[:3]
    return first, second, third


def meta_units(path: Path) -> tuple[str, str, str]:
    """The unit of a MetaImage, for each axis; "" where it is not said.

    Args:
        path: of a file whose header can be read.

    Raises:
        OSError: it cannot be read.
    """
    for line in _header_lines(path):
        name, _, value = (part.strip() for part in line.partition("="))
        if name == _META_FIELD:
            unit = value.strip("?")
            return unit, unit, unit
        if name == _META_LAST:
            break
    return "", "", ""


def mm_per_unit(units: tuple[str, str, str]) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """How many mm each of three units is, and what is to be said of them; one that is not known is
    taken for mm.
    """
    plain = [unit.strip().lower() for unit in units]
    plain = [unit if unit in _MM_PER_UNIT else unit.removesuffix("s") for unit in plain]
    factors = np.array([_MM_PER_UNIT.get(unit, 1.0) for unit in plain])
    unknown = {unit for unit in plain if unit not in _MM_PER_UNIT}
    if unknown:
        text = "the header gives a unit of length that is not known; mm was taken"
        return factors, (Finding("image.units", text),)
    if (factors != 1).any():
        names = ", ".join(sorted({unit for unit in plain if _MM_PER_UNIT[unit] != 1}))
        text = f"the header gives lengths in {names}; they were converted to mm"
        return factors, (Finding("image.units", text, "note"),)
    return factors, ()


def _header_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        start = file.read(_MOST_HEADER)
    return start.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
