"""What an archive tells when it is asked: studies and series by C-FIND."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from mmccd.apps.pacs.archive import ArchivedSeries, ArchivedStudy, NotAllowedError, UnavailableError
from mmccd.apps.pacs.dimse.calls import Caller, status_of
from mmccd.apps.pacs.dimse.uids import FIND, UNCOMPRESSED

STUDY, SERIES, IMAGE = "STUDY", "SERIES", "IMAGE"
_PENDING = (0xFF00, 0xFF01)
_NOT_AUTHORISED = 0x0124
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


class Query:
    """Asks one archive.

    Args:
        caller: of it.
        days: only studies whose date is not older; 0: all.
    """

    def __init__(self, caller: Caller, days: int) -> None:
        self._caller, self._days = caller, days

    def studies(self, today: date) -> list[ArchivedStudy]:
        """All studies with MR series within the window of days.

        Raises:
            ArchiveError: the archive does not answer as it should.
        """
        window = f"{today - timedelta(days=self._days):%Y%m%d}-" if self._days else ""
        with self._caller.call([context()]) as association:
            answers = self._find(
                association,
                STUDY,
                StudyDate=window,
                ModalitiesInStudy="MR",
                StudyInstanceUID="",
                NumberOfStudyRelatedInstances="",
            )
            found = {_text(one, "StudyInstanceUID"): one for one in answers}
            studies = [
                self._study(association, uid, one) for uid, one in found.items() if _is_uid(uid)
            ]
        return [one for one in studies if one is not None]

    def series(self, study: str) -> list[ArchivedSeries]:
        """All series of a study.

        Raises:
            ArchiveError: the archive does not answer as it should.
        """
        with self._caller.call([context()]) as association:
            return list(self._series(association, study))

    def objects(self, study: str, series: str) -> dict[str, str]:
        """SOP class UIDs (empty where the archive does not tell) of a series' objects, by their
        SOP instance UIDs.

        Raises:
            ArchiveError: the archive does not answer as it should.
        """
        with self._caller.call([context()]) as association:
            return self._objects(association, study, series)

    def any_study(self) -> bool:
        """Whether the archive answers a question for a study that nobody has; for checks.

        Raises:
            ArchiveError: it does not answer as it should.
        """
        with self._caller.call([context()]) as association:
            return bool(self._find(association, STUDY, StudyInstanceUID="2.25.0"))

    def _study(self, association: Association, uid: str, answer: Dataset) -> ArchivedStudy | None:
        """None where it has no MR series; what the study's answer leaves open the series' tell."""
        modalities = _texts(answer, "ModalitiesInStudy")
        instances = _count(answer, "NumberOfStudyRelatedInstances")
        if modalities and "MR" not in modalities:
            return None
        if modalities and instances >= 0:
            return ArchivedStudy(uid, instances)
        series = list(self._series(association, uid))
        if all(one.modality != "MR" for one in series):
            return None
        return ArchivedStudy(uid, sum(one.instances for one in series))

    def _series(self, association: Association, study: str) -> Iterator[ArchivedSeries]:
        answers = self._find(
            association,
            SERIES,
            StudyInstanceUID=study,
            SeriesInstanceUID="",
            Modality="",
            Manufacturer="",
            NumberOfSeriesRelatedInstances="",
            SeriesDescription="",
            BodyPartExamined="",
            InstitutionName="",
        )
        for one in answers:
            uid = _text(one, "SeriesInstanceUID")
            count = _count(one, "NumberOfSeriesRelatedInstances")
            if not _is_uid(uid):
                continue
            words = ("SeriesDescription", "BodyPartExamined", "InstitutionName")
            yield ArchivedSeries(
                uid,
                _text(one, "Modality"),
                _text(one, "Manufacturer"),
                count if count >= 0 else len(self._objects(association, study, uid)),
                *(_text(one, word) for word in words),
            )

    def _objects(self, association: Association, study: str, series: str) -> dict[str, str]:
        answers = self._find(
            association,
            IMAGE,
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID="",
            SOPClassUID="",
        )
        return {_text(one, "SOPInstanceUID"): _text(one, "SOPClassUID") for one in answers}

    def _find(self, association: Association, level: str, **keys: str) -> list[Dataset]:
        found: list[Dataset] = []
        for status, answer in association.send_c_find(identifier(level, **keys), FIND):
            code = status_of(status)
            if code is None:
                raise self._caller.silent("a query")
            if code in _PENDING:
                if answer is None:
                    raise self._caller.error(
                        UnavailableError, "answers a query with what is no DICOM; expected matches"
                    )
                found.append(answer)
            elif code == _NOT_AUTHORISED:
                raise self._caller.error(
                    NotAllowedError, "does not let us query (status 0124); correct our rights there"
                )
            elif code:
                raise self._caller.error(
                    UnavailableError,
                    f"a query failed (status {code:04X}); expected success; look at the archive's"
                    " log",
                )
        return found


def context() -> Any:
    """What a query needs."""
    return build_context(FIND, list(UNCOMPRESSED))


def identifier(level: str, **keys: str) -> Dataset:
    """What is asked for; empty: whatever it is."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for name, text in keys.items():
        setattr(dataset, name, text)
    return dataset


def _value(answer: Dataset, name: str) -> Any:
    try:
        return answer.get(name)
    except Exception:  # pydicom raises whatever a damaged element leads to
        return None


def _texts(answer: Dataset, name: str) -> list[str]:
    value = _value(answer, name)
    if value is None:
        return []
    values = [value] if isinstance(value, str) else list(value)
    return [text for text in (str(one).strip("\0 ") for one in values) if text]


def _text(answer: Dataset, name: str) -> str:
    return str(_value(answer, name) or "").strip("\0 ")


def _count(answer: Dataset, name: str) -> int:
    try:
        return int(_value(answer, name))
    except (TypeError, ValueError):
        return -1


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and bool(_UID.fullmatch(text))
