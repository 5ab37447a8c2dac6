"""The model grid, and the way to it and back: axial slices of 128 x 128 pixels at 1.875 mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel.orientations as orientations
import numpy as np
from numpy.typing import NDArray

from mmccd.core import UnsuitableInputError, Volume

MODEL_ORIENTATION = ("L", "P", "S")


@dataclass(frozen=True)
class Grid:
    """In-plane grid of the model: square slices, pixel spacing in mm."""

    size: int = 128
    spacing: float = 1.875

    @property
    def extent_mm(self) -> float:
        """Edge of the field of view in mm."""
        return self.size * self.spacing


@dataclass(frozen=True)
class GridTransform:
    """Native voxels to model slices and back: axes permuted and flipped, in-plane resampling,
    slices left where they are.

    Model slices are axial: rows run from anterior to posterior, columns from the patient's right to
    left (an axial slice as a radiologist sees it), slices from inferior to superior.

    Attributes:
        native_shape: shape of the native volume.
        to_lps: orientation transform (nibabel's) from native axes to L, P, S.
        spacing: spacing of the L, P, S axes in mm.
        centre: position of the model grid's centre along the L and P axes, in voxels (0 = centre of
            the first voxel).
        grid: the model grid.
    """

    native_shape: tuple[int, int, int]
    to_lps: NDArray[np.float64]
    spacing: tuple[float, float, float]
    centre: tuple[float, float]
    grid: Grid

    @classmethod
    def fit(
        cls, volume: Volume, brain: NDArray[np.bool_], grid: Grid | None = None
    ) -> GridTransform:
        """Put the centre of the brain's bounding box into the middle of the model grid.

        Where there is room, the centre is moved to the nearest voxel edge, so that pixels of half
        the model's size are averaged two by two, exactly.

        Args:
            volume: the native volume (only its grid counts).
            brain: brain mask on that grid.
            grid: the model grid; the published one where it is None.

        Raises:
            UnsuitableInputError: empty mask, or a brain larger than the field of view.
        """
        grid = grid or Grid()
        to_lps = orientations.ornt_transform(
            orientations.io_orientation(volume.affine), orientations.axcodes2ornt(MODEL_ORIENTATION)
        )
        inverse_order = np.argsort(to_lps[:, 0])
        x, y, z = (volume.spacing[int(axis)] for axis in inverse_order)
        mask = orientations.apply_orientation(brain, to_lps)
        if not mask.any():
            raise UnsuitableInputError(
                "the brain mask is empty; expected a mask of the brain; check it or give another"
                " --brain-mask",
                code="brain_mask.empty",
            )
        centre = []
        for axis, spacing in ((0, x), (1, y)):
            inside = np.flatnonzero(
                mask.any(axis=tuple(other for other in range(3) if other != axis))
            )
            extent = (inside[-1] - inside[0] + 1) * spacing
            if extent > grid.extent_mm:
                raise UnsuitableInputError(
                    f"the brain is {extent:.0f} mm wide, the model's field of view"
                    f" {grid.extent_mm:.0f} mm; check the voxel spacing in the header and the brain"
                    " mask",
                    code="brain.too_wide",
                )
            middle = (inside[0] + inside[-1]) / 2
            room = extent + spacing <= grid.extent_mm
            centre.append(float(np.round(middle + 0.5) - 0.5) if room else float(middle))
        return cls(volume.shape, to_lps, (x, y, z), (centre[0], centre[1]), grid)

    def to_model(self, data: NDArray[Any], fill: float) -> NDArray[np.float32]:
        """Native voxels to model slices, by area averaging (linear interpolation where a native
        pixel is larger than a model pixel).

        Args:
            data: native array.
            fill: value outside the native field of view.

        Returns:
            float32 array ``(slices, size, size)``.
        """
        lps = orientations.apply_orientation(np.asarray(data, dtype=np.float32), self.to_lps)
        columns, rows = self._forward_weights(0), self._forward_weights(1)
        result = np.einsum("rp,lps,cl->src", rows, lps, columns, optimize=True)
        inside = np.outer(rows.sum(1), columns.sum(1))
        return np.asarray(result + fill * (1.0 - inside), dtype=np.float32)

    def to_native(self, slices: NDArray[Any], inside: NDArray[Any]) -> NDArray[np.float32]:
        """Model slices to native voxels, by linear interpolation between the pixels that count.

        Args:
            slices: ``(slices, size, size)``.
            inside: bool of the same shape: which pixels count. Others (and NaN there) have no
                influence.

        Returns:
            float32 array of the native shape; 0 where no pixel that counts is near.
        """
        weights = inside.astype(np.float32)
        values = np.where(inside, slices, 0.0).astype(np.float32)
        amount = self._interpolate(weights)
        total = self._interpolate(values)
        lps = np.divide(total, amount, out=np.zeros_like(total), where=amount > 1e-6)
        return np.ascontiguousarray(
            orientations.apply_orientation(lps, self._to_native_orientation())
        )

    def slices_to_native(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A choice of model slices as a mask of the native voxels that lie in them."""
        lps = np.broadcast_to(np.asarray(chosen, dtype=bool), self._lps_shape)
        return np.ascontiguousarray(
            orientations.apply_orientation(lps, self._to_native_orientation())
        )

    def _to_native_orientation(self) -> NDArray[np.float64]:
        identity = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
        return np.asarray(orientations.ornt_transform(identity, self.to_lps), dtype=float)

    @property
    def _lps_shape(self) -> tuple[int, int, int]:
        x, y, z = (self.native_shape[int(axis)] for axis in np.argsort(self.to_lps[:, 0]))
        return x, y, z

    def _forward_weights(self, axis: int) -> NDArray[np.float32]:
        offset = -self.centre[axis] * self.spacing[axis]
        return resampling_weights(
            self._lps_shape[axis], self.spacing[axis], offset, *self._model_axis()
        )

    def _interpolate(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        weights = []
        for axis in (0, 1):
            offset = -self.centre[axis] * self.spacing[axis]
            native = (self._lps_shape[axis], self.spacing[axis], offset)
            count, spacing, start = self._model_axis()
            weights.append(resampling_weights(count, spacing, start, *native))
        columns, rows = weights
        return np.asarray(
            np.einsum("lc,src,pr->lps", columns, slices, rows, optimize=True), dtype=np.float32
        )

    def _model_axis(self) -> tuple[int, float, float]:
        return self.grid.size, self.grid.spacing, -(self.grid.size - 1) / 2 * self.grid.spacing


def resampling_weights(
    count: int, spacing: float, start: float, new_count: int, new_spacing: float, new_start: float
) -> NDArray[np.float32]:
    """Matrix that resamples one axis: area averaging to coarser pixels, linear interpolation to
    finer ones.

    Args:
        count: number of old pixels.
        spacing: their distance in mm.
        start: position of the first one's centre in mm.
        new_count: number of new pixels.
        new_spacing: their distance in mm.
        new_start: position of the first one's centre in mm.

    Returns:
        ``(new_count, count)``; a row sums to the share of the new pixel that lies in the old field
        of view (1 inside it).
    """
    old = start + spacing * np.arange(count)
    new = new_start + new_spacing * np.arange(new_count)
    if new_spacing >= spacing:
        upper = np.minimum(old[None, :] + spacing / 2, new[:, None] + new_spacing / 2)
        lower = np.maximum(old[None, :] - spacing / 2, new[:, None] - new_spacing / 2)
        shares = np.clip(upper - lower, 0.0, None) / new_spacing
        return np.asarray(shares, dtype=np.float32)
    weights = np.clip(1.0 - np.abs(new[:, None] - old[None, :]) / spacing, 0.0, None)
    # Between the outermost centres and the outer edges the outermost pixel's value holds.
    weights[:, 0] = np.where((new <= old[0]) & (new >= old[0] - spacing / 2), 1.0, weights[:, 0])
    weights[:, -1] = np.where(
        (new >= old[-1]) & (new <= old[-1] + spacing / 2), 1.0, weights[:, -1]
    )
    weights[(new < old[0] - spacing / 2) | (new > old[-1] + spacing / 2)] = 0.0
    return weights.astype(np.float32)
