"""Volumes for a page: cropped to the brain, axes as RAS, gzipped NIfTI. No header field
but the geometry is filled in.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import nibabel.orientations as orientations
import numpy as np
from numpy.typing import NDArray

from mmccd.core import Result, Volume
from mmccd.imaging import GridTransform

MARGIN_MM = 10.0
_GREY_LEVELS = 255
_COMPRESSION = 6
_HEADER_BYTES = 352


@dataclass(frozen=True)
class Box:
    """A part of a volume with its axes turned to RAS (nibabel's closest canonical orientation);
    nothing is interpolated.

    Attributes:
        to_ras: orientation transform (nibabel's) from the native axes.
        part: ranges along the turned axes.
        affine: from the part's voxels to mm, RAS+.
        shape: of the whole turned volume.
    """

    to_ras: NDArray[np.float64]
    part: tuple[slice, slice, slice]
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, brain: Volume, margin_mm: float = MARGIN_MM) -> Box:
        """The brain and a margin.

        Args:
            brain: its mask, not empty.
            margin_mm: left on every side, as far as the volume goes.
        """
        to_ras = orientations.io_orientation(brain.affine)
        mask = orientations.apply_orientation(brain.data > 0, to_ras)
        affine = brain.affine @ orientations.inv_ornt_aff(to_ras, brain.shape)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        part = []
        for axis, length in enumerate(mask.shape):
            inside = np.flatnonzero(
                mask.any(axis=tuple(other for other in range(3) if other != axis))
            )
            margin = int(np.ceil(margin_mm / spacing[axis]))
            part.append(
                slice(max(0, int(inside[0]) - margin), min(length, int(inside[-1]) + 1 + margin))
            )
        cropped = affine.copy()
        cropped[:3, 3] += affine[:3, :3] @ [one.start for one in part]
        x, y, z = mask.shape
        return cls(to_ras, (part[0], part[1], part[2]), cropped, (x, y, z))

    def cut(self, data: NDArray[Any]) -> NDArray[Any]:
        """The part of a native array."""
        turned = orientations.apply_orientation(data, self.to_ras)
        return np.ascontiguousarray(turned[self.part])

    def voxel(self, place_mm: tuple[float, float, float]) -> list[int]:
        """The part's voxel at a place in mm, RAS+."""
        inverse = np.linalg.inv(self.affine)
        return [
            int(round(value)) for value in inverse[:3, :3] @ np.asarray(place_mm) + inverse[:3, 3]
        ]


def covered_brain(result: Result, transform: GridTransform) -> NDArray[np.bool_]:
    """Where the map holds: the brain, without slices that the cycle did not see."""
    seen = result.maps.coverage[:, 0].flatten(1).gt(0).any(1).numpy()
    return (result.brain_mask.data > 0) & transform.slices_to_native(seen)


def grey_levels(
    image: NDArray[np.float32], window: tuple[float, float]
) -> tuple[NDArray[np.uint8], float, float]:
    """256 levels for the eye.

    Args:
        image: any shape; NaN counts as black.
        window: values of level 0 and of the highest one, which all larger ones get.

    Returns:
        Levels, and the slope and the intercept that lead back.
    """
    low, high = window
    slope = (high - low) / _GREY_LEVELS or 1.0
    levels = np.clip(np.round((np.nan_to_num(image, nan=low) - low) / slope), 0, _GREY_LEVELS)
    return levels.astype(np.uint8), slope, low


def encode(
    data: NDArray[Any], affine: NDArray[np.float64], slope: float = 1.0, intercept: float = 0.0
) -> bytes:
    """A NIfTI file, gzipped; float32 is kept to the bit.

    Args:
        data: uint8 or float32, 3-D.
        affine: voxels to mm, RAS+.
        slope: of the header.
        intercept: likewise.
    """
    image = nib.Nifti1Image(data, None)
    image.header.set_xyzt_units("mm")
    image.header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    image.set_sform(affine, code=1)
    image.header.set_slope_inter(slope, intercept)
    image.header["vox_offset"] = _HEADER_BYTES
    header = image.header.binaryblock + bytes(_HEADER_BYTES - image.header.sizeof_hdr)
    return gzip.compress(header + data.tobytes(order="F"), _COMPRESSION, mtime=0)
