"""Figures of a protocol: maps of all methods (the paper's Fig. 3), the way through the cycle (Fig.
4), precision-recall curves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cycler import cycler
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmccd import NOTICE
from mmccd.core import OutputError
from mmccd.evaluation.bootstrap import RankCounts
from mmccd.evaluation.subjects import Bools, Subject

Floats = NDArray[np.floating]
MAX_PATIENTS = 6
TRUTH = "#00d5ff"
"""Colour of the true lesion's outline."""


@dataclass(frozen=True)
class Shot:
    """One slice of one subject under one method, each array ``(size, size)``.

    Attributes:
        subject: whose slice it is (the one that ``subject.picture`` names).
        anomaly: the map after post-processing, not eroded.
        translated: mean translated image, NaN where there is none.
        reconstructed: mean x', likewise.
    """

    subject: Subject
    anomaly: Floats
    translated: Floats
    reconstructed: Floats


def choose_shown(count: int) -> list[int]:
    """Which of ``count`` patients are shown: at most six, evenly spread."""
    return sorted(
        {int(index) for index in np.linspace(0, count - 1, min(count, MAX_PATIENTS)).round()}
    )


def write_maps(path: Path, columns: Mapping[str, Sequence[Shot]]) -> None:
    """Input, truth, and one column for each method, on a scale of its own; a row for each patient.

    Args:
        path: PNG to write.
        columns: shots of the same patients by the method's title.
    """
    shots = next(iter(columns.values()))
    figure, axes = _canvas(len(shots), 2 + len(columns))
    for row, shot in enumerate(shots):
        _grey(axes[row][0], shot.subject)
        _grey(axes[row][1], shot.subject)
        _outline(axes[row][1], shot.subject)
    for title, axis in zip(("input", "truth", *columns), axes[0], strict=True):
        axis.set_title(textwrap.fill(title, 18), color="white", fontsize=7)
    for number, method_shots in enumerate(columns.values()):
        limits = _limits(method_shots)
        for row, shot in enumerate(method_shots):
            _heat(axes[row][2 + number], shot, limits)
    save(figure, path)


def write_cycle(
    path: Path, shots: Sequence[Shot], target: str, real: Sequence[Floats | None]
) -> None:
    """Input x, translated y, real y where it is there, reconstructed x', map, truth; a row for
    each patient.

    Args:
        path: PNG to write.
        shots: of a method that translates.
        target: what y is.
        real: the real y of each patient, or None.
    """
    titles = (
        "input x",
        f"translated {target}",
        f"real {target}",
        "reconstructed x'",
        "map",
        "truth",
    )
    figure, axes = _canvas(len(shots), len(titles))
    limits = _limits(shots)
    for row, (shot, image) in enumerate(zip(shots, real, strict=True)):
        _grey(axes[row][0], shot.subject)
        for column, layer in ((1, shot.translated), (2, image), (3, shot.reconstructed)):
            _layer(axes[row][column], layer, shot.subject)
        _heat(axes[row][4], shot, limits)
        _grey(axes[row][5], shot.subject)
        _outline(axes[row][5], shot.subject)
    for title, axis in zip(titles, axes[0], strict=True):
        axis.set_title(title, color="white", fontsize=8)
    save(figure, path)


def write_curves(
    path: Path, curves: dict[str, tuple[RankCounts, float]], prevalence: float
) -> None:
    """Pooled precision-recall curves.

    Args:
        path: PNG to write.
        curves: counts and pooled AUPRC of each row, by its title.
        prevalence: share of lesion voxels, what a blind score reaches.
    """
    figure = Figure(figsize=(6.4, 5.2))
    axis = figure.add_subplot()
    axis.set_prop_cycle(cycler(linestyle=["-", "--", "-."]) * rcParams["axes.prop_cycle"])
    for title, (ranks, area) in curves.items():
        recall, precision = ranks.curve()
        axis.step(recall, precision, where="post", linewidth=1.2, label=f"{title} ({area:.3f})")
    axis.axhline(
        prevalence,
        color="grey",
        linewidth=0.8,
        linestyle=":",
        label=f"prevalence ({prevalence:.3f})",
    )
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(fontsize=7, loc="lower left", title="AUPRC in brackets", title_fontsize=7)
    figure.tight_layout()
    save(figure, path)


def _canvas(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    figure = Figure(figsize=(1.5 * columns, 1.5 * rows + 0.5), facecolor="black")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    figure.subplots_adjust(
        left=0.01,
        right=0.99,
        top=1 - 0.4 / (1.5 * rows + 0.5),
        bottom=0.2 / (1.5 * rows + 0.5),
        wspace=0.03,
        hspace=0.03,
    )
    figure.text(0.5, 0.01, NOTICE, color="#ff9d5c", fontsize=6, ha="center")
    return figure, grid.tolist()


def cropped(layer: Floats, brain: Bools) -> Floats:
    """The part of a slice that holds brain, with a margin of 3 pixels; both ``(size, size)``."""
    rows, columns = (np.flatnonzero(brain.any(axis=axis)) for axis in (1, 0))
    return layer[max(rows[0] - 3, 0) : rows[-1] + 4, max(columns[0] - 3, 0) : columns[-1] + 4]


def _grey(axis: Axes, subject: Subject) -> None:
    show_slice(axis, subject.image[subject.picture], subject.brain[subject.picture])


def show_slice(axis: Axes, image: Floats, brain: Bools) -> None:
    """The part of a slice that holds brain in grey, as :class:`Subject` has it; both
    ``(size, size)``.
    """
    axis.imshow(cropped(image, brain), cmap="gray", vmin=0, vmax=1.3)


def _outline(axis: Axes, subject: Subject) -> None:
    draw_outline(axis, subject.lesion[subject.picture], subject.brain[subject.picture], TRUTH)


def draw_outline(axis: Axes, mask: Bools, brain: Bools, colour: str) -> None:
    """The outline of a mask on the part of a slice that holds brain; both ``(size, size)``."""
    shown = cropped(mask.astype(float), brain)
    if shown.any():
        axis.contour(shown, levels=[0.5], colors=colour, linewidths=1.0)


def _layer(axis: Axes, layer: Floats | None, subject: Subject) -> None:
    if layer is None:
        return
    inside = subject.brain[subject.picture]
    values = layer[inside & np.isfinite(layer)]
    low, high = np.percentile(values, [1, 99]) if values.size else (0.0, 1.0)
    axis.imshow(cropped(np.where(inside, layer, low), inside), cmap="gray", vmin=low, vmax=high)


def _limits(shots: Sequence[Shot]) -> tuple[float, float]:
    """From the median to the 99.5th percentile of all shown brains, so that what is usual is dark
    under every method.
    """
    values = np.concatenate(
        [shot.anomaly[shot.subject.brain[shot.subject.picture]] for shot in shots]
    )
    low, high = np.percentile(values, [50, 99.5])
    return float(low), float(high) if high > low else float(low) + 1.0


def _heat(axis: Axes, shot: Shot, limits: tuple[float, float]) -> None:
    inside = shot.subject.brain[shot.subject.picture]
    shown = cropped(np.where(inside, shot.anomaly, limits[0]), inside)
    axis.imshow(shown, cmap="inferno", vmin=limits[0], vmax=limits[1])


def save(figure: Figure, path: Path) -> None:
    """Write a PNG.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        figure.savefig(path, dpi=130, facecolor=figure.get_facecolor())
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output or"
            " free some space"
        ) from error
