"""A result as a radiologist looks at it: axial slices, the image's left is the patient's right."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel.orientations as orientations
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from numpy.typing import NDArray

from mmccd.core import Result, Volume
from mmccd.imaging import MODEL_ORIENTATION

OUTLINE = "#00d5ff"
_APART_MM = 6.0
MOST_OPAQUE = 0.75


@dataclass(frozen=True)
class RadiologicalView:
    """The native voxels in axial order, nothing interpolated, and how to draw them.

    Attributes:
        image: the input, ``(slices, rows, columns)``: inferior to superior, anterior to posterior,
            the patient's right to left.
        anomaly: what the threshold was applied to, on the same grid.
        segmentation: 1 = anomalous.
        brain: 1 = brain.
        spacing: of columns, rows and slices, in mm.
    """

    image: NDArray[np.float32]
    anomaly: NDArray[np.float32]
    segmentation: NDArray[np.float32]
    brain: NDArray[np.float32]
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, result: Result) -> RadiologicalView:
        """The view of a finished run."""
        image, anomaly = _radiological(result.image), _radiological(result.smoothed_map)
        return cls(
            image,
            anomaly,
            _radiological(result.segmentation),
            _radiological(result.brain_mask),
            _spacing(result.image),
        )

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that show the whole brain."""
        return _box(self.brain)

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the box."""
        rows, columns = self.box
        return self.spacing[0] * (columns.stop - columns.start), self.spacing[1] * (
            rows.stop - rows.start
        )

    @property
    def window(self) -> tuple[float, float]:
        """Grey values that are drawn black and white."""
        low, high = np.percentile(self.image[self.brain > 0], [0.5, 99.5])
        return float(low), float(high)

    @property
    def top(self) -> float:
        """The map's value at the top of the colour scale, the same for all slices."""
        return float(self.anomaly.max()) or 1.0

    def chosen(self, count: int) -> list[int]:
        """The most anomalous slices, some millimetres apart."""
        return most_anomalous(
            self.anomaly, count, min_distance=max(1, round(_APART_MM / self.spacing[2]))
        )

    def draw_input(self, axis: Axes, index: int) -> None:
        """One slice in grey values."""
        low, high = self.window
        axis.imshow(
            self.image[(index, *self.box)], cmap="gray", vmin=low, vmax=high, aspect=self._aspect
        )
        axis.set_axis_off()

    def draw_map(self, axis: Axes, index: int) -> ScalarMappable:
        """The map within the brain, over what was drawn; low values let the image through."""
        view = (index, *self.box)
        shown = np.ma.masked_where(self.brain[view] == 0, self.anomaly[view])
        alpha = opacity(self.anomaly[view], self.top)
        return axis.imshow(
            shown, cmap="inferno", vmin=0, vmax=self.top, alpha=alpha, aspect=self._aspect
        )

    def draw_outline(self, axis: Axes, index: int) -> None:
        """The segmentation's outline, over what was drawn."""
        segmentation = self.segmentation[(index, *self.box)]
        if segmentation.any():
            axis.contour(segmentation, levels=[0.5], colors=OUTLINE, linewidths=1.0)

    @property
    def _aspect(self) -> float:
        return self.spacing[1] / self.spacing[0]


def opacity(values: NDArray[np.float32], top: float) -> NDArray[np.float32]:
    """How much of the colours shows, in [0, :data:`MOST_OPAQUE`]: as much as the map's value is of
    its largest.
    """
    return np.asarray(np.clip(values / top, 0.0, 1.0) * MOST_OPAQUE, dtype=np.float32)


def draw_sides(axis: Axes, size: float = 9.0) -> None:
    """R and L in the upper corners."""
    for x, letter in ((0.02, "R"), (0.98, "L")):
        axis.text(
            x,
            0.97,
            letter,
            transform=axis.transAxes,
            color="white",
            fontsize=size,
            ha="left" if x < 0.5 else "right",
            va="top",
        )


def draw_scale(axis: Axes, view: RadiologicalView, size: float = 8.0) -> None:
    """A bar of 5 cm (1 cm in a small view) in the lower left corner, over a slice that was drawn in
    the view's box.
    """
    width_mm, _ = view.size_mm
    length_mm = 50 if width_mm > 3 * 50 / 2 else 10
    length = length_mm / width_mm
    axis.plot(
        [0.03, 0.03 + length],
        [0.025, 0.025],
        transform=axis.transAxes,
        color="white",
        linewidth=2.0,
        solid_capstyle="butt",
    )
    axis.text(
        0.03 + length / 2,
        0.035,
        f"{length_mm // 10} cm",
        transform=axis.transAxes,
        color="white",
        fontsize=size,
        ha="center",
        va="bottom",
    )


def most_anomalous(anomaly: NDArray[np.float32], count: int, min_distance: int) -> list[int]:
    """Indices of the slices with the largest sum of the map's upper part, not closer than
    ``min_distance``, in order.

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
    transform = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt(MODEL_ORIENTATION)
    )
    lps = orientations.apply_orientation(
        np.nan_to_num(np.asarray(volume.data, dtype=np.float32)), transform
    )
    return np.ascontiguousarray(lps.transpose(2, 1, 0))


def _spacing(volume: Volume) -> tuple[float, float, float]:
    orientation = orientations.io_orientation(volume.affine)
    along = {int(world): volume.spacing[axis] for axis, (world, _) in enumerate(orientation)}
    return along[0], along[1], along[2]


def _box(brain: NDArray[np.float32], margin: int = 4) -> tuple[slice, slice]:
    ranges = []
    for axis, length in ((1, brain.shape[1]), (2, brain.shape[2])):
        inside = np.flatnonzero(
            (brain > 0).any(axis=tuple(other for other in range(3) if other != axis))
        )
        ranges.append(
            slice(max(0, int(inside[0]) - margin), min(length, int(inside[-1]) + margin + 1))
        )
    return ranges[0], ranges[1]
