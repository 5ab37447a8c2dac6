"""How unusual an error is, in a unit that a person can read: the share of healthy voxels of the
same kind whose error is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.imaging import Grid

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

DEPTHS_MM = (6.0, 20.0)
"""Places: the brain's rim with cortex and sulci, what follows, and the deep part."""
RECONSTRUCTED_LEVELS = (0.2, 0.4, 0.6, 0.8)
LEVELS = (
    0.0,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
    0.995,
    0.999,
    1.0,
)
MIN_VOXELS = 2000
"""Healthy voxels from which a kind has a range of its own (two of them lie above its 99.9 %
quantile).
"""


@dataclass(frozen=True)
class NormalRange:
    """Quantiles of the smoothed map on healthy validation voxels, for each place and each
    brightness that the cycle returns there.

    The brightness is that of x', what healthy tissue would look like, and not that of the input:
    among voxels as bright as a lesion its error is not unusual.

    Attributes:
        reconstructed_edges: borders of the classes of x', in normalised units, rising.
        quantiles: error at each of :data:`LEVELS`, ``[place][class of x'][level]``.
        voxels: number of healthy voxels of each kind, ``[place][class of x']``.
    """

    reconstructed_edges: tuple[float, ...]
    quantiles: tuple[tuple[tuple[float, ...], ...], ...]
    voxels: tuple[tuple[int, ...], ...]

    @classmethod
    def fit(cls, smoothed: Floats, reconstructed: Floats, depth: Floats) -> NormalRange:
        """From healthy voxels, all 1-D of equal length. A kind with too few voxels takes the range
        of its place, or else of all.

        Args:
            smoothed: map that the threshold is applied to.
            reconstructed: x'.
            depth: see :func:`depth_mm`.

        Raises:
            ValueError: no voxel.
        """
        if not smoothed.size:
            raise ValueError("a normal range needs healthy voxels")
        edges = np.unique(np.quantile(reconstructed, RECONSTRUCTED_LEVELS))
        place, kind = np.digitize(depth, DEPTHS_MM), np.digitize(reconstructed, edges)
        table, counts = [], []
        for row in range(len(DEPTHS_MM) + 1):
            groups = [(place == row) & (kind == column) for column in range(len(edges) + 1)]
            counts.append(tuple(int(group.sum()) for group in groups))
            table.append(tuple(_quantiles(smoothed, [group, place == row]) for group in groups))
        return cls(tuple(float(edge) for edge in edges), tuple(table), tuple(counts))

    def percentile(self, smoothed: Floats, reconstructed: Floats, depth: Floats) -> Floats:
        """Share of healthy voxels of the same kind whose error is smaller, in percent (100: larger
        than all that were seen).

        Args:
            smoothed: map that the threshold is applied to, any shape.
            reconstructed: x' of the same shape.
            depth: likewise.
        """
        result = np.zeros(smoothed.shape, dtype=np.float32)
        place, kind = (
            np.digitize(depth, DEPTHS_MM),
            np.digitize(reconstructed, self.reconstructed_edges),
        )
        for row, rows in enumerate(self.quantiles):
            for column, quantiles in enumerate(rows):
                group = (place == row) & (kind == column)
                result[group] = 100.0 * _share_below(smoothed[group], np.asarray(quantiles))
        return result

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "depths_mm": list(DEPTHS_MM),
            "levels": list(LEVELS),
            "returned_edges": list(self.reconstructed_edges),
            "quantiles": [[list(values) for values in row] for row in self.quantiles],
            "voxels": [list(row) for row in self.voxels],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> NormalRange:
        """From :meth:`as_dict`.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, or belongs to other places or
                levels.
        """
        if tuple(content["depths_mm"]) != DEPTHS_MM or tuple(content["levels"]) != LEVELS:
            raise ValueError("this normal range has other places or levels; calibrate again")
        return cls(
            tuple(content["returned_edges"]),
            tuple(tuple(tuple(values) for values in row) for row in content["quantiles"]),
            tuple(tuple(row) for row in content["voxels"]),
        )


def depth_mm(brain: Bools, grid: Grid | None = None) -> Floats:
    """Distance of each brain pixel from the brain's outline in its own slice, in mm; 0 outside.

    Args:
        brain: ``(slices, size, size)`` on the model grid; a slice without background is deep
            everywhere.
        grid: the model grid.
    """
    spacing = (grid or Grid()).spacing
    layers = [ndimage.distance_transform_edt(np.pad(layer, 1)) for layer in brain]
    return np.asarray([layer[1:-1, 1:-1] * spacing for layer in layers], dtype=np.float32).reshape(
        brain.shape
    )


def _quantiles(values: Floats, groups: list[Bools]) -> tuple[float, ...]:
    """Of the first group with enough voxels; of all where none has."""
    chosen = next((values[group] for group in groups if group.sum() >= MIN_VOXELS), values)
    return tuple(
        float(f"{value:.5g}") for value in np.maximum.accumulate(np.quantile(chosen, LEVELS))
    )


def _share_below(values: Floats, quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of each value, linear between the stored ones; equal quantiles (many errors are 0)
    count as not smaller.
    """
    upper = np.searchsorted(quantiles, values, side="left")
    levels = np.asarray(LEVELS)
    low, high = np.clip(upper - 1, 0, None), np.clip(upper, None, len(LEVELS) - 1)
    width = quantiles[high] - quantiles[low]
    part = np.divide(values - quantiles[low], width, out=np.zeros(len(values)), where=width > 0)
    shares = levels[low] + part * (levels[high] - levels[low])
    return np.where(upper == 0, 0.0, np.where(upper == len(LEVELS), 1.0, shares))
