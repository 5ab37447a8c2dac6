"""One DICOM file's header as plain values: what selection and checks need, and nothing of the
patient.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

# pydicom and highdicom report oddities of a header, values included, on stderr; a value may be the
# patient's name.
for _name in ("pydicom", "highdicom", "openjpeg"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom, highdicom and the codecs raise on damaged files. Their messages are never passed
on: they can quote the header.
"""

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
        sop_uid: SOP instance UID, "" where there is none.
        series_uid: series instance UID.
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
        wording: description, protocol and contrast in lower case, as they stand in the header: to
            look into, never to print.
        number: of the series.
        description: of the series, safe to print: cut, cleaned, without words of the patient's name
            or numbers.
        lossy: the pixels were compressed with loss.
        transfer_syntax: name of how the file is stored.
    """

    path: Path
    sop_uid: str
    series_uid: str
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
    number: int | None
    description: str
    lossy: bool
    transfer_syntax: str


@contextmanager
def quiet() -> Iterator[None]:
    """Read without validation and without warnings: both quote the header."""
    settings = pydicom.config.settings
    mode = settings.reading_validation_mode
    settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = mode


def read_dataset(path: Path, pixels: bool) -> Dataset:
    """A file's dataset, with or without pixel data.

    Raises:
        READ_ERRORS: it is damaged.
    """
    dataset = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
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
        name: _first(_number(dataset, keyword), _nested(first, sequence, nested))
        for name, (keyword, sequence, nested) in places.items()
    }
    return {**found, "inversion_time": found["inversion_time"] or None}


def _wording(dataset: Dataset, first: Groups) -> str:
    """What names the contrast, in small letters."""
    words = [
        *(_text(dataset, name) for name in ("SeriesDescription", "ProtocolName", "SequenceName")),
        _text(dataset, "AcquisitionContrast")
        or _nested_text(first, "MRImageFrameTypeSequence", "AcquisitionContrast"),
    ]
    return " ".join(word for word in words if word).lower()


def instance_of(dataset: Dataset, path: Path) -> Instance | None:
    """A header as plain values; None where it has no SOP class or no series, so that nothing can be
    said about it.

    Raises:
        READ_ERRORS: it is damaged.
    """
    series_uid = _text(dataset, "SeriesInstanceUID")
    if not series_uid or not _text(dataset, "SOPClassUID"):
        return None
    secrets = _secret_words(dataset)
    groups = _functional_groups(dataset)
    first = groups[0] if groups else (dataset,)
    return Instance(
        path=path,
        sop_uid=_text(dataset, "SOPInstanceUID"),
        series_uid=series_uid,
        modality=clean(_text(dataset, "Modality").upper(), secrets) or "unknown",
        image_type=tuple(
            clean(str(value).upper(), secrets) for value in _values(dataset, "ImageType")
        ),
        multi_frame=bool(groups),
        rows=int(_number(dataset, "Rows") or 0),
        columns=int(_number(dataset, "Columns") or 0),
        samples=int(_number(dataset, "SamplesPerPixel") or 1),
        photometric=clean(_text(dataset, "PhotometricInterpretation").upper(), secrets),
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        frames=(
            tuple(_enhanced_frame(group) for group in groups) if groups else _plain_frames(dataset)
        ),
        **_timing(dataset, first),
        wording=_wording(dataset, first),
        number=None if (number := _number(dataset, "SeriesNumber")) is None else int(number),
        description=clean(
            _text(dataset, "SeriesDescription") or _text(dataset, "ProtocolName"), secrets
        ),
        lossy=_text(dataset, "LossyImageCompression") == "01",
        transfer_syntax=syntax_name(dataset),
    )


def syntax_name(dataset: Dataset) -> str:
    """The transfer syntax in words, ``"unknown"`` where DICOM has none of that UID."""
    uid = UID(dataset.file_meta.TransferSyntaxUID)
    return uid.name if uid in AllTransferSyntaxes else "unknown"


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Text that is safe in a message: printable, on one line, short, with ``***`` for every secret
    word.
    """
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    for secret in sorted(secrets, key=len, reverse=True):
        plain = re.sub(re.escape(secret), "***", plain, flags=re.IGNORECASE)
    return plain if len(plain) <= _LABEL_LENGTH else plain[: _LABEL_LENGTH - 3] + "..."


def _secret_words(dataset: Dataset) -> set[str]:
    values = [str(value) for name in _SECRETS for value in _values(dataset, name)]
    return {
        word for value in values for word in [value, *re.split(r"[\W_]+", value)] if len(word) >= 3
    }


def _plain_frames(dataset: Dataset) -> tuple[Frame, ...]:
    traits = {
        name: ", ".join(str(v) for v in values)
        for key, name in _TRAITS.items()
        if (values := _values(dataset, key))
    }
    count = int(_number(dataset, "NumberOfFrames") or 1)
    frame = Frame(
        _numbers(dataset, "ImagePositionPatient", 3),
        _numbers(dataset, "ImageOrientationPatient", 6),
        _numbers(dataset, "PixelSpacing", 2),
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
    return _numbers(_holder(groups, sequence), key, count)


def _nested(groups: Groups, sequence: str, key: str) -> float | None:
    return _number(_holder(groups, sequence), key)


def _nested_text(groups: Groups, sequence: str, key: str) -> str:
    return ", ".join(str(value) for value in _values(_holder(groups, sequence), key))


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _values(dataset: Dataset, key: str) -> list[Any]:
    """An element's values; none where it is missing, empty or not what its type promises."""
    try:
        value = dataset.get(key)
    except READ_ERRORS:
        return []
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return list(value) if isinstance(value, pydicom.multival.MultiValue | list | tuple) else [value]


def _text(dataset: Dataset, key: str) -> str:
    values = _values(dataset, key)
    return str(values[0]).strip() if values else ""


def _numbers(dataset: Dataset, key: str, count: int) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(value) for value in _values(dataset, key)], dtype=np.float64)
    except READ_ERRORS:
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def _number(dataset: Dataset, key: str) -> float | None:
    try:
        value = float(_values(dataset, key)[0])
    except READ_ERRORS:
        return None
    return value if np.isfinite(value) else None
