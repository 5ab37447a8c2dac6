"""The series of a DICOM input that somebody may choose from, where the choice is not clear."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mmccd.jobs.inputs import Input
from mmccd.jobs.view import view_of

if TYPE_CHECKING:
    from mmccd.io import Series, Visit

MOST = 100
_HASH_DIGITS = 12


@dataclass(frozen=True)
class SeriesChoice:
    """A series that can be read as one volume; nothing in it names the patient but its UIDs.

    Attributes:
        id: 12 digits of a hash of the UIDs of series and study.
        patient: a number from 1 on where the input holds several patients, else None.
        study: a number from 1 on, the newest first: series of one visit have the same.
        date: of the visit, YYYY-MM-DD; "" where the header does not say.
        study_description: without words of the patient's name; may be "".
        number: of the series; None where it has none.
        description: likewise.
        images: number of its slices.
        plane: axial, coronal or sagittal; "" where the header does not say.
        doubt: why it would not be taken without being asked for; "" where it would.
        uid: of the series.
        study_uid: "" where the series alone says which one is meant.
    """

    id: str
    patient: int | None
    study: int
    date: str
    study_description: str
    number: int | None
    description: str
    images: int
    plane: str
    doubt: str
    uid: str
    study_uid: str

    @property
    def settings(self) -> dict[str, str]:
        """The settings that make a run take it."""
        study = {"study": f"uid={self.study_uid}"} if self.study_uid else {}
        return {"series": f"uid={self.uid}", **study}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def series_to_choose(one: Input) -> list[SeriesChoice]:
    """What can be chosen of an input: all series that can be read, study by study, the newest
    first, and in each those first that would be taken without being asked for.

    Args:
        one: a folder, an archive, a file.

    Returns:
        At most :data:`MOST`; none where the input is not DICOM.

    Raises:
        InputError: the archive cannot be unpacked.
    """
    from mmccd.io import holds_dicom, is_readable, scan, visits

    with view_of(one) as path:
        if path.is_dir() and not holds_dicom(path):
            return []
        there = visits(scan(path))
        patients = _patients(there)
        uids = [series.uid for visit in there for series in visit.series]
        found = [
            _choice(series, visit, study, patients, uids.count(series.uid) > 1)
            for study, visit in enumerate(there, 1)
            for series in visit.series
            if is_readable(series)
        ]
    return sorted(found, key=lambda choice: (choice.study, bool(choice.doubt)))[:MOST]


def _choice(
    series: Series, visit: Visit, study: int, patients: dict[tuple[str, ...], int], shared: bool
) -> SeriesChoice:
    from mmccd.io import series_doubt

    day, origin = visit.date, visit.origin
    text = f"{origin.study}/{series.uid}/{study}"
    return SeriesChoice(
        id=hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS],
        patient=patients[_whose(visit)] if len(patients) > 1 else None,
        study=study,
        date=f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else "",
        study_description=next(
            (said for one in visit.series if (said := one.first.study_description)), ""
        ),
        number=series.first.number,
        description=series.first.description,
        images=len(series.frames),
        plane=series.plane,
        doubt=series_doubt(series),
        uid=series.uid,
        study_uid=origin.study if shared else "",
    )


def _whose(visit: Visit) -> tuple[str, ...]:
    return visit.origin.name, visit.origin.number, visit.origin.birth


def _patients(there: list[Visit]) -> dict[tuple[str, ...], int]:
    """A number for each patient, in the order of the visits."""
    return {whose: n for n, whose in enumerate(dict.fromkeys(map(_whose, there)), 1)}
