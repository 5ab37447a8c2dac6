"""The round trip itself: look, fetch, run, keep, store; again and again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

from mmccd.apps.pacs import wanted
from mmccd.apps.pacs.archive import (
    TOO_LARGE,
    ArchivedSeries,
    ArchivedStudy,
    ArchiveError,
    Destination,
    FullError,
    OutageError,
    Source,
)
from mmccd.apps.pacs.courier import Courier
from mmccd.apps.pacs.events import Events, Kind
from mmccd.apps.pacs.lanes import Lanes
from mmccd.apps.pacs.ledger import GIVEN_UP, PREDICTING, Ledger
from mmccd.apps.pacs.outbox import Outbox, Parcel
from mmccd.apps.pacs.results import made_of, series_of
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import (
    USUAL_CHOICE,
    CancelledError,
    MmccdError,
    ModelError,
    OutputError,
    UnsuitableInputError,
    UsageError,
    worst_exit_code,
)
from mmccd.jobs import State, study_name
from mmccd.outputs import DICOM

logger = logging.getLogger(__name__)

Predict = Callable[[str, Path, Path, Callable[[], None]], None]
"""See :class:`~mmccd.apps.pacs.application.Application`. Called by as many threads at a time as
there are workers.
"""

_NOT_THE_STUDY = (UsageError.exit_code, ModelError.exit_code, OutputError.exit_code)
"""What fails one study in these ways (settings, models, a full disk) fails all of them."""
_MOST_WAIT_S = 600.0
_TICK_S = 0.5


class Service:
    """Works through the studies of an archive.

    Args:
        settings: of the service.
        source: where studies are.
        destinations: where results go; the first one is the archive that has the studies.
        ledger: what was done; open.
        predict: run on each study.
        events: are told what happens.
        results: modalities of the series that results consist of.
    """

    def __init__(
        self,
        settings: PacsSettings,
        source: Source,
        destinations: Sequence[Destination],
        ledger: Ledger,
        predict: Predict,
        events: Events | None = None,
        results: Collection[str] = USUAL_CHOICE.modalities,
    ) -> None:
        self.results = results
        self.settings, self.source, self.ledger, self.predict = settings, source, ledger, predict
        self.events, self.outbox = events or Events(), Outbox(settings.state)
        self.courier = Courier(destinations, self.outbox, ledger, self.events, settings.poll_s)
        self._slots = threading.Semaphore(settings.workers)
        self._lanes = Lanes(settings.workers + settings.ahead, self._work, self._between)
        self._listed: dict[str, ArchivedStudy] = {}
        self._codes: list[int] = []
        self._last_delivery = 0.0
        self.outbox.open()
        self.courier.resume()
        for name in ledger.killed:
            record = ledger.records[name]
            what = {"exit_code": record.exit_code, "code": record.code, "message": record.message}
            self.events.tell(Kind.GIVEN_UP, name, **what)

    def forever(self) -> None:
        """Look every ``poll_s`` seconds; less often, up to ten minutes apart, while looking or
        storing fails.
        """
        failures = 0
        while True:
            try:
                self.once()
                failures = 0
            except CancelledError:
                raise
            except MmccdError as error:
                failures += 1
                self.ledger.message = str(error)
                logger.error("%s", error, extra=_fields(error))
            self._wait(
                min(self.settings.poll_s * 2**failures, max(_MOST_WAIT_S, self.settings.poll_s))
            )

    def once(self) -> int:
        """Store what waits to be stored, look once, and do what is due.

        Returns:
            The worst exit code of the studies that were worked on, and of those that were given
            up.

        Raises:
            MmccdError: the archive cannot be asked, or takes no results, or no study at all can be
                worked on.
        """
        self.courier.deliver_all()
        self._look()
        due = [
            name for name, one in self._listed.items() if self.ledger.is_due(name, one.instances)
        ]
        self.ledger.message = None
        self.ledger.write()
        logger.info("%d MR studies in the archive, %d to be looked at", len(self._listed), len(due))
        self._codes, self._last_delivery = [], time.monotonic()
        suspects = [name for name in due if self.ledger.is_suspect(name)]
        self._lanes.run([name for name in due if name not in suspects])
        for name in suspects:  # one of them has ended the service: nothing else is to suffer
            self._lanes.run([name])
        given_up = [one for one in self.ledger.records.values() if one.state == GIVEN_UP]
        return worst_exit_code([*self._codes, *(one.exit_code or 1 for one in given_up)])

    def _look(self) -> None:
        try:
            studies = self.source.studies(date.today())
        except ArchiveError as error:
            self._tell_trouble(error, None)
            raise
        self._listed = {study_name(study.uid): study for study in studies}
        self.ledger.keep_only([*self._listed, *(one.name for one in self.outbox.parcels())])
        self.ledger.looked = True
        self.events.tell(Kind.LOOKED, archive=self.source.name, studies=len(studies))

    def _between(self) -> None:
        """While studies are worked on: the file is kept fresh, and what waits is stored. Trouble
        with that ends the pass, and no prediction.
        """
        with _noted():
            self.ledger.beat()
        if time.monotonic() - self._last_delivery > self.settings.poll_s:
            try:
                self.courier.deliver_all()
            except (OutageError, OutputError) as error:
                self._lanes.let_nothing_begin(error)
            self._last_delivery = time.monotonic()

    def _work(self, name: str) -> None:
        """Work on one study, whatever comes of it.

        Raises:
            MmccdError: the fault is not the study's.
        """
        try:
            self._codes.append(self._round_trip(name, self._listed[name].uid))
        except (OutageError, CancelledError) as error:
            self._put_back(name, error)
            raise
        except ArchiveError as error:  # of this study alone
            self._put_back(name, error)
            logger.error("%s", error, extra={"study": name, **_fields(error)})
            self._codes.append(error.exit_code)
        except MmccdError as error:
            if error.exit_code in _NOT_THE_STUDY:
                self._put_back(name, error)
                raise
            self._failed(name, error)
            self._codes.append(error.exit_code)
        except BaseException:
            self.ledger.put_back(name)
            raise

    def _put_back(self, name: str, error: MmccdError) -> None:
        """The fault is not the study's: it waits, but not for its results, which are kept."""
        if self.ledger.records[name].state in (State.RUNNING, State.DONE):
            if isinstance(error, ArchiveError):
                self._tell_trouble(error, name)
            self.ledger.put_back(name, None if isinstance(error, CancelledError) else error)

    def _failed(self, name: str, error: MmccdError) -> None:
        if error.exit_code == UnsuitableInputError.exit_code or error.code == TOO_LARGE:
            self.ledger.refuse(name, error)
        else:
            self.ledger.fail(name, error)
        state = self.ledger.records[name].state
        kinds = {State.REFUSED: Kind.REFUSED, GIVEN_UP: Kind.GIVEN_UP}
        what = {"exit_code": error.exit_code, "code": error.code, "message": str(error)}
        logger.error("%s (%s)", error, state, extra={"study": name, **_fields(error)})
        self.events.tell(kinds.get(state, Kind.FAILED), name, **what)

    def _round_trip(self, name: str, uid: str) -> int:
        """The way of one study; the exit code of storing."""
        was_done = self.ledger.records[name].state == State.DONE
        if not was_done:
            self.ledger.begin(name, "fetch")
        series = self.source.series(uid)
        if self._is_done(name, series):
            return 0
        if was_done:
            self.ledger.begin(name, "fetch")
        self._check_room()
        images = wanted.images(series, self.settings)
        with temporary_folder(self.settings.state) as folder:
            source, output = folder / "in", folder / "out"
            source.mkdir()
            # The report that is made names those that it supersedes.
            self._fetch(name, uid, [*images, *wanted.superseded(series, self.results)], source)
            with self._slot():
                self._predict(name, source, output)
            files = sorted((output / DICOM).glob("*.dcm"))
            if not files:
                raise UnsuitableInputError(
                    "no DICOM objects were made of this study; expected a whole series; see the"
                    " warnings above",
                    code="study.no_objects",
                )
            parcel = self._keep(name, uid, files, images)
        return self.courier.deliver(parcel) if parcel is not None else 0

    def _is_done(self, name: str, series: list[ArchivedSeries]) -> bool:
        """Whether the archive has results, and nothing has come since that could change them."""
        if not wanted.has_results(series, self.results):
            return False
        record = self.ledger.records[name]
        try:
            now = wanted.counts(wanted.images(series, self.settings))
        except UnsuitableInputError:
            now = {}
        if record.images and wanted.has_grown(record.images, now):
            logger.info("has grown since it was done", extra={"study": name})
            return False
        logger.info("has results in the archive", extra={"study": name})
        self.ledger.done(name, now, record.used)
        return True

    def _check_room(self) -> None:
        """Raises an error where too many results wait to be stored."""
        most = self.settings.keep_mib
        if self.outbox.size > most * 2**20:
            raise FullError(
                f"more than {most} MiB of results wait to be stored; nothing is predicted until"
                f" some are; look at the archive, or raise {self.settings.variable('keep_mib')}",
                storing=True,
            )

    def _fetch(self, name: str, uid: str, series: list[ArchivedSeries], folder: Path) -> None:
        began = time.monotonic()
        count = self.source.fetch(uid, series, folder, self._beat)
        seconds = round(time.monotonic() - began, 3)
        logger.info(
            "fetched %d objects of %d series",
            count,
            len(series),
            extra={"study": name, "stage": "fetch", "seconds": round(seconds, 1)},
        )
        size = sum(path.stat().st_size for path in folder.iterdir())
        self.events.tell(
            Kind.FETCHED,
            name,
            archive=self.source.name,
            objects=count,
            series=len(series),
            bytes=size,
            seconds=seconds,
        )

    def _predict(self, name: str, source: Path, output: Path) -> None:
        self.ledger.begin(name, PREDICTING)
        began, code = time.monotonic(), 0
        try:
            self.predict(name, source, output, self._beat)
        except MmccdError as error:
            code = error.exit_code
            raise
        finally:
            seconds = round(time.monotonic() - began, 3)
            self.events.tell(Kind.PREDICTED, name, exit_code=code, seconds=seconds)
        self.ledger.begin(name, "store")

    def _keep(
        self, name: str, uid: str, files: list[Path], images: list[ArchivedSeries]
    ) -> Parcel | None:
        """Keep results until they are stored; None where whoever shall have them has them."""
        series, counts = made_of(files), wanted.counts(images)
        used = None if series is None else wanted.hashed(series)
        has_them = self._has_them(name, uid, files)
        errands = self.courier.errands(but_for_the_first=has_them)
        if has_them:
            logger.info("has results in the archive by now", extra={"study": name})
        if not errands:
            self.ledger.done(name, counts, used)
            return None
        parcel = self.outbox.put(name, uid, files, images=counts, used=used, errands=errands)
        self.ledger.kept(name)
        self.events.tell(Kind.KEPT, name, objects=len(files), bytes=parcel.size)
        return parcel

    def _has_them(self, name: str, uid: str, files: list[Path]) -> bool:
        """Whether results were stored by another service, or are what was stored before."""
        try:
            series = self.source.series(uid)
        except ArchiveError:
            return False  # it is seen when they are stored
        first = not self.ledger.records[name].images
        ours = series_of(files)
        return (first and wanted.has_results(series, self.results)) or (
            bool(ours) and ours <= {one.uid for one in series}
        )

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        """Wait for a worker that is free."""
        while not self._slots.acquire(timeout=_TICK_S):
            self._beat()
        try:
            yield
        finally:
            self._slots.release()

    def _beat(self) -> None:
        self._lanes.check()
        with _noted():
            self.ledger.beat()

    def _tell_trouble(self, error: ArchiveError, study: str | None) -> None:
        values = {"stage": "fetch" if study else "look", "message": str(error), **_fields(error)}
        self.events.tell(Kind.ARCHIVE_ERROR, study, archive=self.source.name, **values)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            with _noted():
                self.ledger.beat()
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(left, 1.0))


def _fields(error: MmccdError) -> dict[str, object]:
    return {"exit_code": error.exit_code, "code": error.code}


@contextlib.contextmanager
def _noted() -> Iterator[None]:
    """A state folder that is full for a while ends nothing."""
    try:
        yield
    except OutputError as error:
        logger.error("%s", error, extra=_fields(error))


@contextlib.contextmanager
def temporary_folder(state: Path) -> Iterator[Path]:
    """A folder that nobody else may read, gone when the block ends.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        name = tempfile.mkdtemp(prefix=_prefix(state))
    except OSError as error:
        raise OutputError(
            f"{tempfile.gettempdir()}: cannot be written ({error.strerror}); free some space, or"
            " set TMPDIR"
        ) from error
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def remove_left_over(state: Path) -> None:
    """Remove temporary folders that a killed service with the same state folder has left behind;
    its working processes have ended, too, or the folder could not have been taken.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix(state)}*"):
        shutil.rmtree(path, ignore_errors=True)


def _prefix(state: Path) -> str:
    return f"mmccd-pacs-{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}-"
