"""Slices cut out of T1 scans of healthy people: sulci, partial volume and texture as they are,
which no label map has.

A T1-weighted intensity says how a voxel is mixed of fluid, grey and white matter; so it is kept as
a level on the line fluid - grey - white, from which any contrast can be pictured
(:func:`~mmccd.phantom.picture_scan_slices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    distance_transform_edt,
    gaussian_filter,
    map_coordinates,
)

from mmccd.core import InputError, UnsuitableInputError
from mmccd.io import read_nifti
from mmccd.phantom.anatomy import brain_envelope, canonical_labels
from mmccd.phantom.label_slices import CLASSES
from mmccd.phantom.slice_planes import planes_of

EDGE, PIXEL_MM = 128, 1.875
"""Scan slices lie on the model grid: the scans themselves are no finer."""
PLANES = 3
MIN_BRAIN_PIXELS = 300
LOWEST, HIGHEST = -1.2, 1.6
"""Levels that a byte can hold (1 to 255; 0 is outside the brain): -1 is fluid, 0 grey and 1 white
matter.
"""
PLAIN, RIM, PALLIDUM, CHOROID = 0, 1, 2, 3
"""Where a level is read otherwise: at the ventricles' rim fluid is mixed with white matter, not
with grey; the pallidum is as white on T1 and dark on FLAIR (iron); what is solid within a
ventricle is choroid plexus.
"""
_WHITE, _GREY, _VENTRICLE = (2, 41), (3, 42), (4, 43)
_PALLIDUM, _CEREBELLAR_WHITE = (CLASSES[name][1] for name in ("pallidum", "cerebellar white"))
_DEEP = _WHITE + _CEREBELLAR_WHITE
_RIM_VOXELS, _DEEP_MM, _FIELD_MM, _MARGIN_MM = 1, 6.0, 25.0, 1.0
_DEEP_LEVEL = 0.6
"""Lowest level of deep white matter: what is darker there on T1 is small vessel disease, which is
common in healthy elderly people, and no part of a healthy slice.
"""


@dataclass(frozen=True)
class _Scan:
    """A scan on its own grid: ``levels`` as floats, ``kinds`` and ``brain`` (smooth, .5 is its
    surface); ``affine`` is diagonal.
    """

    levels: NDArray[np.float32]
    kinds: NDArray[np.uint8]
    brain: NDArray[np.float32]
    affine: NDArray[np.float64]


def find_scans(images: str | Path, label_maps: str | Path) -> list[tuple[Path, Path]]:
    """Scans and their label maps, by what their names have before the last underscore.

    Raises:
        InputError: no scan has a label map.
    """

    def subjects(folder: str | Path) -> dict[str, Path]:
        return {path.name.rpartition("_")[0]: path for path in sorted(Path(folder).glob("*.nii*"))}

    scans, maps = subjects(images), subjects(label_maps)
    both = [(path, maps[name]) for name, path in scans.items() if name in maps]
    if not both:
        raise InputError(
            f"{images}: {len(scans)} NIfTI files, none with a label map in {label_maps}; expected"
            " NAME_T1.nii.gz here and NAME_labels.nii.gz there"
        )
    return both


def cut_scan_slices(
    image: Path, label_map: Path, count: int, seed: int | Sequence[int]
) -> NDArray[np.uint8]:
    """Slices of one scan, at random heights, tilts and thicknesses (as
    :func:`~mmccd.phantom.cut_label_slices`).

    Args:
        image: T1-weighted NIfTI file of a head without lesions.
        label_map: FreeSurfer's labels of its brain, in the same world.
        count: slices to cut; those with hardly any brain are left out.
        seed: of the drawing.

    Returns:
        Levels and kinds, uint8 ``(slices, 2, 128, 128)``.

    Raises:
        InputError: not a NIfTI file.
        UnsuitableInputError: no brain labels in the map, or an image without T1 contrast there.
    """
    scan = _load(image, label_map)
    places = np.argwhere(scan.brain > 0.5)
    spacing = np.abs(np.diag(scan.affine)[:3])
    random = np.random.default_rng(seed)
    bounds = places.min(axis=0), places.max(axis=0)
    made = [_slice(scan, spacing, bounds, random) for _ in range(count)]
    kept = [one for one in made if (one[0] > 0).sum() >= MIN_BRAIN_PIXELS]
    return np.stack(kept) if kept else np.zeros((0, 2, EDGE, EDGE), np.uint8)


def _load(image: Path, label_map: Path) -> _Scan:
    volume = read_nifti(image, "image")
    there = nib.as_closest_canonical(nib.Nifti1Image(volume.data, volume.affine))
    spacing = np.abs(np.diag(there.affine)[:3])
    labels, affine = canonical_labels(label_map)

    def on_grid(values: NDArray[np.generic], order: int) -> NDArray[np.float32]:
        source = nib.Nifti1Image(values.astype(np.float32), affine)
        return np.asarray(resample_from_to(source, there, order=order).dataobj, dtype=np.float32)

    here = on_grid(labels, 0).astype(np.int16)
    levels = _levels(_even(there.get_fdata(dtype=np.float32), here, spacing), here, image)
    kinds = _kinds(levels, here)
    deep = distance_transform_edt(np.isin(here, _DEEP), spacing) > _DEEP_MM
    levels = np.where(deep, np.maximum(levels, _DEEP_LEVEL), levels)
    envelope = brain_envelope(label_map, labels)
    inside = distance_transform_edt(envelope, np.abs(np.diag(affine)[:3])) > _MARGIN_MM
    return _Scan(levels, kinds, on_grid(inside, 1), np.asarray(there.affine))


def _even(
    values: NDArray[np.float32], labels: NDArray[np.int16], spacing: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The scan without its bias field: white matter's brightness, smoothed."""
    white = binary_erosion(np.isin(labels, _WHITE)) | np.isin(labels, _CEREBELLAR_WHITE)
    typical = float(np.median(values[white])) if white.any() else 1.0
    white &= np.abs(values / max(typical, 1e-6) - 1) < 0.3
    sigma = _FIELD_MM / spacing
    weight = gaussian_filter(white.astype(np.float32), sigma)
    summed = gaussian_filter(np.where(white, values, 0), sigma)
    field = (summed + 1e-3 * typical) / (weight + 1e-3)
    return np.asarray(values / np.maximum(field, 1e-6), dtype=np.float32)


