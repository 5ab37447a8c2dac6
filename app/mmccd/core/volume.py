"""The one thing that travels between rooms: an image with its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import nibabel.orientations as orientations
import numpy as np
from numpy.typing import NDArray

from mmccd.core.findings import Finding

GRID_TOLERANCE = 0.01


@dataclass(frozen=True)
class Volume:
    """A 3-D image and its position in patient space.

    Attributes:
        data: voxel values, shape ``(i, j, k)``.
        affine: 4x4 matrix from voxel indices to millimetres in the NIfTI world (RAS+: x to the
            patient's right, y to anterior, z to superior are the *positive* directions R, A, S);
            the position is that of the voxel's centre.
        modality: ``"flair"``, ``"t1"``, ``"t2"``, ``"mask"`` or ``""`` where it is not known.
        provenance: where the image came from (file name, type, notes of the reader); never patient
            data.
        headers: of an image from DICOM, the headers of its files without pixels (pydicom datasets).
            They hold patient data and serve one purpose, the DICOM objects that go back into the
            same study (:mod:`mmccd.outputs.dicom`); empty for other images.
        findings: what the reader found out of the ordinary.
        earlier: headers of earlier structured reports of ours on the same study, for the same
            purpose as ``headers``.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    modality: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    headers: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    findings: tuple[Finding, ...] = ()
    earlier: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise ValueError(f"a Volume is 3-D, got an array of shape {self.data.shape}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"an affine is a 4x4 matrix, got shape {self.affine.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        i, j, k = self.data.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxel centres along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def superior_axis(self) -> int:
        """The voxel axis along which the model's axial slices are stacked: the one nibabel takes
        for superior-inferior.
        """
        return int(np.flatnonzero(orientations.io_orientation(self.affine)[:, 0] == 2)[0])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def with_data(self, data: NDArray[Any], modality: str | None = None) -> Volume:
        """The same place with other voxels (and, where given, another modality)."""
        if data.shape != self.data.shape:
            raise ValueError(f"expected data of shape {self.data.shape}, got {data.shape}")
        return replace(self, data=data, modality=self.modality if modality is None else modality)

    def with_axes_of(self, other: Volume) -> Volume:
        """The same voxels at the same places, with axes permuted and reversed so that they run as
        those of another volume do, as nearly as that is possible.
        """
        change = orientations.ornt_transform(
            orientations.io_orientation(self.affine), orientations.io_orientation(other.affine)
        )
        data = np.ascontiguousarray(orientations.apply_orientation(self.data, change))
        return replace(
            self, data=data, affine=self.affine @ orientations.inv_ornt_aff(change, self.shape)
        )

    def same_grid(self, other: Volume) -> bool:
        """Whether both volumes have equal shapes and every corner voxel at the same place (to 1 %
        of the smallest voxel spacing).
        """
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1)
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        distance = np.abs((self.affine - other.affine) @ homogeneous).max()
        return bool(distance <= GRID_TOLERANCE * min(self.spacing))
