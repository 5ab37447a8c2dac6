"""Pictures of the worst false marks and misses: a row for each method, a column for each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmccd import NOTICE
from mmccd.evaluation.pictures import TRUTH, cropped, draw_outline, save, show_slice
from mmccd.evaluation.sets.worst import SHOWN, WorstShot

MARKED = "#ff5cc8"
CELL = 2.3
"""Inches."""


def write_worst(path: Path, what: str, rows: Mapping[str, Sequence[WorstShot]]) -> None:
    """The input with the outlines of the truth and of what is marked, and a frame around the
    region; seen as in all pictures here: the patient's right on the left, the front above.

    Args:
        path: PNG to write.
        what: what the frames show, ``false mark`` or ``missed lesion``.
        rows: at most five slices by the method's title.

    Raises:
        OutputError: the file cannot be written.
    """
    figure, axes = _canvas(len(rows))
    for line, (title, shots) in zip(axes, rows.items(), strict=True):
        _say(line[0], -0.06, textwrap.fill(title, 30), rotation=90)
        if not shots:
            _say(line[0], 0.5, f"no {what}")
        for axis, shot in zip(line, shots, strict=False):
            _show(axis, shot)
    _legend(figure, what)
    save(figure, path)


def _canvas(rows: int) -> tuple[Figure, list[list[Axes]]]:
    height = (CELL + 0.35) * rows + 0.45
    figure = Figure(figsize=(CELL * SHOWN + 0.4, height), facecolor="black")
    grid = figure.subplots(rows, SHOWN, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    figure.subplots_adjust(
        left=0.035,
        right=0.995,
        top=1 - 0.35 / height,
        bottom=0.42 / height,
        wspace=0.03,
        hspace=0.35 / CELL,
    )
    return figure, grid.tolist()


def _say(axis: Axes, place: float, text: str, rotation: float = 0) -> None:
    """Words at half the height, ``place`` widths from the left."""
    axis.text(
        place,
        0.5,
        text,
        rotation=rotation,
        transform=axis.transAxes,
        color="white",
        fontsize=7,
        ha="center",
        va="center",
    )


def _show(axis: Axes, shot: WorstShot) -> None:
    show_slice(axis, shot.image, shot.brain)
    draw_outline(axis, shot.truth, shot.brain, TRUTH)
    draw_outline(axis, shot.marked, shot.brain, MARKED)
    rows, columns = np.nonzero(cropped(shot.region.astype(float), shot.brain))
    left, top = float(columns.min()) - 3, float(rows.min()) - 3
    width, height = float(columns.max()) + 3 - left, float(rows.max()) + 3 - top
    axis.add_patch(
        Rectangle((left, top), width, height, fill=False, color="white", linewidth=0.7, ls=":")
    )
    place = textwrap.shorten(f"{shot.data_set}: {shot.case}", 44, placeholder="...")
    axis.set_title(f"{place}\n{shot.ml:.2f} mL, slice {shot.slice}", color="white", fontsize=7)


def _legend(figure: Figure, what: str) -> None:
    """What the colours mean, and the notice below."""
    height = float(figure.get_figheight())
    texts = (("label", TRUTH), ("marked", MARKED), (f"dotted frame: {what}", "white"))
    for place, (text, colour) in zip((0.35, 0.45, 0.58), texts, strict=True):
        figure.text(place, 0.2 / height, text, color=colour, fontsize=8, ha="center")
    figure.text(0.5, 0.05 / height, NOTICE, color="#ff9d5c", fontsize=6, ha="center")
