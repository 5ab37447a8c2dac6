"""An object that has arrived by C-STORE, whoever asked for it, and the status that it is answered
with.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID

from mmccd.apps.pacs.archive import ArchivedSeries
from mmccd.apps.pacs.dimse.uids import IMAGES, OWN, TAKEN
from mmccd.outputs import MANUFACTURER

logger = logging.getLogger(__name__)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NOT_SUPPORTED = 0x0122
NOT_ALLOWED = 0x0124
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
NOT_UNDERSTOOD = 0xC000
_PREAMBLE = b"\0" * 128 + b"DICM"
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LAST = Tag("SeriesInstanceUID")
_TAGS: list[Any] = [
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "Manufacturer",
    "InstitutionName",
    "SeriesDescription",
    "BodyPartExamined",
    "StudyInstanceUID",
    "SeriesInstanceUID",
]
"""All of them stand before the series' UID, behind which nothing is read."""


class RefusedError(Exception):
    """An object is not taken.

    Args:
        comment: for the other's log, at most 64 characters; nothing of a patient.
        status: of the answer (PS3.4, B.2.3; PS3.7, C).
    """

    def __init__(self, comment: str, status: int) -> None:
        super().__init__(comment)
        self.status, self.comment = status, comment[:64]


@dataclass(frozen=True)
class Header:
    """What has to be known of an object.

    Attributes:
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        sop_class: SOPClassUID.
        sop_instance: SOPInstanceUID.
        modality: such as MR.
        manufacturer: of the scanner, or ours.
        description: SeriesDescription.
        body_part: BodyPartExamined.
        institution: InstitutionName.
    """

    study: str
    series: str
    sop_class: str
    sop_instance: str
    modality: str
    manufacturer: str
    description: str = ""
    body_part: str = ""
    institution: str = ""

    @classmethod
    def of(cls, dataset: Dataset) -> Header:
        """From a data set.

        Raises:
            ValueError: it says not what it is, or where it belongs.
        """

        def text(name: str) -> str:
            return str(dataset.get(name) or "").strip("\0 ")

        uids = [text(name) for name in ("StudyInstanceUID", "SeriesInstanceUID")]
        uids += [text(name) for name in ("SOPClassUID", "SOPInstanceUID")]
        for uid in uids:
            if len(uid) > 64 or not _UID.fullmatch(uid):
                raise ValueError("no valid UIDs")
        return cls(
            study=uids[0],
            series=uids[1],
            sop_class=uids[2],
            sop_instance=uids[3],
            modality=text("Modality") or ("MR" if uids[2] in IMAGES else ""),
            manufacturer=text("Manufacturer"),
            description=text("SeriesDescription"),
            body_part=text("BodyPartExamined"),
            institution=text("InstitutionName"),
        )

    def in_series(self, instances: int) -> ArchivedSeries:
        """Its series, of which there are so many objects."""
        return ArchivedSeries(
            self.series,
            self.modality,
            self.manufacturer,
            instances,
            self.description,
            self.body_part,
            self.institution,
        )


def header_of_file(path: Path) -> Header:
    """That of a stored object.

    Raises:
        ValueError: it is none, or damaged.
    """
    try:
        return Header.of(dcmread(path, stop_before_pixels=True, specific_tags=_TAGS))
    except Exception as error:  # pydicom raises whatever the damage leads to
        raise ValueError("not a DICOM object") from error


@dataclass(frozen=True)
class Arrival:
    """An object, as it was sent.

    Attributes:
        header: of it.
        meta: for the file that it becomes.
        data: the data set, encoded.
        sender: the association that it came over, which is a thread.
    """

    header: Header
    meta: FileMetaDataset
    data: BytesIO
    sender: threading.Thread

    @property
    def size(self) -> int:
        """Bytes of the data set."""
        return self.data.getbuffer().nbytes

    def write(self, file: IO[bytes]) -> None:
        """Write it as a file, byte for byte what was sent."""
        file.write(_PREAMBLE)
        write_file_meta_info(DicomIO(file), self.meta)
        file.write(self.data.getbuffer())

    def write_to(self, path: Path) -> None:
        """Write it as a new file that nobody else may read, and have it on the disk.

        Raises:
            OSError: it cannot be written; nothing is left then.
        """
        try:
            path.touch(0o600, exist_ok=False)
            with path.open("wb") as file:
                self.write(file)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


class Sink(Protocol):
    """Who takes what arrives. Called by several threads at a time."""

    def take(self, arrival: Arrival) -> None:
        """Keep an object; it is answered for when this returns.

        Raises:
            RefusedError: it is not taken.
            OSError: it cannot be written.
        """

    def closed(self, sender: threading.Thread, properly: bool) -> None:
        """An association has ended: released, or broken off."""


def receive(event: Any, sink: Sink) -> Dataset:
    """Handle a C-STORE request (``EVT_C_STORE``).

    Args:
        event: of pynetdicom.
        sink: takes the object.

    Returns:
        Status and, where it is not success, a comment.
    """
    try:
        sink.take(_arrival(event))
        return _answer(SUCCESS, "")
    except RefusedError as refused:
        status, comment = refused.status, refused.comment
    except OSError as error:
        status, comment = OUT_OF_RESOURCES, f"cannot be written ({error.strerror or 'error'})"
    except Exception as error:  # a defect of ours; the other has to know that nothing was stored
        status, comment = PROCESSING_FAILURE, f"defect: {type(error).__name__}"
    logger.warning(
        "refused an object of %s: %s (status %04X)", caller_of(event.assoc), comment, status
    )
    return _answer(status, comment)


def caller_of(association: Any) -> str:
    """AE title and address of the other, in characters that may stand in a log."""
    title = "".join(c for c in str(association.requestor.ae_title or "?") if c.isprintable())
    return f"{title.strip()}@{association.requestor.address}"


def hidden(uid: str) -> str:
    """A name of 32 characters that stands for a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def _arrival(event: Any) -> Arrival:
    request, syntax = event.request, UID(event.context.transfer_syntax)
    try:
        request.DataSet.seek(0)
        dataset = read_dataset(
            request.DataSet,
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag > _LAST,
            specific_tags=[Tag(name) for name in _TAGS],
        )
        header = Header.of(dataset)
    except Exception as error:  # pydicom raises whatever the damage leads to
        raise RefusedError("the data set cannot be read", NOT_UNDERSTOOD) from error
    asked = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
    if asked != (header.sop_class, header.sop_instance):
        raise RefusedError("the data set is not what the request says", MISMATCH)
    if header.sop_class in OWN and header.manufacturer != MANUFACTURER:
        raise RefusedError(f"of this class only those of {MANUFACTURER} are taken", NOT_ALLOWED)
    if header.sop_class not in TAKEN:
        raise RefusedError("neither MR nor a result of ours", NOT_SUPPORTED)
    return Arrival(header, event.file_meta, request.DataSet, event.assoc)


def _answer(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment
    return answer
