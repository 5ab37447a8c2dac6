"""The MNI152 tissue maps that nilearn installs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import ModelError

_Kind = TypeVar("_Kind", np.float32, np.bool_)
_LEAST_TISSUE = 0.4
_CLOSING = 4


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
    whole_grey, affine = _tissue_map("gm")
    whole_white, _ = _tissue_map("wm")
    # Everything happens in the box of the brain, which is less than half of the grid; a run waits
    # for these maps before its first pass.
    box = _box_around((whole_grey + whole_white) > _LEAST_TISSUE)
    grey, white = whole_grey[box], whole_white[box]
    brain = _filled(ndimage.binary_closing(grey + white > _LEAST_TISSUE, iterations=_CLOSING))
    total = np.maximum(grey + white, 1.0)
    white, grey = white / total * brain, grey / total * brain
    fluid = np.clip(brain - white - grey, 0, 1)
    shape = whole_grey.shape
    return MniTissues(
        _placed(white, box, shape),
        _placed(grey, box, shape),
        _placed(fluid, box, shape),
        _placed(brain, box, shape),
        affine,
    )


def _box_around(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The mask's box with so much room around it that the border is not felt when it is closed."""
    room = 2 * _CLOSING
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    return tuple(slice(max(0, part.start - room), part.stop + room) for part in found)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes: what is not connected to the outside by faces of voxels. What
    ``binary_fill_holes`` gives, in a sixth of its time.
    """
    parts, _ = ndimage.label(~np.pad(mask, 1))
    return np.asarray(parts != parts[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _placed(part: NDArray[_Kind], box: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[_Kind]:
    """The part on the whole grid, with zeros around it."""
    whole = np.zeros(shape, dtype=part.dtype)
    whole[box] = part
    return whole


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
