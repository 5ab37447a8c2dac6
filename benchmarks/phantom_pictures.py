"""Phantoms beside a real head, for docs/phantom.md: FLAIR, T1w and T2w of the built-in anatomy, of
a label map with and without lesions, and of a patient.

python benchmarks/phantom_pictures.py LABEL_MAP CASE_FOLDER docs/images/phantom.png
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mmccd.core import Volume
from mmccd.data import find_cases
from mmccd.io import read_nifti
from mmccd.phantom import Acquisition, Phantom, load_anatomy, make_phantom

THIN = Acquisition(slice_mm=2.0)
MODALITIES = ("flair", "t1", "t2")


def phantom_rows(label_map: Path) -> list[tuple[str, dict[str, Volume], int]]:
    """Title, images and slice of each phantom."""
    brain, head = load_anatomy(label_map), load_anatomy(label_map, head=True)
    low_field = replace(THIN, field_strength=1.5)
    made = [
        ("phantom, built-in anatomy, 3 T", make_phantom(3, None, THIN)),
        ("phantom, label map, 1.5 T", make_phantom(3, None, low_field, brain)),
        ("phantom, glioma", make_phantom(1, "glioma", THIN, brain)),
        ("phantom, iso-intense mass", make_phantom(2, "isointense", THIN, brain)),
        ("phantom, MS plaques", make_phantom(8, "ms", THIN, brain)),
        (
            "phantom, stroke, head kept",
            make_phantom(5, "stroke", replace(THIN, slice_mm=5.0), head, head=True),
        ),
    ]
    return [(title, phantom.images, best_slice(phantom)) for title, phantom in made]


def best_slice(phantom: Phantom) -> int:
    """With most lesion, or three fifths up the brain."""
    lesion = phantom.lesion.data.sum((0, 1))
    return int(lesion.argmax()) if lesion.any() else three_fifths(phantom.brain.data > 0)


def three_fifths(brain: NDArray[np.bool_]) -> int:
    """A slice through the lateral ventricles."""
    low, high = np.flatnonzero(brain.any((0, 1)))[[0, -1]]
    return int(low + 0.6 * (high - low))


def show(axes: Axes, volume: Volume, index: int) -> None:
    """Anterior up, the patient's right on the left; window up to the 99.5th percentile of what is
    not background.
    """
    data = volume.data
    plane = data[:, :, index] if volume.affine[0, 0] < 0 else data[::-1, :, index]
    rows = np.flatnonzero((plane > 0.05 * data.max()).any(1))
    columns = np.flatnonzero((plane > 0.05 * data.max()).any(0))
    plane = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    spacing = volume.spacing
    axes.imshow(
        plane.T,
        cmap="gray",
        origin="lower",
        vmin=0,
        vmax=np.percentile(data[data > 0], 99.5),
        aspect=spacing[1] / spacing[0],
    )
    axes.set_axis_off()


def main() -> None:
    """Draw all rows."""
    label_map, folder, output = (Path(word) for word in sys.argv[1:4])
    (case,) = [case for case in find_cases(folder.parent) if case.name == folder.name]
    real = {name: read_nifti(case.images[name], name) for name in MODALITIES}
    rows = [
        ("patient (Lesjak et al. 2017)", real, three_fifths(real["flair"].data > 0)),
        *phantom_rows(label_map),
    ]
    figure, axes = plt.subplots(len(MODALITIES), len(rows), figsize=(2.1 * len(rows), 7.4))
    for column, (title, images, index) in enumerate(rows):
        axes[0, column].set_title(title.replace(", ", ",\n"), fontsize=8)
        for row, name in enumerate(MODALITIES):
            show(axes[row, column], images[name], index)
    for row, name in enumerate(("FLAIR", "T1w", "T2w")):
        figure.text(0.005, (0.82, 0.5, 0.2)[row], name, rotation=90, fontsize=9)
    figure.tight_layout(rect=(0.015, 0, 1, 1))
    figure.savefig(output, dpi=90)


if __name__ == "__main__":
    main()
