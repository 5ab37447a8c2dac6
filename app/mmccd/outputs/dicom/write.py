"""All DICOM objects of a run into a folder."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import UID

from mmccd.core import (
    PDF,
    PICTURES,
    REPORT,
    SEGMENTATION,
    USUAL_CHOICE,
    DicomObject,
    EarlierReport,
    Finding,
    OutputChoice,
    OutputError,
    Result,
)
from mmccd.io import READ_ERRORS
from mmccd.outputs.dicom.capture import make_captures
from mmccd.outputs.dicom.document import make_document
from mmccd.outputs.dicom.identity import Identity, finish
from mmccd.outputs.dicom.segmentation import make_segmentation
from mmccd.outputs.dicom.segments import segments_of
from mmccd.outputs.dicom.source import Source, refusal, tolerant
from mmccd.outputs.dicom.structured_report import make_report
from mmccd.outputs.folder import DICOM

Made = TypeVar("Made", bound=Dataset)


@dataclass
class Objects:
    """The objects of a run.

    Attributes:
        files: by file name.
        result: the run, with what the objects' making has added to its findings.
        superseded: earlier reports that the report supersedes.
    """

    files: dict[str, Dataset]
    result: Result
    superseded: tuple[EarlierReport, ...] = ()


def write_dicom(
    result: Result,
    folder: Path,
    choice: OutputChoice = USUAL_CHOICE,
    created: datetime.datetime | None = None,
) -> Result:
    """Write ``dicom/segmentation.dcm``, ``dicom/secondary_capture_1.dcm`` and so on,
    ``dicom/report.dcm`` and ``dicom/report_pdf.dcm``, those that are chosen, where the input was
    DICOM.

    Args:
        result: a finished run.
        folder: the output folder (the staging one).
        choice: which.
        created: when they are made; None for now.

    Returns:
        The result; its report lists the objects (``dicom``: file, SOP class and UID), or warns why
        there are none.

    Raises:
        OutputError: a file cannot be written.
    """
    if not result.image.headers or not choice.objects:
        return result
    made, reason = _made_or_reason(result, choice, created)
    if made is None:
        finding = Finding("dicom.no_objects", f"no DICOM objects were written: {reason}")
        report = result.report.with_finding(finding).model_copy(update={"dicom": ()})
        return replace(result, report=report)
    encoded, objects = made
    try:
        (folder / DICOM).mkdir()
        for name, content in encoded.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: cannot be written ({error.strerror or error}); choose another"
            " --output or free some space"
        ) from error
    listed = tuple(_entry(f"{DICOM}/{name}", dataset) for name, dataset in objects.files.items())
    more = {"dicom": listed, "supersedes": objects.superseded or None}
    report = objects.result.report.model_copy(update=more)
    return replace(objects.result, report=report)


def make_objects(
    result: Result,
    choice: OutputChoice = USUAL_CHOICE,
    created: datetime.datetime | None = None,
) -> Objects:
    """The objects of a result from a DICOM series that
    :func:`~mmccd.outputs.dicom.source.refusal` lets pass.
    """
    with tolerant():
        first = _Maker(result, choice, created).make()
        if not first.cut:
            return first.objects
        # The report tells of it, so it is made anew.
        return _Maker(_with_cut(result, first.cut), choice, created).make().objects


class _Maker:
    """Makes the objects of one result."""

    def __init__(
        self, result: Result, choice: OutputChoice, created: datetime.datetime | None
    ) -> None:
        self._result, self._choice = result, choice
        self._source = Source.of(result.image)
        self._identity = Identity.of(result, self._source, created)
        self.objects = Objects({}, result)
        self.cut: set[str] = set()

    def make(self) -> _Maker:
        """Make those that are chosen."""
        wanted, result, identity = self._choice.objects, self._result, self._identity
        segments = segments_of(result, self._choice.segment_each_lesion)
        segmentation = None
        if SEGMENTATION in wanted:
            segmentation = self._add(
                "segmentation.dcm", make_segmentation(result, self._source, identity, segments)
            )
        if PICTURES in wanted:
            captures = make_captures(result, self._source, identity)
            for number, capture in enumerate(captures, 1):
                self._add(f"secondary_capture_{number}.dcm", capture)
        if REPORT in wanted:
            report, superseded = make_report(result, self._source, segmentation, segments, identity)
            self._add("report.dcm", report)
            self.objects.superseded = superseded
        if PDF in wanted:
            document = make_document(result, self._source, identity, self.objects.superseded)
            self._add("report_pdf.dcm", document)
        return self

    def _add(self, name: str, dataset: Made) -> Made:
        self.cut |= finish(dataset, self._source, self._identity)
        self.objects.files[name] = dataset
        return dataset


def _with_cut(result: Result, keywords: set[str]) -> Result:
    text = (
        "texts of the source's headers are longer than the DICOM standard allows; they were cut in"
        f" the DICOM objects ({', '.join(sorted(keywords))})"
    )
    return replace(result, report=result.report.with_finding(Finding("dicom.text_cut", text)))


def _made_or_reason(
    result: Result, choice: OutputChoice, created: datetime.datetime | None
) -> tuple[tuple[dict[str, bytes], Objects] | None, str]:
    """The bytes of each file and the objects, or why there are none: what lies beside them is worth
    having all the same.

    An error's text is not told, because it can quote the header.
    """
    try:
        with tolerant():
            reason = refusal(result.image)
            if reason:
                return None, reason
            objects = make_objects(result, choice, created)
            encoded = {f"{DICOM}/{name}": _encode(one) for name, one in objects.files.items()}
            return (encoded, objects), ""
    except READ_ERRORS as error:
        return None, (
            f"the source's headers cannot be taken over ({type(error).__name__}); export the"
            " series again from the archive"
        )


def _encode(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _entry(file: str, dataset: Dataset) -> DicomObject:
    return DicomObject(
        file=file,
        sop_class=UID(dataset.SOPClassUID).name,
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )
