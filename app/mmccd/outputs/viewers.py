"""Colours for other people's viewers: the same as in the report's page, in their file formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmccd.core import make_folder, write_text
from mmccd.outputs.report.view import OUTLINE

STEPS = 256
ANOMALY = (1, "Anomaly", OUTLINE)
Colour = tuple[int, int, int]


def write_viewer_files(folder: Path) -> list[Path]:
    """Write a file for each viewer.

    Args:
        folder: made if it is not there.

    Returns:
        The files.

    Raises:
        OutputError: a file cannot be written.
    """
    make_folder(folder)
    for name, text in viewer_files().items():
        write_text(folder / name, text)
    return [folder / name for name in viewer_files()]


def viewer_files() -> dict[str, str]:
    """Content of each file, by name."""
    colours = _map_colours()
    return {
        "mmccd_itksnap_labels.txt": _itksnap(),
        "mmccd_fsleyes.lut": _fsleyes_labels(),
        "mmccd_anomaly_map.cmap": _fsleyes_map(colours),
        "mmccd_anomaly_map.ctbl": _slicer(colours),
    }


def _map_colours() -> list[Colour]:
    """From the map's 0 to its top."""
    import matplotlib
    import numpy as np

    rows = matplotlib.colormaps["inferno"](np.linspace(0.0, 1.0, STEPS), bytes=True)
    return [(int(red), int(green), int(blue)) for red, green, blue, _ in rows]


def _rgb(text: str) -> Colour:
    """From ``#rrggbb``."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _itksnap() -> str:
    """ITK-SNAP's description of labels: number, red, green, blue (0 to 255), opacity (0 to 1),
    visible, shown as a mesh, name.
    """
    number, name, colour = ANOMALY
    rows = [(0, (0, 0, 0), 0, 0, 0, "Clear Label"), (number, _rgb(colour), 1, 1, 1, name)]
    lines = [
        f'{label:5d} {red:5d} {green:4d} {blue:4d} {opacity:8g} {shown:2d} {mesh:2d}    "{title}"'
        for label, (red, green, blue), opacity, shown, mesh, title in rows
    ]
    head = ["# ITK-SnAP Label Description File", "# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL"]
    return _lines([*head, *lines])


def _fsleyes_labels() -> str:
    """A lookup table of FSLeyes: number, red, green, blue (0 to 1), name."""
    number, name, colour = ANOMALY
    return _lines([f"{number} {_shares(_rgb(colour))} {name}"])


def _fsleyes_map(colours: Sequence[Colour]) -> str:
    """A colour map of FSLeyes: red, green, blue (0 to 1), from the lowest value to the highest."""
    return _lines([_shares(colour) for colour in colours])


def _slicer(colours: Sequence[Colour]) -> str:
    """A colour table of 3D Slicer: number, name, red, green, blue, opacity (0 to 255)."""
    lines = [
        f"{number} {number} {red} {green} {blue} 255"
        for number, (red, green, blue) in enumerate(colours)
    ]
    head = ["# Color table file MMCCD anomaly map", f"# {len(colours)} values"]
    return _lines([*head, *lines])


def _shares(colour: Colour) -> str:
    return " ".join(f"{value / 255:.6f}" for value in colour)


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
