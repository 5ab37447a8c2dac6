"""A T1 scan of the small head of label_maps: its own grid, a coil's field, and texture."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from tests.phantom.label_maps import nested_labels

from mmccd.core.volume import Volume
from mmccd.io.nifti import write_nifti

WHITE, GREY, FLUID, SKULL, PALLIDUM = 1000.0, 700.0, 300.0, 120.0, 980.0
BRIGHTNESS = {2: WHITE, 3: GREY, 4: FLUID, 24: FLUID, 13: PALLIDUM, 507: SKULL}


def scan_of(labels: Volume, field: float = 0.0, dark_spot: bool = False) -> Volume:
    """T1 of 2 mm, axes left, posterior, superior; brighter towards the right by ``field``."""
    values = np.zeros(labels.shape)
    for label, brightness in BRIGHTNESS.items():
        values[labels.data == label] = brightness
    right = np.linspace(-1, 1, labels.shape[0])[:, None, None]
    values *= 1 + field * right * (1 if labels.affine[0, 0] > 0 else -1)
    if dark_spot:
        values[34:37, 94:97, 45:48] = GREY
    fine = nib.Nifti1Image(values, labels.affine)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    affine[:3, 3] = (62, 74, -48)
    there = resample_from_to(fine, ((63, 75, 49), affine), order=1)
    return Volume(np.asarray(there.dataobj, dtype=np.float32), affine, "image")


def write_scans(folder: Path, count: int = 1, field: float = 0.1) -> tuple[Path, Path]:
    """Folders of scans and of their label maps."""
    images, maps = folder / "scans", folder / "maps"
    for number in range(count):
        labels = nested_labels(bool(number % 2))
        maps.mkdir(parents=True, exist_ok=True)
        images.mkdir(parents=True, exist_ok=True)
        write_nifti(labels, maps / f"head{number:02}_labels.nii.gz", "int16")
        write_nifti(scan_of(labels, field), images / f"head{number:02}_T1.nii.gz", "float32")
    return images, maps
