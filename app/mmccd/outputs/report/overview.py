"""``overview.png``: the slices with the largest anomaly, as a radiologist sees them."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
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
    """Draw input, map and segmentation of the most anomalous slices.

    The image's left is the patient's right. All maps share one colour scale; a bar shows 5 cm.

    Args:
        result: a finished run.
        path: PNG file to make.
    """
    view = RadiologicalView.of(result)
    chosen = view.chosen(COLUMNS)
    width_mm, height_mm = view.size_mm
    width = 2.2 * len(chosen)
    height = 2.2 * len(_ROWS) * height_mm / width_mm + 1.1
    figure, axes = plt.subplots(
        len(_ROWS), len(chosen), figsize=(width + 1.2, height), squeeze=False, facecolor="black"
    )
    colours = None
    for column, index in enumerate(chosen):
        for row in range(len(_ROWS)):
            view.draw_input(axes[row, column], index)
        colours = view.draw_map(axes[1, column], index)
        view.draw_outline(axes[2, column], index)
        axes[0, column].set_title(
            f"slice {index + 1} of {len(view.image)}", color="white", fontsize=8
        )
    _annotate(figure, axes, result, colours)
    draw_scale(axes[-1, 0], view)
    try:
        figure.savefig(path, dpi=DPI, facecolor="black")
    finally:
        plt.close(figure)


def _annotate(
    figure: plt.Figure,
    axes: NDArray[np.object_],
    result: Result,
    colours: matplotlib.cm.ScalarMappable | None,
) -> None:
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
    draw_sides(axes[0, 0])
    report = result.report
    volume = report.volumes_ml.anomalous
    settings = report.settings
    title = (
        f"{volume:.1f} mL above {report.threshold.value:.3g}   ·   flair to"
        f" {settings.target}, {settings.preset}"
    )
    figure.suptitle(title, color="white", fontsize=10, y=0.985)
    # A narrow picture of one slice still shows whole lines.
    size = min(9.0, 2.0 * figure.get_figwidth())
    figure.text(0.5, 0.008, NOTICE, color="#ff9d5c", fontsize=size, ha="center")
    figure.text(
        0.5,
        0.008 + 0.18 / figure.get_figheight(),
        CONVENTION,
        color="white",
        fontsize=0.9 * size,
        ha="center",
    )
    figure.subplots_adjust(
        left=0.05,
        right=0.9,
        top=0.91,
        bottom=0.45 / figure.get_figheight(),
        wspace=0.03,
        hspace=0.03,
    )
    if colours is not None:
        bar = figure.colorbar(colours, cax=figure.add_axes((0.912, 0.36, 0.012, 0.26)))
        bar.ax.tick_params(colors="white", labelsize=8)
        bar.outline.set_edgecolor("white")
        bar.set_label(f"anomaly map\n{map_unit(report)}", color="white", fontsize=min(8.0, size))
