"""From a folder to a Volume: scan, choose, assemble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmccd.core import Finding, InputError, Volume
from mmccd.io.dicom.assemble import assemble
from mmccd.io.dicom.earlier import earlier_reports
from mmccd.io.dicom.scan import Series, scan
from mmccd.io.dicom.select import choose
from mmccd.io.dicom.visits import AUTO


def read_dicom(
    path: str | Path, modality: str = "", series_uid: str | None = None, visit: str = AUTO
) -> Volume:
    """Read the FLAIR series of a DICOM study, or the series that is asked for.

    Args:
        path: a folder with DICOM files at any depth, of any series, among other files; or one
            multi-frame file.
        modality: what the image shows, passed on to the Volume.
        series_uid: series instance UID of the series to read, instead of choosing one.
        visit: which study of several, see :func:`~mmccd.io.dicom.visits.one_visit`.

    Returns:
        Volume with float32 voxels (columns, rows, slices) on the series' own grid; rescaled,
        MONOCHROME1 inverted. Its provenance tells how the
        series was acquired and its findings what to be warned of; neither has anything of the
        patient: no name, number, date, UID or path; all that stands in its headers.

    Raises:
        InputError: nothing there, no DICOM, or files that are damaged, cut off or missing.
        UnsuitableInputError: no series that can be used (see :mod:`~mmccd.io.dicom.select` and
            :mod:`~mmccd.io.dicom.checks`).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; expected a folder with a DICOM study",
            code="input.missing",
        )
    found = scan(path)
    choice = choose(found, path, series_uid, visit)
    data, affine, headers = assemble(choice.series, path)
    return Volume(
        data,
        affine,
        modality,
        _provenance(choice.series),
        headers,
        findings=(*choice.findings, *_findings(choice.series)),
        earlier=earlier_reports(found, choice.series),
    )


def _provenance(series: Series) -> dict[str, Any]:
    first = series.first
    notes = {
        "file": f"DICOM {series.label}",
        "format": "DICOM",
        "series_number": first.number,
        "series_description": first.description,
        "image_type": list(first.image_type[:4]),
        "files": len(series.instances),
        "multi_frame": first.multi_frame,
        "transfer_syntax": first.transfer_syntax,
        "plane": series.plane,
        "slice_thickness_mm": first.thickness,
        "repetition_time_ms": first.repetition_time,
        "echo_time_ms": first.echo_time,
        "inversion_time_ms": first.inversion_time,
    }
    return {name: value for name, value in notes.items() if value is not None}


def _findings(series: Series) -> list[Finding]:
    found = []
    if series.copies:
        text = (
            f"{series.copies} file(s) of {series.label} were there more than once; each was read"
            " once"
        )
        found.append(Finding("dicom.copies", text, "note"))
    if series.left_out:
        odd = len(series.left_out)
        text = (
            f"{odd} of {len(series.instances) + odd} images of {series.label}"
            f" {'was' if odd == 1 else 'were'} left out: a reference image, in another plane or of"
            " another kind than the slices"
        )
        found.append(Finding("dicom.left_out", text))
    if series.first.photometric == "MONOCHROME1":
        text = (
            "the images are stored with white as the lowest value (MONOCHROME1); they were inverted"
        )
        found.append(Finding("dicom.inverted", text, "note"))
    if any(instance.lossy for instance in series.instances):
        found.append(Finding("dicom.lossy", "the images were compressed with loss"))
    return found
