"""All DICOM objects of a run into a folder."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from mmccd.core import DicomObject, Finding, OutputError, Result
from mmccd.io import READ_ERRORS
from mmccd.outputs.dicom.capture import make_captures
from mmccd.outputs.dicom.identity import Identity
from mmccd.outputs.dicom.segmentation import make_segmentation
from mmccd.outputs.dicom.source import Source, refusal, tolerant
from mmccd.outputs.dicom.structured_report import make_report
from mmccd.outputs.folder import DICOM


def write_dicom(result: Result, folder: Path) -> Result:
    """Write ``dicom/segmentation.dcm``, ``dicom/secondary_capture_1.dcm`` and so on, and
    ``dicom/report.dcm``, where the input was DICOM.

    Args:
        result: a finished run.
        folder: the output folder (the staging one).

    Returns:
        The result; its report lists the objects (``dicom``: file, SOP class and UID), or warns why
        there are none.

    Raises:
        OutputError: a file cannot be written.
    """
    if not result.image.headers:
        return result
    encoded, reason = _encoded_or_reason(result)
    if reason:
        finding = Finding("dicom.no_objects", f"no DICOM objects were written: {reason}")
        report = result.report.with_finding(finding).model_copy(update={"dicom": ()})
        return replace(result, report=report)
    try:
        (folder / DICOM).mkdir()
        for name, (content, _) in encoded.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: cannot be written ({error.strerror or error}); choose another"
            " --output or free some space"
        ) from error
    objects = tuple(entry for _, entry in encoded.values())
    return replace(result, report=result.report.model_copy(update={"dicom": objects}))


def make_objects(result: Result) -> dict[str, Dataset]:
    """The objects by file name, of a result from a DICOM series that
    :func:`~mmccd.outputs.dicom.source.refusal` lets pass.
    """
    with tolerant():
        source = Source.of(result.image)
        identity = Identity.of(result, source)
        segmentation = make_segmentation(result, source, identity)
        captures = make_captures(result, source, identity)
        report = make_report(result, source, segmentation, identity)
    numbered = {
        f"secondary_capture_{number}.dcm": capture for number, capture in enumerate(captures, 1)
    }
    return {"segmentation.dcm": segmentation, **numbered, "report.dcm": report}


def _encoded_or_reason(
    result: Result,
) -> tuple[dict[str, tuple[bytes, DicomObject]], str | None]:
    """The bytes and the report's entry of each file, or why there are none: what lies beside them
    is worth having all the same.

    An error's text is not told, because it can quote the header.
    """
    try:
        with tolerant():
            reason = refusal(result.image)
            if reason:
                return {}, reason
            return {
                f"{DICOM}/{name}": (_encode(dataset), _entry(f"{DICOM}/{name}", dataset))
                for name, dataset in make_objects(result).items()
            }, None
    except READ_ERRORS as error:
        return (
            {},
            (
                f"the source's headers cannot be taken over ({type(error).__name__}); export the"
                " series again from the archive"
            ),
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
