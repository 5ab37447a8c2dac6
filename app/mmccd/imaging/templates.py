"""The MNI152 tissue maps that nilearn installs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import ModelError


@dataclass(frozen=True)
class MniTissues:
    """Tissue shares of the MNI ICBM152 2009 brain (Fonov et al., NeuroImage 2011) on its 1 mm grid.

    Attributes:
        white: share of white matter in every voxel, float32 ``(X, Y, Z)`` in [0, 1]; axes point
            right, anterior and superior.
        grey: of grey matter, likewise.
        fluid: what is brain and neither.
        brain: bool of the same shape.
        affine: voxel to mm.
    """

    white: NDArray[np.float32]
    grey: NDArray[np.float32]
    fluid: NDArray[np.float32]
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]


@lru_cache(maxsize=1)
def mni_tissues() -> MniTissues:
    """The maps; read once. Not to be changed."""
    grey, affine = _tissue_map("gm")
    white, _ = _tissue_map("wm")
    closed = ndimage.binary_closing(grey + white > 0.4, iterations=4)
    brain = np.asarray(ndimage.binary_fill_holes(closed))
    total = np.maximum(grey + white, 1.0)
    white, grey = white / total * brain, grey / total * brain
    return MniTissues(white, grey, np.clip(brain - white - grey, 0, 1), brain, affine)


def _tissue_map(tissue: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    image = nib.as_closest_canonical(nib.load(_nilearn_folder() / "datasets" / "data" / name))
    data = np.asarray(image.get_fdata(dtype=np.float32))
    share = np.asarray(data / max(float(data.max()), 1.0), dtype=np.float32)
    return share, np.asarray(image.affine, dtype=np.float64)


def _nilearn_folder() -> Path:
    """Where nilearn is installed, found without importing it: that loads scikit-learn and pandas,
    which takes seconds.
    """
    spec = find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "the tissue maps of MNI152 are not here: nilearn, which installs them, is missing;"
            " expected it beside mmccd; install it with 'pip install nilearn'"
        )
    return Path(spec.submodule_search_locations[0])
