"""What an object is, by its SOP class."""

from __future__ import annotations

from pydicom import config
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
_MODALITIES = {
    "CT": "CT Image",
    "PT": "Positron Emission",
    "PET": "PET Image",
    "NM": "Nuclear Medicine",
    "US": "Ultrasound",
    "XA": "X-Ray",
    "MG": "Mammography",
    "RTDOSE": "RT Dose",
}
"""By how their SOP classes are named."""
_CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1"


def is_image_class(uid: str, has_matrix: bool) -> bool:
    """Whether objects of a SOP class are images. Raw data, presentation states, reports,
    spectra, segmentations and documents are none, whatever else their headers say.

    Args:
        uid: of the class; "" where the header has none.
        has_matrix: rows, columns and pixels are there, which decides on a maker's own class.
    """
    name = UID(uid, config.IGNORE).name
    if name != uid:
        return "Image Storage" in name
    return not uid or (has_matrix and uid != _CSA_NON_IMAGE)


def other_modality(uid: str) -> str:
    """Of which modality the images of a SOP class are, where the class is not of MR: a header that
    says MR may have been written by a program that knew no other word. "" for MR, for pictures
    (Secondary Capture) and for classes that are not known.
    """
    name = UID(uid, config.IGNORE).name
    return next((word for word, start in _MODALITIES.items() if start in name), "")


def is_report_class(uid: str) -> bool:
    """Whether objects of a SOP class are structured reports."""
    return UID(uid, config.IGNORE).name.endswith("SR Storage")


def is_ours(dataset: Dataset) -> bool:
    """Whether an object was made by this software of a result: it is never an input."""
    return text_of(dataset, "Manufacturer") == MANUFACTURER