def _levels(
    values: NDArray[np.float32], labels: NDArray[np.int16], image: Path
) -> NDArray[np.float32]:
    """-1 in fluid, 0 in grey and 1 in white matter, linear between; values relative to white."""
    ventricle, cortex = (values[np.isin(labels, group)] for group in (_VENTRICLE, _GREY))
    cortex = cortex[(cortex > 0.5) & (cortex < 0.95)]
    fluid = float(np.percentile(ventricle, 15)) if len(ventricle) else 0.3
    grey = float(np.median(cortex)) if len(cortex) else 0.0
    if not 0 <= fluid < grey - 0.1:
        raise UnsuitableInputError(
            f"{image}: relative to white matter fluid is {fluid:.2f} and grey matter {grey:.2f}"
            " bright; expected a T1-weighted scan in the world of its label map; give another file"
        )
    levels = np.interp(values, [fluid, grey, 1.0], [-1, 0, 1]).astype(np.float32)
    beyond = np.clip((values - 1) / (1 - grey), 0, HIGHEST - 1)
    return np.asarray(levels + beyond, dtype=np.float32)


def _kinds(levels: NDArray[np.float32], labels: NDArray[np.int16]) -> NDArray[np.uint8]:
    ventricle = np.isin(labels, _VENTRICLE)
    near = binary_dilation(ventricle, iterations=_RIM_VOXELS)
    kinds = np.where((near & np.isin(labels, _WHITE)) | ventricle, RIM, PLAIN)
    kinds[np.isin(labels, _PALLIDUM)] = PALLIDUM
    kinds[binary_erosion(ventricle) & (levels > -0.6)] = CHOROID
    return kinds.astype(np.uint8)


def _slice(
    scan: _Scan,
    spacing: NDArray[np.float64],
    bounds: tuple[NDArray[np.int_], NDArray[np.int_]],
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """One slice, ``(2, 128, 128)``: the mean of planes across its thickness."""
    planes = planes_of(bounds, spacing, random, EDGE, PIXEL_MM, PLANES)
    level, brain = (
        np.mean([map_coordinates(part, plane, order=1, cval=0) for plane in planes], axis=0)
        for part in (scan.levels, scan.brain)
    )
    kind = map_coordinates(scan.kinds, planes[len(planes) // 2], order=0, cval=0)
    share = (np.clip(level, LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return np.stack([np.where(brain > 0.5, np.rint(share * 254 + 1), 0).astype(np.uint8), kind])
