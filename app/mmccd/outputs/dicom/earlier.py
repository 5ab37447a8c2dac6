"""Earlier structured reports of ours on the same study: which of them a new one supersedes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pydicom.dataset import Dataset

from mmccd.core import EarlierReport
from mmccd.outputs.dicom.conform import is_valid


def predecessors_of(
    earlier: Sequence[Dataset], uid_after: Callable[[Sequence[str]], str]
) -> list[Dataset]:
    """The reports that a new one supersedes: those that no other one has superseded.

    Where the newest of them is what the new one would be, because nothing has changed since, it is
    made once more as it was, with the predecessors that it had.

    Args:
        earlier: headers of all that are known.
        uid_after: the new report's SOP instance UID, by those of its predecessors.
    """
    gone = {str(item.ReferencedSOPInstanceUID) for one in earlier for item in _references(one)}
    heads = sorted((one for one in earlier if one.SOPInstanceUID not in gone), key=_moment_and_uid)
    if heads:
        before = _predecessors(heads[-1], earlier)
        if uid_after(uids_of(before)) == heads[-1].SOPInstanceUID:
            return before
    return heads


def uids_of(reports: Iterable[Dataset]) -> list[str]:
    """Their SOP instance UIDs, sorted."""
    return sorted(str(one.SOPInstanceUID) for one in reports)


def as_entries(reports: Iterable[Dataset]) -> tuple[EarlierReport, ...]:
    """As ``report.json`` lists them."""
    return tuple(
        EarlierReport(date=made_at(one), sop_instance_uid=str(one.SOPInstanceUID))
        for one in reports
    )


def superseded_sentence(entries: Sequence[EarlierReport]) -> str:
    """What a report says of those that it supersedes; "" where there are none."""
    named = [
        f"of {one.date or 'unknown date'} (SOP Instance UID {one.sop_instance_uid})"
        for one in entries
    ]
    kind = "report" if len(entries) == 1 else "reports"
    return f"Supersedes the earlier MMCCD {kind} {', '.join(named)}" if named else ""


def made_at(report: Dataset) -> str | None:
    """When a report was made, ISO 8601 to the second; None where it does not say."""
    date, time = (
        str(report.get(keyword) or "") if is_valid(report, keyword) else ""
        for keyword in ("InstanceCreationDate", "InstanceCreationTime")
    )
    if not date:
        return None
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}"
    return f"{day}T{time[:2]}:{time[2:4]}:{time[4:6]}" if len(time) >= 6 else day


def _moment_and_uid(report: Dataset) -> tuple[str, str]:
    return made_at(report) or "", str(report.SOPInstanceUID)


def _predecessors(report: Dataset, known: Sequence[Dataset]) -> list[Dataset]:
    """Headers of a report's predecessors: those that are known, and of others what it says."""
    there = {str(one.SOPInstanceUID): one for one in known}
    return [
        there.get(str(item.ReferencedSOPInstanceUID)) or _header(item, study, series)
        for study, series, item in _places(report)
    ]


def _header(item: Dataset, study: str, series: str) -> Dataset:
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = (
        item.ReferencedSOPClassUID,
        item.ReferencedSOPInstanceUID,
    )
    header.StudyInstanceUID, header.SeriesInstanceUID = study, series
    return header


def _references(report: Dataset) -> list[Dataset]:
    return [item for _, _, item in _places(report)]


def _places(report: Dataset) -> list[tuple[str, str, Dataset]]:
    """Study, series and reference of each predecessor."""
    return [
        (str(study.StudyInstanceUID), str(series.SeriesInstanceUID), item)
        for study in report.get("PredecessorDocumentsSequence") or []
        for series in study.get("ReferencedSeriesSequence") or []
        for item in series.get("ReferencedSOPSequence") or []
    ]
