"""Structured reports that this software made of the same study before."""

from __future__ import annotations

from pydicom.dataset import Dataset

from mmccd.io.dicom.classes import is_ours, is_report_class
from mmccd.io.dicom.elements import READ_ERRORS, quiet
from mmccd.io.dicom.header import Instance, read_header
from mmccd.io.dicom.origin import differing
from mmccd.io.dicom.scan import Series, Study


def earlier_reports(study: Study, series: Series) -> tuple[Dataset, ...]:
    """Our reports beside a series that are on the same study of the same patient, each once, sorted
    by UID.

    Args:
        study: what the folder holds.
        series: the one that is read.
    """
    found: dict[str, Dataset] = {}
    for one in study.series:
        for instance in one.instances:
            if _is_of(instance, series):
                with quiet():
                    found.update(_read(instance))
    return tuple(found[uid] for uid in sorted(found))


def _is_of(instance: Instance, series: Series) -> bool:
    return (
        is_report_class(instance.sop_class)
        and bool(instance.sop_uid and instance.series_uid and instance.origin.study)
        and instance.origin.study == series.origin.study
        and not differing({instance.origin, series.origin})
    )


def _read(instance: Instance) -> dict[str, Dataset]:
    """The header by its UID; nothing where it cannot be read, or is not ours."""
    try:
        dataset = read_header(instance.path)[0]
        return {instance.sop_uid: dataset} if is_ours(dataset) else {}
    except READ_ERRORS:
        return {}
