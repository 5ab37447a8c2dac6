"""One DICOM file's header as plain values: what selection and checks need, and nothing of the
patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mmccd.io.dicom.classes import is_image_class, is_ours
from mmccd.io.dicom.elements import number_of, numbers_of, text_of, values_of
from mmccd.io.dicom.origin import Origin, origin_of

MAX_FRAMES = 20_000
_LABEL_LENGTH = 40
_SECRETS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientBirthName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientMotherBirthName",
    "AccessionNumber",
)
_TRAITS = {
    "EchoTime": "echo time",
    "EchoNumbers": "echo number",
    "InversionTime": "inversion time",
    "TemporalPositionIdentifier": "time point",
    "TriggerTime": "trigger time",
    "DiffusionBValue": "b value",
    "AcquisitionNumber": "acquisition",
    "ImageType": "image type",
    "ScanOptions": "scan options",
}
_FRAME_TRAITS = (
    ("MREchoSequence", "EffectiveEchoTime", "echo time"),
    ("FrameContentSequence", "TemporalPositionIndex", "time point"),
    ("MRDiffusionSequence", "DiffusionBValue", "b value"),
    ("MRImageFrameTypeSequence", "FrameType", "image type"),
)


NEEDED = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""Attributes without which nobody can say what an image is, or decode its pixels."""
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*"
_DATE = re.compile(
    rf"(?<!\d)(?:{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{4}}|\d{{6}})?"
    rf"|{_YEAR}([-./_ ]){_MONTH}\1{_DAY}"
    rf"|{_DAY}([-./_ ])(?:{_MONTH}|{_MONTH_NAME}\.?)\2{_YEAR}"
    rf"|{_DAY}([-./]){_MONTH}\3\d\d"
    rf"|{_MONTH}/{_DAY}/(?:{_YEAR}|\d\d)"
    rf"|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2]){_YEAR})(?![\d])",
    re.IGNORECASE,
)
"""A day as people write it into a description: 20240305, 2024-03-05, 5.3.24, 03/05/2024, 5 Mar
2024, 05032024; with the time where it follows without a break.
"""
_NO_AGENT = re.compile(r"\W*(no|none|n/?a|nil|without|w/?o|ohne|sans|0)?\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Frame:
    """One slice and its place in the patient; None where the header does not say.

    Attributes:
        position: centre of the first pixel in mm, LPS, shape ``(3,)``.
        orientation: directions of increasing column and increasing row index, LPS, shape ``(6,)``.
        spacing: distance of rows and of columns in mm, shape ``(2,)``.
        traits: what tells it from other frames at the same place (echo time, time point, ...).
    """

    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing: NDArray[np.float64] | None
    traits: dict[str, str]


@dataclass(frozen=True)
class Instance:
    """One DICOM file.

    Attributes:
        path: the file; it may name the patient and is never printed.
        sop_class: UID of the SOP class, "" where there is none.
        is_image: whether objects of that class are images. Our own objects count as none.
        sop_uid: SOP instance UID, "" where there is none.
        series_uid: series instance UID, "" where there is none.
        origin: study, patient and dates.
        modality: e.g. ``"MR"``.
        image_type: values in capitals, e.g. ``("ORIGINAL", "PRIMARY", "M")``.
        multi_frame: an enhanced object, with functional groups.
        rows: matrix size, 0 where the file holds no image.
        columns: the same.
        samples: per pixel.
        photometric: e.g. ``"MONOCHROME2"``.
        frame_of_reference: UID, "" where there is none.
        frames: the slices.
        between_slices: spacing between slices as the header says, in mm.
        thickness: of the slices, in mm.
        repetition_time: TR in ms.
        echo_time: TE in ms.
        inversion_time: TI in ms; None also where it is 0.
        wording: description of the series, sequence and contrast in lower case, as they stand in
            the header: to look into, never to print.
        protocol: name of the protocol, likewise.
        maker: of the scanner, likewise.
        agent: a contrast agent is named beside the description.
        number: of the series.
        description: of the series, safe to print: cut, cleaned, without words of the patient's name
            or numbers.
        study_description: of the study, likewise.
        missing: keywords of :data:`NEEDED` that the header, which is whole, does not have.
        lossy: the pixels were compressed with loss.
        transfer_syntax: name of how the file is stored.
    """

    path: Path
    sop_class: str
    is_image: bool
    sop_uid: str
    series_uid: str
    origin: Origin
    modality: str
    image_type: tuple[str, ...]
    multi_frame: bool
    rows: int
    columns: int
    samples: int
    photometric: str
    frame_of_reference: str
    frames: tuple[Frame, ...]
    between_slices: float | None
    thickness: float | None
    repetition_time: float | None
    echo_time: float | None
    inversion_time: float | None
    wording: str
    protocol: str
    maker: str
    agent: bool
    number: int | None
    description: str
    study_description: str
    missing: tuple[str, ...]
    lossy: bool
    transfer_syntax: str


def read_dataset(path: Path) -> Dataset:
    """A file's dataset.

    Raises:
        READ_ERRORS: it is damaged.
    """
    return _with_syntax(pydicom.dcmread(path, force=True))


def read_header(path: Path) -> tuple[Dataset, bool]:
    """A file's dataset without its pixels, and whether there are pixels behind it: a file that
    ends before them may have been cut off.

    Raises:
        READ_ERRORS: it is damaged.
    """
    reached = False

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal reached
        reached = tag in _PIXELS
        return reached

    with path.open("rb") as file:
        dataset = read_partial(file, at_pixels, force=True)
    return _with_syntax(dataset), reached


def _with_syntax(dataset: Dataset) -> Dataset:
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        dataset.file_meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _timing(dataset: Dataset, first: Groups) -> dict[str, float | None]:
    """Distances in mm and times in ms, of the header or else of its first functional group."""
    places = {
        "between_slices": ("SpacingBetweenSlices", "PixelMeasuresSequence", "SpacingBetweenSlices"),
        "thickness": ("SliceThickness", "PixelMeasuresSequence", "SliceThickness"),
        "repetition_time": (
            "RepetitionTime",
            "MRTimingAndRelatedParametersSequence",
            "RepetitionTime",
        ),
        "echo_time": ("EchoTime", "MREchoSequence", "EffectiveEchoTime"),
        "inversion_time": ("InversionTime", "MRModifierSequence", "InversionTimes"),
    }
    found = {
        name: _first(number_of(dataset, keyword), _nested(first, sequence, nested))
        for name, (keyword, sequence, nested) in places.items()
    }
    return {**found, "inversion_time": found["inversion_time"] or None}


def _wording(dataset: Dataset, first: Groups) -> str:
    """What names the contrast of this series, in small letters."""
    words = [
        *(text_of(dataset, name) for name in ("SeriesDescription", "SequenceName")),
        text_of(dataset, "AcquisitionContrast")
        or _nested_text(first, "MRImageFrameTypeSequence", "AcquisitionContrast"),
    ]
    return " ".join(word for word in words if word).lower()


def instance_of(dataset: Dataset, path: Path, has_pixels: bool) -> Instance | None:
    """A header as plain values; None where it has no SOP class or no series and ends before any
    pixels, so that nothing can be said about it.

    Args:
        dataset: see :func:`read_header`.
        path: of the file.
        has_pixels: whether pixels stand behind the header.

    Raises:
        READ_ERRORS: it is damaged.
    """
    series_uid, sop_class = (
        text_of(dataset, keyword) for keyword in ("SeriesInstanceUID", "SOPClassUID")
    )
    if not (series_uid and sop_class) and not has_pixels:
        return None
    secrets = _secret_words(dataset)
    groups = _functional_groups(dataset)
    first = groups[0] if groups else (dataset,)
    rows, columns = (int(number_of(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    return Instance(
        path=path,
        sop_class=sop_class,
        is_image=not is_ours(dataset)
        and is_image_class(sop_class, has_pixels and bool(rows and columns)),
        sop_uid=text_of(dataset, "SOPInstanceUID"),
        series_uid=series_uid,
        origin=origin_of(dataset),
        modality=clean(text_of(dataset, "Modality").upper(), secrets) or "unknown",
        image_type=tuple(
            clean(str(value).upper(), secrets) for value in values_of(dataset, "ImageType")
        ),
        multi_frame=bool(groups),
        rows=rows,
        columns=columns,
        samples=int(number_of(dataset, "SamplesPerPixel") or 1),
        photometric=clean(text_of(dataset, "PhotometricInterpretation").upper(), secrets),
        frame_of_reference=text_of(dataset, "FrameOfReferenceUID"),
        frames=(
            tuple(_enhanced_frame(group) for group in groups) if groups else _plain_frames(dataset)
        ),
        **_timing(dataset, first),
        wording=_wording(dataset, first),
        protocol=text_of(dataset, "ProtocolName").lower(),
        maker=text_of(dataset, "Manufacturer").lower(),
        agent=_has_agent(dataset),
        number=None if (number := number_of(dataset, "SeriesNumber")) is None else int(number),
        description=clean(
            text_of(dataset, "SeriesDescription") or text_of(dataset, "ProtocolName"), secrets
        ),
        study_description=clean(text_of(dataset, "StudyDescription"), secrets),
        missing=_missing(dataset) if has_pixels else (),
        lossy=text_of(dataset, "LossyImageCompression") == "01",
        transfer_syntax=syntax_name(dataset),
    )


def _missing(dataset: Dataset) -> tuple[str, ...]:
    return tuple(keyword for keyword in NEEDED if not values_of(dataset, keyword))


def _has_agent(dataset: Dataset) -> bool:
    return bool(values_of(dataset, "ContrastBolusAgentSequence")) or not _NO_AGENT.fullmatch(
        text_of(dataset, "ContrastBolusAgent")
    )


def syntax_name(dataset: Dataset) -> str:
    """The transfer syntax in words, ``"unknown"`` where DICOM has none of that UID."""
    uid = UID(dataset.file_meta.TransferSyntaxUID)
    return uid.name if uid in AllTransferSyntaxes else "unknown"


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Text that is safe in a message: printable, on one line, short, with ``***`` for every secret
    word and every date.
    """
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    plain = _DATE.sub("***", plain)
    for secret in sorted(secrets, key=len, reverse=True):
        plain = re.sub(re.escape(secret), "***", plain, flags=re.IGNORECASE)
    return plain if len(plain) <= _LABEL_LENGTH else plain[: _LABEL_LENGTH - 3] + "..."


def _secret_words(dataset: Dataset) -> set[str]:
    values = [str(value) for name in _SECRETS for value in values_of(dataset, name)]
    return {
        word for value in values for word in [value, *re.split(r"[\W_]+", value)] if len(word) >= 3
    }


def _plain_frames(dataset: Dataset) -> tuple[Frame, ...]:
    traits = {
        name: ", ".join(str(v) for v in values)
        for key, name in _TRAITS.items()
        if (values := values_of(dataset, key))
    }
    count = int(number_of(dataset, "NumberOfFrames") or 1)
    frame = Frame(
        numbers_of(dataset, "ImagePositionPatient", 3),
        numbers_of(dataset, "ImageOrientationPatient", 6),
        numbers_of(dataset, "PixelSpacing", 2),
        traits,
    )
    return (frame,) * min(max(count, 1), MAX_FRAMES)


Groups = tuple[Dataset, ...]
"""Where a frame's functional groups stand, in the order to look: its own item, then the shared one.
"""


def _functional_groups(dataset: Dataset) -> list[Groups]:
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    return [(item, *shared[:1]) for item in own[:MAX_FRAMES]]


def _enhanced_frame(groups: Groups) -> Frame:
    return Frame(
        _nested_numbers(groups, "PlanePositionSequence", "ImagePositionPatient", 3),
        _nested_numbers(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
        _nested_numbers(groups, "PixelMeasuresSequence", "PixelSpacing", 2),
        {
            name: text
            for sequence, key, name in _FRAME_TRAITS
            if (text := _nested_text(groups, sequence, key))
        },
    )


def _holder(groups: Groups, sequence: str) -> Dataset:
    return next((items[0] for group in groups if (items := group.get(sequence))), Dataset())


def _nested_numbers(
    groups: Groups, sequence: str, key: str, count: int
) -> NDArray[np.float64] | None:
    return numbers_of(_holder(groups, sequence), key, count)


def _nested(groups: Groups, sequence: str, key: str) -> float | None:
    return number_of(_holder(groups, sequence), key)


def _nested_text(groups: Groups, sequence: str, key: str) -> str:
    return ", ".join(str(value) for value in values_of(_holder(groups, sequence), key))


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
