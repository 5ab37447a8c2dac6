"""Heads as training slices are sampled from them: a class of contrast for each voxel of 1 mm.

Label maps give every voxel its tissue. Scans of real people give what no label map has (orbits,
muscles, marrow, sulci as they are): there the class is the intensity's level.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import conform, resample_from_to
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from mmccd.io import read_nifti
from mmccd.phantom import LABELS, brain_envelope, canonical_labels

BRAIN_BIT, LOWER_BIT, CLASS_BITS = 128, 64, 63
LEVELS_TO = 1.8
"""The highest level of a scan, in units of its white matter."""
_LOWER = (7, 46, 8, 47, 15, 16)
"""FreeSurfer's cerebellum, fourth ventricle and brainstem."""
_SPLIT = {
    "white": ((2, 41, 77, 78, 79, 85, 251, 252, 253, 254, 255), (7, 46), (530,)),
    "grey": ((8, 47), (17, 53, 18, 54)),
}
"""Tissues of which parts get contrasts of their own."""
TIGHTEN_MM, _SMOOTH_MM = 0.5, 1.0
"""The label maps of the scans were made at 2 mm and reach up to half a voxel of theirs too far out:
their brains are smoothed and taken in by so much.
"""


@dataclass(frozen=True)
class Head:
    """A label map, or a scan with one, made ready for sampling.

    Attributes:
        codes: uint8 ``(X, Y, Z)``, axes right, anterior, superior, voxels of 1 mm: class of
            contrast, with bits for brain and for its infratentorial part.
        tissues: tissue of each class; class 0 is air. Empty for a scan: there the classes are the
            levels of its intensity, from 0 to :data:`LEVELS_TO` times white matter.
        centre: middle of the brain in voxels.
        half: half of the brain's extent in voxels.
        inside: some voxels of the brain, ``(n, 3)``.
    """

    codes: NDArray[np.uint8]
    tissues: tuple[str, ...]
    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    inside: NDArray[np.float64]


def load_head(path: Path) -> Head:
    """Read a label map.

    Raises:
        InputError: not a NIfTI file.
        UnsuitableInputError: no brain labels in it.
    """
    labels, _ = canonical_labels(path)
    brain = brain_envelope(path, labels)
    table = np.zeros(int(labels.max()) + 1, dtype=np.uint8)
    tissues = ["air"]
    for name, group in _groups():
        for label in group:
            if label < len(table):
                table[label] = len(tissues)
        tissues.append(name)
    codes = table[np.clip(labels, 0, None)]
    codes[brain & (codes == 0)] = tissues.index("fluid")
    return _head(codes, tuple(tissues), brain, labels)


def load_scan(image: Path, label_map: Path) -> Head:
    """Read a T1-weighted scan of a whole head and the label map of its brain, wherever in its world
    it lies.

    Raises:
        InputError: not a NIfTI file.
        UnsuitableInputError: no brain labels in the map.
    """
    volume, labelled = read_nifti(image, "image"), read_nifti(label_map, "labels")
    extent = np.ceil(np.multiply(volume.shape, volume.spacing)).astype(int)
    size = tuple(int(extent[axis]) for axis in np.argsort(nib.io_orientation(volume.affine)[:, 0]))
    fine = conform(nib.Nifti1Image(volume.data, volume.affine), size, (1.0, 1.0, 1.0), order=1)
    on_grid = resample_from_to(
        nib.Nifti1Image(np.rint(labelled.data).astype(np.int16), labelled.affine), fine, order=0
    )
    values, labels = fine.get_fdata(dtype=np.float32), np.asarray(on_grid.dataobj)
    white = float(np.median(values[np.isin(labels, LABELS["white"])]))
    levels = np.clip(np.rint(values / white / LEVELS_TO * CLASS_BITS), 0, CLASS_BITS)
    brain = _tightened(brain_envelope(label_map, labels))
    return _head(levels.astype(np.uint8), (), brain, labels)


def _tightened(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask of 1 mm without the steps of 2 mm voxels, its border :data:`TIGHTEN_MM` further in."""
    smooth = ndimage.gaussian_filter(brain.astype(np.float32), _SMOOTH_MM, truncate=3)
    return np.asarray(smooth > ndtr(TIGHTEN_MM / _SMOOTH_MM))


def _head(
    codes: NDArray[np.uint8],
    tissues: tuple[str, ...],
    brain: NDArray[np.bool_],
    labels: NDArray[np.int16],
) -> Head:
    lower = np.isin(labels, _LOWER) & brain
    bits = np.where(brain, BRAIN_BIT, 0) | np.where(lower, LOWER_BIT, 0)
    voxels = np.argwhere(brain)
    low, high = voxels.min(0), voxels.max(0)
    return Head(
        np.ascontiguousarray(codes | bits.astype(np.uint8)),
        tissues,
        (low + high) / 2,
        (high - low + 1) / 2,
        voxels[:: max(1, len(voxels) // 4000)].astype(np.float64),
    )


def _groups() -> list[tuple[str, tuple[int, ...]]]:
    groups: list[tuple[str, tuple[int, ...]]] = []
    for name, labels in LABELS.items():
        parts = _SPLIT.get(name, ())
        rest = tuple(label for label in labels if not any(label in part for part in parts))
        groups += [(name, part) for part in (*parts, rest) if part]
    return groups
