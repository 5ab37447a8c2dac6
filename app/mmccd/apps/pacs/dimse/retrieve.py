"""Archives that are asked over DIMSE and send what they have: by C-MOVE to our receiver, or by
C-GET on the same association.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from mmccd.apps.pacs.archive import (
    ArchivedSeries,
    ArchivedStudy,
    ExchangeError,
    NotAllowedError,
    UnavailableError,
)
from mmccd.apps.pacs.dimse.arrival import receive
from mmccd.apps.pacs.dimse.awaited import Awaited, Awaiting
from mmccd.apps.pacs.dimse.calls import Caller, status_of, watch
from mmccd.apps.pacs.dimse.query import IMAGE, SERIES, Query, identifier
from mmccd.apps.pacs.dimse.uids import GET, MOVE, SYNTAXES, TAKEN, UNCOMPRESSED
from mmccd.apps.pacs.settings import PacsSettings

logger = logging.getLogger(__name__)

_STRAGGLERS_S = 5.0
"""So long objects may come in behind the archive's word that it has sent them."""
UNKNOWN_DESTINATION = 0xA801
_NOT_AUTHORISED, _OUT_OF_RESOURCES = 0x0124, 0xA701


@dataclass
class _Outcome:
    """What the archive says of a transfer."""

    status: int | None = None
    completed: int = 0
    failed: int = 0
    warnings: int = 0

    @property
    def sent(self) -> int:
        return self.completed + self.warnings

    def note(self, answer: Dataset) -> None:
        self.status = status_of(answer)
        self.completed = int(answer.get("NumberOfCompletedSuboperations") or self.completed)
        self.failed = int(answer.get("NumberOfFailedSuboperations") or self.failed)
        self.warnings = int(answer.get("NumberOfWarningSuboperations") or self.warnings)


