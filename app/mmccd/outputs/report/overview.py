"""``overview.png``: the slices with the largest anomaly, as a radiologist sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmccd import NOTICE
from mmccd.core import Result
from mmccd.outputs.report.view import RadiologicalView, draw_scale, draw_sides
from mmccd.outputs.report.wording import map_unit

COLUMNS = 5
DPI = 160
CONVENTION = "axial slices, the image's left (R) is the patient's right"
_ROWS = ("input", "anomaly map", "segmentation")


def write_overview(result: Result, path: str | Path) -> None:
    """Write the picture.

    Args:
        result: a finished run.
        path: PNG file to make.
    """
    draw_overview(result).savefig(path, dpi=DPI, facecolor="black")


def draw_overview(result: Result) -> Figure:
    """Draw input, map and segmentation of the most anomalous slices.

    The image's left is the patient's right. All maps share one colour scale; a bar shows 5 cm.
    """
    view = RadiologicalView.of(result)
    chosen = view.chosen(COLUMNS)
    width_mm, height_mm = view.size_mm
    width = 2.2 * len(chosen)
    height = 2.2 * len(_ROWS) * height_mm / width_mm + 1.1
    figure = Figure(figsize=(width + 1.2, height), facecolor="black")
    axes = figure.subplots(len(_ROWS), len(chosen), squeeze=False)
    colours = None
    for column, index in enumerate(chosen):
        for row in range(len(_ROWS)):
            view.draw_input(axes[row, column], index)
        colours = view.draw_map(axes[1, column], index)
        view.draw_outline(axes[2, column], index)
        axes[0, column].set_title(
            f"slice {index + 1} of {len(view.image)}", color="white", fontsize=8
        )
    _name_rows(axes)
    draw_sides(axes[0, 0])
    _write_lines(figure, result)
    figure.subplots_adjust(
        left=0.05,
        right=0.9,
        top=0.91,
        bottom=0.45 / height,
        wspace=0.03,
        hspace=0.03,
    )
    if colours is not None:
        _draw_bar(figure, colours, map_unit(result.report))
    draw_scale(axes[-1, 0], view)
    return figure


def _name_rows(axes: NDArray[np.object_]) -> None:
    for row, name in enumerate(_ROWS):
        axes[row, 0].text(
            -0.06,
            0.5,
            name,
            transform=axes[row, 0].transAxes,
            color="white",
            fontsize=9,
            rotation=90,
            va="center",
            ha="right",
        )


def _write_lines(figure: Figure, result: Result) -> None:
    """What was found above the slices, notice and convention below them."""
    report = result.report
    title = (
        f"{report.volumes_ml.anomalous:.1f} mL above {report.threshold.value:.3g}   ·   flair to"
        f" {report.settings.target}, {report.settings.preset}"
    )
    figure.suptitle(title, color="white", fontsize=10, y=0.985)
    size = _text_size(figure)
    figure.text(0.5, 0.008, NOTICE, color="#ff9d5c", fontsize=size, ha="center")
    figure.text(
        0.5,
        0.008 + 0.18 / figure.get_figheight(),
        CONVENTION,
        color="white",
        fontsize=0.9 * size,
        ha="center",
    )


def _draw_bar(figure: Figure, colours: ScalarMappable, unit: str) -> None:
    """The map's colour scale, on the right."""
    bar = figure.colorbar(colours, cax=figure.add_axes((0.912, 0.36, 0.012, 0.26)))
    bar.ax.tick_params(colors="white", labelsize=8)
    bar.outline.set_edgecolor("white")
    size = min(8.0, _text_size(figure))
    bar.set_label(f"anomaly map\n{unit}", color="white", fontsize=size)


def _text_size(figure: Figure) -> float:
    """A narrow picture of one slice still shows whole lines."""
    return min(9.0, 2.0 * figure.get_figwidth())
