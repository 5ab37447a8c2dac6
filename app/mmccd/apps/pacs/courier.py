"""Brings results to their destinations, each with retries of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from mmccd.apps.pacs import clock
from mmccd.apps.pacs.archive import ArchiveError, Destination, OutageError
from mmccd.apps.pacs.events import Events, Kind
from mmccd.apps.pacs.ledger import STORING, Ledger
from mmccd.apps.pacs.outbox import Errand, Outbox, Parcel

logger = logging.getLogger(__name__)

_MOST_WAIT_S = 600.0


class Courier:
    """Stores parcels. Several threads may use it; each parcel is carried by one at a time.

    An archive that is out of reach is left alone for a while, and so is one parcel that it has
    refused; both waits double. The first destination is the archive that the service is for: while
    it is out of reach nothing else makes sense, and the error is raised. Others have their trouble
    alone.

    Args:
        destinations: the first one is that of the service.
        outbox: where parcels lie.
        ledger: is told when a study is done.
        events: are told of what is stored, and what is not.
        wait_s: the first wait.
    """

    def __init__(
        self,
        destinations: Sequence[Destination],
        outbox: Outbox,
        ledger: Ledger,
        events: Events,
        wait_s: float,
    ) -> None:
        self._destinations, self._outbox, self._ledger = destinations, outbox, ledger
        self._events, self._wait_s = events, wait_s
        self._one = threading.Lock()
        self._carried: set[str] = set()
        self._outages: dict[str, tuple[int, str]] = {}

    def resume(self) -> None:
        """See to it that ledger and outbox agree, whatever a kill has come between; destinations
        that are no longer set are no longer waited for.
        """
        parcels = self._outbox.parcels()
        keys = set(self.errands())
        for parcel in parcels:
            if not parcel.errands.keys() <= keys:
                parcel.errands = {key: one for key, one in parcel.errands.items() if key in keys}
                parcel.write()
            self._ledger.kept(parcel.name)
        kept = {parcel.name for parcel in parcels}
        for name, record in list(self._ledger.records.items()):
            if record.state == STORING and name not in kept:
                self._ledger.put_back(name)

    def errands(self, but_for_the_first: bool = False) -> dict[str, Errand]:
        """Whom a new parcel has to be brought to.

        Args:
            but_for_the_first: whether the first destination has the objects.
        """
        keys = [_key(*one) for one in enumerate(self._destinations)]
        return {key: Errand() for key in keys[but_for_the_first:]}

    def deliver_all(self) -> None:
        """Bring all parcels that are due, but for those that are carried.

        Raises:
            OutageError: the first destination is out of reach.
        """
        trouble: OutageError | None = None
        for parcel in self._outbox.parcels():
            try:
                self.deliver(parcel, first_too=trouble is None)
            except OutageError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def deliver(self, parcel: Parcel, first_too: bool = True) -> int:
        """Bring a parcel to whom it is due.

        Args:
            parcel: the results of a study.
            first_too: whether the first destination is tried, too.

        Returns:
            The exit code of what was refused; 0 where nothing was.

        Raises:
            OutageError: the first destination is out of reach.
        """
        with self._one:
            if parcel.name in self._carried:
                return 0
            self._carried.add(parcel.name)
        try:
            return self._carry(parcel, first_too)
        finally:
            with self._one:
                self._carried.discard(parcel.name)

    def _carry(self, parcel: Parcel, first_too: bool) -> int:
        code = 0
        trouble: OutageError | None = None
        for number, destination in enumerate(self._destinations):
            errand = parcel.errands.get(_key(number, destination))
            if errand is None or errand.due > clock.now():
                continue
            if self._is_left_alone(destination) if number else not first_too:
                continue
            try:
                self._store(parcel, destination)
                del parcel.errands[_key(number, destination)]
                parcel.write()
            except OutageError as error:
                self._outage(destination, error)
                trouble = error if number == 0 else trouble
            except ArchiveError as error:
                self._refused(parcel, destination, errand, error)
                code = error.exit_code
        if not parcel.errands:
            self._ledger.done(parcel.name, parcel.images, parcel.used)
            self._events.tell(Kind.DONE, parcel.name)
            self._outbox.remove(parcel)
        if trouble is not None:
            raise trouble
        return code

    def _store(self, parcel: Parcel, destination: Destination) -> None:
        began, files = time.monotonic(), parcel.files
        destination.store(parcel.study, files)
        self._outages.pop(destination.name, None)
        seconds = round(time.monotonic() - began, 3)
        logger.info(
            "stored %d objects in %s",
            len(files),
            destination.name,
            extra={
                "study": parcel.name,
                "stage": "store",
                "archive": destination.name,
                "seconds": round(seconds, 1),
            },
        )
        self._events.tell(
            Kind.STORED,
            parcel.name,
            archive=destination.name,
            objects=len(files),
            bytes=parcel.size,
            seconds=seconds,
        )

    def _is_left_alone(self, destination: Destination) -> bool:
        return self._outages.get(destination.name, (0, ""))[1] > clock.now()

    def _outage(self, destination: Destination, error: OutageError) -> None:
        times = self._outages.get(destination.name, (0, ""))[0]
        wait = min(self._wait_s * 2**times, _MOST_WAIT_S)
        self._outages[destination.name] = times + 1, clock.later(wait)
        logger.error("%s", error, extra=_fields(error, destination))
        self._tell(error, destination, None)

    def _refused(
        self, parcel: Parcel, destination: Destination, errand: Errand, error: ArchiveError
    ) -> None:
        wait = self._wait_s * 2**errand.tries
        errand.tries, errand.due, errand.message = errand.tries + 1, clock.later(wait), str(error)
        parcel.write()
        self._ledger.kept(parcel.name, error)
        logger.error("%s", error, extra={"study": parcel.name, **_fields(error, destination)})
        self._tell(error, destination, parcel.name)

    def _tell(self, error: ArchiveError, destination: Destination, study: str | None) -> None:
        self._events.tell(
            Kind.ARCHIVE_ERROR,
            study,
            stage="store",
            message=str(error),
            **_fields(error, destination),
        )


def _key(number: int, destination: Destination) -> str:
    """By which a parcel knows a destination. The first one stays the same under another address."""
    return destination.name if number else "archive"


def _fields(error: ArchiveError, destination: Destination) -> dict[str, object]:
    return {"archive": destination.name, "exit_code": error.exit_code, "code": error.code}
