"""The source series, as DICOM objects that are derived from it need it: headers with every
attribute that must be there, and where each frame lies.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from mmccd.core import Volume
from mmccd.io import Unvalidated, quiet
from mmccd.outputs.dicom.conform import is_valid

SOP_CLASSES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_UIDS = {
    "StudyInstanceUID": "study instance UID",
    "SeriesInstanceUID": "series instance UID",
    "SOPInstanceUID": "SOP instance UID",
    "FrameOfReferenceUID": "frame of reference UID",
}
TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Attributes that an object must have, if empty (PS3.3, Patient and General Study modules)."""
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
_DATE_DIGITS = 8
_POSITION_TOLERANCE = 0.1


@dataclass(frozen=True)
class Source:
    """A series that objects can be derived from.

    Attributes:
        headers: one of each file, without pixels, in the order of their slices from the first to
            the last index k of the volume.
        slices: the volume's index k of each frame, in the order of headers and their frames.
        acquired: date and time (DA, TM) at which the first image was acquired; empty where no
            header says.
        offset: of the study's times from UTC, such as ``+0100``; empty where it is not known.
    """

    headers: tuple[Dataset, ...]
    slices: tuple[int, ...]
    acquired: tuple[str, str]
    offset: str

    @classmethod
    def of(cls, volume: Volume) -> Source:
        """The series that a volume was read from; its headers are those of
        :func:`~mmccd.io.dicom.assemble.assemble` and stay as they are.

        Args:
            volume: on the series' own grid: columns, rows, slices.

        Raises:
            ValueError: the volume has been moved to another grid.
        """
        with tolerant():
            found = [
                (_slices(header, volume), _completed(header, volume)) for header in volume.headers
            ]
        found.sort(key=lambda one: one[0][0])
        slices = tuple(index for indices, _ in found for index in indices)
        if sorted(slices) != list(range(volume.shape[2])):
            raise ValueError("the volume is not on the grid of its DICOM series")
        headers = tuple(header for _, header in found)
        with tolerant():
            acquired = min(filter(any, map(_acquired, headers)), default=("", ""))
        return cls(headers, slices, acquired, _offset(headers[0]))

    @property
    def first(self) -> Dataset:
        """The header that speaks for the series."""
        return self.headers[0]

    def frames(self, data: NDArray[Any]) -> NDArray[Any]:
        """Voxels ``(columns, rows, slices)`` as ``(frames, rows, columns)`` in the order of the
        source's frames.
        """
        return np.ascontiguousarray(data.transpose(2, 1, 0)[list(self.slices)])

    def say_when(self, dataset: Dataset) -> None:
        """Put into an image that is derived when its source was acquired; its other dates are those
        of its making.
        """
        date, time = self.acquired
        if date:
            dataset.AcquisitionDate, dataset.AcquisitionTime = date, time


def refusal(volume: Volume) -> str | None:
    """Why no object can be derived from a DICOM series, with the way out; None where objects can
    be.
    """
    for header in volume.headers:
        for keyword, name in _UIDS.items():
            if not re.fullmatch(r"[0-9.]{1,64}", str(header.get(keyword) or "")):
                return (
                    f"a source file has no valid {name}; expected one in each; export the series"
                    " again from the archive"
                )
        if UID(str(header.get("SOPClassUID"))) not in SOP_CLASSES:
            return (
                "a source file is no MR Image, Enhanced MR Image or Legacy Converted Enhanced MR"
                " Image; expected one of these SOP classes"
            )
    studies = {str(header.StudyInstanceUID) for header in volume.headers}
    if len(studies) > 1:
        return (
            f"the source series spreads over {len(studies)} studies; expected one; export it again"
            " from the archive"
        )
    return None


_unvalidated_writing = Unvalidated("writing_validation_mode")


@contextmanager
def tolerant() -> Iterator[None]:
    """Values of the source are passed on as they are, valid or not: neither reading nor writing
    complains, because complaints quote the patient.
    """
    with _unvalidated_writing(), quiet():
        yield


def _completed(header: Dataset, volume: Volume) -> Dataset:
    """A copy that has what a derived object must have; what is missing or no valid date, time, sex
    or age is empty.
    """
    result: Dataset = copy.copy(header)
    result._dict = dict(header._dict)
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if not is_valid(result, "PatientAge"):
        result.pop("PatientAge", None)
    for keyword in TYPE_2:
        if not is_valid(result, keyword):
            _put(result, keyword, "")
    if "PerFrameFunctionalGroupsSequence" in result:
        _put(result, "SharedFunctionalGroupsSequence", [_shared_group(result, volume)])
    elif not result.get("SliceThickness"):
        _put(result, "SliceThickness", round(volume.spacing[2], 6))
    return result


def _put(header: Dataset, keyword: str, value: object) -> None:
    """A new element in place of one that other datasets may hold, too."""
    header.pop(keyword, None)
    setattr(header, keyword, value)


def _shared_group(header: Dataset, volume: Volume) -> Dataset:
    """Functional groups of all frames, with orientation and spacing, which are equal in all frames
    of a volume and may stand in each of them.
    """
    group, first = Dataset(), header.PerFrameFunctionalGroupsSequence[0]
    group.update((header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0])
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in group:
            group[keyword] = first[keyword]
    measures = Dataset()
    measures.update(group.PixelMeasuresSequence[0])
    if not measures.get("SliceThickness"):
        _put(measures, "SliceThickness", round(volume.spacing[2], 6))
    _put(group, "PixelMeasuresSequence", [measures])
    return group


def _slices(header: Dataset, volume: Volume) -> list[int]:
    """The volume's index k of each frame of a file, by its position."""
    groups = header.get("PerFrameFunctionalGroupsSequence")
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    planes = (
        [
            (group if "PlanePositionSequence" in group else shared).PlanePositionSequence[0]
            for group in groups
        ]
        if groups
        else [header]
    )
    to_index = np.linalg.inv(volume.affine)
    indices = []
    for plane in planes:
        x, y, z = (float(value) for value in plane.ImagePositionPatient)
        index = to_index @ [-x, -y, z, 1.0]
        k = int(np.rint(index[2]))
        if abs(index[2] - k) > _POSITION_TOLERANCE:
            raise ValueError("the volume is not on the grid of its DICOM series")
        indices.append(k)
    return indices


def _acquired(header: Dataset) -> tuple[str, str]:
    """Date and time of an image's acquisition; "" where the header does not say."""
    if header.get("AcquisitionDate") and is_valid(header, "AcquisitionDate"):
        time = header.get("AcquisitionTime") if is_valid(header, "AcquisitionTime") else ""
        return str(header.AcquisitionDate), str(time or "")
    frame = (header.get("PerFrameFunctionalGroupsSequence") or [Dataset()])[0]
    content = (frame.get("FrameContentSequence") or [Dataset()])[0]
    for dataset, keyword in (
        (header, "AcquisitionDateTime"),
        (content, "FrameAcquisitionDateTime"),
    ):
        if dataset.get(keyword) and is_valid(dataset, keyword):
            plain = re.split(r"[+-]", str(dataset[keyword].value))[0]
            if len(plain) >= _DATE_DIGITS:
                return plain[:_DATE_DIGITS], plain[_DATE_DIGITS:]
    return "", ""


def _offset(header: Dataset) -> str:
    found = str(header.get("TimezoneOffsetFromUTC") or "").strip()
    return found if _OFFSET.fullmatch(found) else ""
