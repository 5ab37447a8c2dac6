"""All DICOM objects of a run into a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from mmccd.dicom_out.capture import make_captures
from mmccd.dicom_out.identity import Identity
from mmccd.dicom_out.segmentation import make_segmentation
from mmccd.dicom_out.source import Source, refusal, tolerant
from mmccd.dicom_out.structured_report import make_report
from mmccd.errors import OutputError
from mmccd.io.dicom.header import READ_ERRORS
from mmccd.io.output import DICOM
from mmccd.result import Result


def write_dicom(result: Result, folder: Path) -> Result:
    """Write ``dicom/segmentation.dcm``, ``dicom/secondary_capture_1.dcm`` and so on, and ``dicom/report.dcm``, where the input was DICOM.

    Args:
        result: a finished run.
        folder: the output folder (the staging one).

    Returns:
        The result; its report lists the objects (``dicom``: file, SOP class and UID), or warns why there are none.

    Raises:
        OutputError: a file cannot be written.
    """
    if not result.image.headers:
        return result
    objects, reason = _objects_or_reason(result)
    if reason:
        warning = f"no DICOM objects were written: {reason}"
        return replace(result, report={**result.report, "dicom": [], "warnings": [*result.report["warnings"], warning]})
    try:
        (folder / DICOM).mkdir()
        with tolerant():
            entries = [_write(dataset, folder, name) for name, dataset in objects.items()]
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: cannot be written ({error.strerror or error}); choose another --output or free some space"
        ) from error
    return replace(result, report={**result.report, "dicom": entries})


def make_objects(result: Result) -> dict[str, Dataset]:
    """The objects by file name, of a result from a DICOM series that :func:`~mmccd.dicom_out.source.refusal` lets pass."""
    with tolerant():
        source = Source.of(result.image)
        identity = Identity.of(result, source)
        segmentation = make_segmentation(result, source, identity)
        captures = make_captures(result, source, identity)
        report = make_report(result, source, segmentation, identity)
    numbered = {f"secondary_capture_{number}.dcm": capture for number, capture in enumerate(captures, 1)}
    return {"segmentation.dcm": segmentation, **numbered, "report.dcm": report}


def _objects_or_reason(result: Result) -> tuple[dict[str, Dataset], str | None]:
    """The objects, or why there are none: the files beside them are worth having all the same. An error's text is not told, it can quote the header."""
    try:
        with tolerant():
            reason = refusal(result.image)
        return ({}, reason) if reason else (make_objects(result), None)
    except READ_ERRORS as error:
        return {}, f"the source's headers cannot be taken over ({type(error).__name__}); export the series again from the archive"


def _write(dataset: Dataset, folder: Path, name: str) -> dict[str, str]:
    dataset.save_as(folder / DICOM / name, enforce_file_format=True)
    return {"file": f"{DICOM}/{name}", "sop_class": UID(dataset.SOPClassUID).name, "sop_instance_uid": str(dataset.SOPInstanceUID)}
