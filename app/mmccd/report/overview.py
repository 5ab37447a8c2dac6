"""``overview.png``: the slices with the largest anomaly, as a radiologist sees them."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import nibabel.orientations as orientations
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mmccd.pipeline import NOTICE
from mmccd.preprocessing import MODEL_ORIENTATION
from mmccd.result import Result
from mmccd.volume import Volume

COLUMNS = 5
_ROWS = ("input", "anomaly map", "segmentation")


def write_overview(result: Result, path: str | Path) -> None:
    """Draw input, map and segmentation of the most anomalous slices.

    The image's left is the patient's right. All maps share one colour scale.

    Args:
        result: a finished run.
        path: PNG file to make.
    """
    image, anomaly, segmentation, brain = (
        _radiological(volume) for volume in (result.image, result.smoothed_map, result.segmentation, result.brain_mask)
    )
    x, y, z = _spacing(result.image)
    chosen = most_anomalous(anomaly, COLUMNS, min_distance=max(1, round(6.0 / z)))
    rows, columns = _box(brain)
    window = np.percentile(image[brain > 0], [0.5, 99.5])
    top = float(anomaly.max()) or 1.0
    width = 2.2 * len(chosen)
    height = 2.2 * len(_ROWS) * (y * len(rows)) / (x * len(columns)) + 0.9
    figure, axes = plt.subplots(len(_ROWS), len(chosen), figsize=(width + 1.2, height), squeeze=False, facecolor="black")
    colours = None
    for column, index in enumerate(chosen):
        view = (index, slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        for row in range(len(_ROWS)):
            axes[row, column].imshow(image[view], cmap="gray", vmin=window[0], vmax=window[1], aspect=y / x)
            axes[row, column].set_axis_off()
        shown = np.ma.masked_where(brain[view] == 0, anomaly[view])
        colours = axes[1, column].imshow(shown, cmap="inferno", vmin=0, vmax=top, alpha=0.75, aspect=y / x)
        if segmentation[view].any():
            axes[2, column].contour(segmentation[view], levels=[0.5], colors="#00d5ff", linewidths=1.0)
        axes[0, column].set_title(f"slice {index + 1} of {len(image)}", color="white", fontsize=8)
    _annotate(figure, axes, result, colours)
    try:
        figure.savefig(path, dpi=110, facecolor="black")
    finally:
        plt.close(figure)


def most_anomalous(anomaly: NDArray[np.float32], count: int, min_distance: int) -> list[int]:
    """Indices of the slices with the largest sum of the map's upper part, not closer than ``min_distance``, in order.

    Args:
        anomaly: map ``(slices, rows, columns)``, 0 outside the brain.
        count: how many at the most.
        min_distance: in slices.
    """
    inside = anomaly[anomaly > 0]
    level = np.quantile(inside, 0.95) if inside.size else 0.0
    score = np.clip(anomaly - level, 0.0, None).sum(axis=(1, 2))
    chosen: list[int] = []
    for index in np.argsort(-score, kind="stable"):
        if len(chosen) < count and all(abs(int(index) - other) >= min_distance for other in chosen):
            chosen.append(int(index))
    return sorted(chosen)


def _radiological(volume: Volume) -> NDArray[np.float32]:
    """Native voxels as ``(slices, rows, columns)``: inferior to superior, anterior to posterior, the patient's right to left."""
    transform = orientations.ornt_transform(orientations.io_orientation(volume.affine), orientations.axcodes2ornt(MODEL_ORIENTATION))
    lps = orientations.apply_orientation(np.nan_to_num(np.asarray(volume.data, dtype=np.float32)), transform)
    return np.ascontiguousarray(lps.transpose(2, 1, 0))


def _spacing(volume: Volume) -> tuple[float, float, float]:
    orientation = orientations.io_orientation(volume.affine)
    along = {int(world): volume.spacing[axis] for axis, (world, _) in enumerate(orientation)}
    return along[0], along[1], along[2]


def _box(brain: NDArray[np.float32], margin: int = 4) -> tuple[range, range]:
    ranges = []
    for axis, length in ((1, brain.shape[1]), (2, brain.shape[2])):
        inside = np.flatnonzero((brain > 0).any(axis=tuple(other for other in range(3) if other != axis)))
        ranges.append(range(max(0, int(inside[0]) - margin), min(length, int(inside[-1]) + margin + 1)))
    return ranges[0], ranges[1]


def _annotate(figure: plt.Figure, axes: NDArray[np.object_], result: Result, colours: matplotlib.cm.ScalarMappable | None) -> None:
    for row, name in enumerate(_ROWS):
        axes[row, 0].text(
            -0.06, 0.5, name, transform=axes[row, 0].transAxes, color="white", fontsize=9, rotation=90, va="center", ha="right"
        )
    _sides(axes[0, 0])
    report = result.report
    volume = report["volumes_ml"]["anomalous"]
    settings = report["settings"]
    title = f"{volume:.1f} mL above {report['threshold']['value']:.3g}   ·   flair to {settings['target']}, {settings['preset']}"
    figure.suptitle(title, color="white", fontsize=10, y=0.985)
    # A narrow picture of one slice still shows the whole notice.
    figure.text(0.5, 0.012, NOTICE, color="#ff9d5c", fontsize=min(9.0, 2.0 * figure.get_figwidth()), ha="center")
    figure.subplots_adjust(left=0.05, right=0.92, top=0.91, bottom=0.05, wspace=0.03, hspace=0.03)
    if colours is not None:
        bar = figure.colorbar(colours, cax=figure.add_axes((0.935, 0.36, 0.012, 0.26)))
        bar.ax.tick_params(colors="white", labelsize=7)


def _sides(axis: Axes) -> None:
    for x, letter in ((0.02, "R"), (0.98, "L")):
        axis.text(x, 0.97, letter, transform=axis.transAxes, color="white", fontsize=9, ha="left" if x < 0.5 else "right", va="top")
