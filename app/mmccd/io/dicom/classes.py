"""What an object is, by its SOP class."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from mmccd.io.dicom.elements import text_of

MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
"""MR images."""
MANUFACTURER = "MMCCD"
"""Of the objects that this software makes of a result."""
_CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1"


def is_image_class(uid: str, has_matrix: bool) -> bool:
    """Whether objects of a SOP class are images. Raw data, presentation states, reports,
    spectra, segmentations and documents are none, whatever else their headers say.

    Args:
        uid: of the class; "" where the header has none.
        has_matrix: rows, columns and pixels are there, which decides on a maker's own class.
    """
    name = UID(uid).name
    if name != uid:
        return "Image Storage" in name
    return not uid or (has_matrix and uid != _CSA_NON_IMAGE)


def is_report_class(uid: str) -> bool:
    """Whether objects of a SOP class are structured reports."""
    return UID(uid).name.endswith("SR Storage")


def is_ours(dataset: Dataset) -> bool:
    """Whether an object was made by this software of a result: it is never an input."""
    return text_of(dataset, "Manufacturer") == MANUFACTURER
