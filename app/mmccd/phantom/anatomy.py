"""Anatomies to make phantoms of: the MNI152 maps that nilearn installs, and FreeSurfer-style label
maps of whole heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mmccd.core import InputError, UnsuitableInputError
from mmccd.imaging import mni_tissues
from mmccd.io import read_nifti

BUILT_IN = "builtin"
BORDER_MM = 0.5
"""Standard deviation of the blur that gives the hard borders of a label map their partial volume.
"""
_CLOSING_MM = 5
_MARGIN_MM = 12
_NECK_MM = 25
LABELS: dict[str, tuple[int, ...]] = {
    "white": (2, 41, 7, 46, 77, 78, 79, 85, 251, 252, 253, 254, 255, 530),
    "grey": (3, 42, 8, 47, 17, 53, 18, 54, 136, 137, 163, 164, 19, 20, 55, 56, 80, 81, 82),
    "deep": (10, 49, 11, 50, 12, 51, 26, 58),
    "pallidum": (13, 52),
    "brainstem": (16, 28, 60, 512),
    "fluid": (4, 43, 5, 44, 14, 15, 24, 72, 31, 63, 30, 62, 506, 508),
    "scalp": (507,),
    "skin": (511,),
    "bone": (515,),
    "marrow": (516,),
    "mucosa": (509,),
    "vessel": (502, 514),
}
"""FreeSurfer's labels, and those of SynthSeg's training maps for what lies outside the brain
(Billot et al., MedIA 2023), by tissue.
"""
_OUTSIDE = (502, 506, 507, 508, 509, 511, 512, 514, 515, 516)
_BRAIN_TISSUES = ("white", "grey", "deep", "pallidum", "brainstem", "fluid")


@dataclass(frozen=True)
class Anatomy:
    """Tissue shares of a head on a 1 mm grid whose axes point right, anterior and superior.

    Attributes:
        name: of the file it is made from, or ``builtin``.
        shares: share of each tissue (keys of :data:`~mmccd.phantom.physics.TISSUES`) in each voxel,
            float32 ``(X, Y, Z)`` in [0, 1].
        depth: distance to the surface of the brain with its fluid in mm, positive inside, float32
            ``(X, Y, Z)``.
        affine: voxel to mm.
        has_head: whether there is something outside the brain.
    """

    name: str
    shares: dict[str, Tensor]
    depth: Tensor
    affine: NDArray[np.float64]
    has_head: bool

    @property
    def brain_box(self) -> NDArray[np.float64]:
        """Lowest and highest corner of the brain in mm, ``(2, 3)``."""
        return self._box((self.depth > 0).numpy())

    @property
    def head_box(self) -> NDArray[np.float64]:
        """The same of all that is there."""
        return self._box((sum(self.shares.values()) > 0.5).numpy())  # type: ignore[union-attr]

    def _box(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        low, high = _bounds(mask)
        return np.asarray(np.stack([low, high - 1]) @ self.affine[:3, :3].T + self.affine[:3, 3])


def find_anatomies(source: str | Path) -> list[Path | None]:
    """Label maps of a folder, sorted; one file; or None for the built-in anatomy.

    Raises:
        InputError: no such file or folder, or no NIfTI file in it.
    """
    if str(source) == BUILT_IN:
        return [None]
    path = Path(source)
    files = (
        sorted(file for file in path.iterdir() if file.name.endswith((".nii", ".nii.gz")))
        if path.is_dir()
        else [path]
    )
    if not files or not files[0].is_file():
        raise InputError(
            f"{path}: no label map there; expected a NIfTI file with FreeSurfer labels, a folder of"
            f" such files, or '{BUILT_IN}'"
        )
    return list(files)


@lru_cache(maxsize=2)
def load_anatomy(path: Path | None = None, head: bool = False) -> Anatomy:
    """Tissue shares of a label map, or of the built-in anatomy where ``path`` is None.

    Args:
        path: NIfTI file with FreeSurfer labels at about 1 mm.
        head: keep what lies outside the brain.

    Raises:
        InputError: not a NIfTI file.
        UnsuitableInputError: no brain labels in it; a whole head asked of the built-in anatomy,
            which is a brain alone.
    """
    if path is None:
        if head:
            raise UnsuitableInputError(
                f"--anatomy {BUILT_IN}: has no skull and scalp; expected a label map of a whole"
                " head; give --anatomy FILE or DIR"
            )
        return _built_in()
    return _from_labels(path, head)


def _built_in() -> Anatomy:
    """White and grey matter of MNI152; what is brain and neither is fluid."""
    maps = mni_tissues()
    shares = {"white": maps.white, "grey": maps.grey, "fluid": maps.fluid}
    return Anatomy(
        BUILT_IN,
        {name: _tensor(share) for name, share in shares.items()},
        _tensor(_depth(maps.brain)),
        maps.affine,
        has_head=False,
    )


def _from_labels(path: Path, head: bool) -> Anatomy:
    labels, affine = canonical_labels(path)
    brain = brain_envelope(path, labels)
    low, high = _bounds(brain)
    if head:
        low_head, high = _bounds(labels > 0)
        low = np.minimum([low_head[0], low_head[1], low[2] - _NECK_MM], low)
    low, high = np.maximum(low - _MARGIN_MM, 0), np.minimum(high + _MARGIN_MM, labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    names = LABELS if head else _BRAIN_TISSUES
    shares = {name: _soft(np.isin(labels[box], LABELS[name])) for name in names}
    return Anatomy(
        path.name.split(".")[0], shares, _tensor(_depth(brain[box])), affine, has_head=head
    )


def canonical_labels(path: Path) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Labels with axes right, anterior, superior."""
    volume = read_nifti(path, "labels")
    image = nib.as_closest_canonical(
        nib.Nifti1Image(np.rint(volume.data).astype(np.int16), volume.affine)
    )
    return np.asarray(image.dataobj, dtype=np.int16), np.asarray(image.affine, dtype=np.float64)