class _Queried(ABC):
    """An archive that is asked by C-FIND; how it sends is told by its subclasses.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self._settings = settings
        self._caller = Caller(settings, settings.archive_peer)
        self._query = Query(self._caller, settings.days)

    @property
    def name(self) -> str:
        """AE title and address."""
        return str(self._caller.peer)

    def studies(self, today: date) -> list[ArchivedStudy]:
        """As :meth:`Query.studies`."""
        return self._query.studies(today)

    def series(self, study: str) -> list[ArchivedSeries]:
        """As :meth:`Query.series`."""
        return self._query.series(study)

    def fetch(
        self,
        study: str,
        series: Sequence[ArchivedSeries],
        folder: Path,
        beat: Callable[[], None],
    ) -> int:
        """Write all objects of these series into a folder, as they are sent.

        Raises:
            ArchiveError: not all of them came.
            OutputError: the folder cannot be written.
            ResourceError: they are too large.
        """
        total, room = 0, self._settings.max_mib * 2**20
        for one in series:
            count, size = self._fetch(study, one, folder, room, beat)
            total, room = total + count, room - size
        return total

    def fetch_one(self, study: str, series: str, folder: Path, beat: Callable[[], None]) -> int:
        """Write one object of a series into a folder.

        Returns:
            Its size in bytes.

        Raises:
            ArchiveError: it did not come.
            OutputError: the folder cannot be written.
            ResourceError: it is too large.
        """
        listed = self._query.objects(study, series)
        images = sorted(uid for uid, kind in listed.items() if uid and (kind in TAKEN or not kind))
        if not images:
            raise self._caller.error(ExchangeError, "lists no object of a series; expected one")
        one, room = ArchivedSeries(series, "MR", "", 1), self._settings.max_mib * 2**20
        return self._fetch(study, one, folder, room, beat, images[0])[1]

    def _fetch(
        self,
        study: str,
        series: ArchivedSeries,
        folder: Path,
        room: int,
        beat: Callable[[], None],
        instance: str = "",
    ) -> tuple[int, int]:
        """Number and bytes of a series' objects, or of one."""
        moved, outcome = threading.Event(), _Outcome()
        awaited = Awaited(study, series.uid, folder, room, moved.set)
        with self._call(awaited) as association:

            def transfer() -> None:
                for answer, _ in self._send(association, _keys(study, series.uid, instance)):
                    outcome.note(answer)
                    moved.set()

            finished = watch(association, transfer, moved, self._settings.silence_s, beat)
            self._wait_for_stragglers(awaited, outcome, beat)
            if not finished:
                awaited.check(self._settings.max_mib)
                raise self._caller.silent("fetching a series")
        awaited.check(self._settings.max_mib)
        self._check(outcome)
        if outcome.status or outcome.failed or len(awaited.objects) < _expected(series, outcome):
            self._check_images(study, series, awaited, outcome)
        return len(awaited.objects), awaited.size

    @abstractmethod
    def _call(self, awaited: Awaited) -> AbstractContextManager[Association]:
        """An association to ask for objects on."""

    @abstractmethod
    def _send(
        self, association: Association, keys: Dataset
    ) -> Iterable[tuple[Dataset, Dataset | None]]:
        """Ask for objects; the archive's answers."""

    def _wait_for_stragglers(
        self, awaited: Awaited, outcome: _Outcome, beat: Callable[[], None]
    ) -> None:
        if outcome.status != 0:
            return
        until = time.monotonic() + _STRAGGLERS_S
        while len(awaited.objects) < outcome.sent and time.monotonic() < until:
            beat()
            time.sleep(0.05)

    def _check(self, outcome: _Outcome) -> None:
        """Refuse what concerns all series."""
        status = outcome.status
        if status is None:
            raise self._caller.silent("fetching a series")
        if outcome.warnings:
            logger.warning("%s: sent %d objects with a warning", self.name, outcome.warnings)
        if status == UNKNOWN_DESTINATION:
            raise self._caller.error(
                NotAllowedError,
                f"does not know where {self._settings.ae_title} is (status A801); tell it AE title,"
                " address and port",
            )
        if status == _NOT_AUTHORISED:
            raise self._caller.error(
                NotAllowedError, "does not let us fetch (status 0124); correct our rights there"
            )
        if status == _OUT_OF_RESOURCES:
            raise self._caller.error(
                UnavailableError, "is out of resources (status A701); it is tried again"
            )

    def _check_images(
        self, study: str, series: ArchivedSeries, awaited: Awaited, outcome: _Outcome
    ) -> None:
        """Refuse a series of which images are missing; what is no image (spectra, a vendor's own
        objects) is not taken, and its failure is none.
        """
        listed = self._query.objects(study, series.uid)
        images = {uid for uid, kind in listed.items() if kind in TAKEN or not kind}
        if not listed or not images <= awaited.objects:
            expected = f"{series.instances} " if series.instances >= 0 else ""
            raise self._caller.error(
                ExchangeError,
                f"sent {len(awaited.objects)} of a series' {expected}objects (status"
                f" {outcome.status:04X}, {outcome.failed} failed); expected all; it is tried again",
            )
        logger.info(
            "%s: %d objects of a series are no MR images; left out",
            self.name,
            len(listed) - len(images),
        )


def _keys(study: str, series: str, instance: str) -> Dataset:
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    return (
        identifier(IMAGE, **keys, SOPInstanceUID=instance)
        if instance
        else identifier(SERIES, **keys)
    )


def _expected(series: ArchivedSeries, outcome: _Outcome) -> int:
    return max(series.instances, outcome.sent)


class MoveSource(_Queried):
    """An archive that sends by C-MOVE.

    Args:
        settings: of the service.
        awaiting: of the receiver that it sends to.
    """

    def __init__(self, settings: PacsSettings, awaiting: Awaiting) -> None:
        super().__init__(settings)
        self._awaiting = awaiting

    @contextlib.contextmanager
    def _call(self, awaited: Awaited) -> Iterator[Association]:
        contexts = [build_context(MOVE, list(UNCOMPRESSED))]
        with self._awaiting.expect(awaited), self._caller.call(contexts) as association:
            yield association

    def _send(
        self, association: Association, keys: Dataset
    ) -> Iterable[tuple[Dataset, Dataset | None]]:
        return association.send_c_move(keys, self._settings.ae_title, MOVE)


class GetSource(_Queried):
    """An archive that sends by C-GET."""

    def _call(self, awaited: Awaited) -> AbstractContextManager[Association]:
        # One context for each form, so that objects come as they are stored.
        forms = [build_context(uid, syntax) for uid in TAKEN for syntax in SYNTAXES]
        return self._caller.call(
            [build_context(GET, list(UNCOMPRESSED)), *forms],
            [(evt.EVT_C_STORE, receive, [awaited])],
            taking=TAKEN,
        )

    def _send(
        self, association: Association, keys: Dataset
    ) -> Iterable[tuple[Dataset, Dataset | None]]:
        return association.send_c_get(keys, GET)
