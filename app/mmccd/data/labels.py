"""Lesion labels: what counts as a lesion, and labels that say less than they seem to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmccd.core import UnsuitableInputError, Volume
from mmccd.data.layouts import Case, is_mask_name
from mmccd.io import is_nifti_name, read_nifti

if TYPE_CHECKING:
    from nibabel import Nifti1Image

logger = logging.getLogger(__name__)

LESION = 0.5
"""A voxel is a lesion where its label is above this."""

Bools = NDArray[np.bool_]


def read_label(case: Case, reference: Volume) -> tuple[Bools, Bools]:
    """What a case's label says on the grid of one of its images; all False where it has none.

    Args:
        case: its files.
        reference: one of its images.

    Returns:
        The lesion, and all voxels that may not count as healthy: the lesion, or where no voxel of
        the label reaches :data:`LESION` (a soft label), whatever is above 0.

    Raises:
        InputError: the label cannot be read.
        UnsuitableInputError: it lies on another grid.
    """
    if case.label is None:
        nothing = np.zeros(reference.shape, dtype=bool)
        return nothing, nothing
    label = on_grid(read_nifti(case.label, "mask"), reference, case).data
    lesion = np.asarray(label > LESION)
    return lesion, lesion if lesion.any() else np.asarray(label > 0)


def read_lesion(case: Case, reference: Volume) -> Bools:
    """The lesion of :func:`read_label` alone."""
    return read_label(case, reference)[0]


def on_grid(volume: Volume, reference: Volume, case: Case) -> Volume:
    """The volume, if it lies on the grid of another one of its case.

    Raises:
        UnsuitableInputError: it does not.
    """
    if not volume.same_grid(reference):
        raise UnsuitableInputError(
            f"case {case.name}: its {volume.modality} (shape {volume.shape}) lies on another grid"
            f" than its {reference.modality} (shape {reference.shape}); register and resample them"
            " first"
        )
    return volume


def say_doubtful_labels(cases: Sequence[Case]) -> None:
    """Log a warning where lesions may pass for healthy tissue, with the number of cases: labels
    that hold something and no voxel above :data:`LESION` (labels of whole numbers are not read),
    and cases without a label beside others with one, or with a mask whose name is not known.
    """
    labels = [case.label for case in cases if case.label is not None]
    soft = sum(_is_soft(label) for label in labels)
    if soft:
        logger.warning(
            "the labels of %d of %d cases have no voxel above %g, although they are not empty: no"
            " lesion is taken from them, and slices that they mark do not count as healthy either;"
            " expected 1 in lesions and 0 elsewhere; scale them",
            soft,
            len(labels),
            LESION,
        )
    without = [case for case in cases if case.label is None]
    if without and labels:
        logger.warning(
            "%d of %d cases have no label and count as healthy; expected CASE_seg beside the images"
            " of each; add the labels, or leave these cases out",
            len(without),
            len(cases),
        )
    unknown = sum(_has_unknown_mask(case) for case in without)
    if unknown:
        logger.warning(
            "%d of %d cases have a mask that is not read; expected CASE_seg for lesions and"
            " CASE_brain for the brain; rename it",
            unknown,
            len(cases),
        )


def _has_unknown_mask(case: Case) -> bool:
    folder = next(iter(case.images.values())).parent
    used = {case.brain, *case.images.values()}
    return folder.name == case.name and any(
        is_nifti_name(file) and is_mask_name(file) and file not in used for file in folder.iterdir()
    )


def _is_soft(label: Path) -> bool:
    if _holds_whole_numbers(label):
        return False
    values = read_nifti(label, "mask").data
    return bool((values > 0).any() and not (values > LESION).any())


def _holds_whole_numbers(label: Path) -> bool:
    """Whether the header says so, which is quickly read; False where it cannot be read."""
    import nibabel as nib

    try:
        image: Nifti1Image = nib.load(label)
    except (nib.filebasedimages.ImageFileError, OSError, ValueError, EOFError):
        return False
    is_scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    return bool(np.issubdtype(image.get_data_dtype(), np.integer)) and not is_scaled