def brain_envelope(path: Path, labels: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Brain tissue, ventricles and the fluid in the sulci: the tissue closed by 5 mm and filled."""
    tissue = np.isin(
        labels,
        [
            label
            for name in _BRAIN_TISSUES
            for label in LABELS[name]
            if label not in (*_OUTSIDE, 24)
        ],
    )
    if tissue.sum() < 100_000:
        raise UnsuitableInputError(
            f"{path}: {int(tissue.sum())} voxels with FreeSurfer's brain labels, found"
            f" {np.unique(labels)[:8].tolist()}; expected a label map of a whole head"
        )
    low, high = _bounds(tissue)
    pad = _CLOSING_MM + 1
    box = tuple(slice(max(a - pad, 0), b + pad) for a, b in zip(low, high, strict=True))
    near = ndimage.distance_transform_edt(~tissue[box]) <= _CLOSING_MM
    closed = ndimage.distance_transform_edt(near) > _CLOSING_MM
    envelope = np.zeros(labels.shape, dtype=bool)
    envelope[box] = ndimage.binary_fill_holes(closed | tissue[box])
    return np.asarray(envelope & ~np.isin(labels, [label for label in _OUTSIDE if label != 514]))


def _soft(mask: NDArray[np.bool_]) -> Tensor:
    return _tensor(ndimage.gaussian_filter(mask.astype(np.float32), BORDER_MM, truncate=3))


def _depth(brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Signed distance to the surface, cut off at 20 mm."""
    inside, outside = ndimage.distance_transform_edt(brain), ndimage.distance_transform_edt(~brain)
    depth = np.clip(np.where(brain, inside - 0.5, 0.5 - outside), -20, 20)
    return np.asarray(depth, dtype=np.float32)


def _bounds(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First voxel, and the one after the last, along each axis."""
    ends = [
        np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[[0, -1]]
        for axis in range(3)
    ]
    return np.array([end[0] for end in ends]), np.array([end[1] + 1 for end in ends])


def _tensor(data: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
