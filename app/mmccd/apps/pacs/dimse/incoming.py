"""What is sent to us, in ``STATE/incoming``: a folder for each study, named by a hash of its UID,
and in it a file for each object. An object that was answered for is on the disk; a file that is
there is whole.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mmccd.apps.pacs.archive import TOO_LARGE, ArchivedSeries, ArchivedStudy, ExchangeError
from mmccd.apps.pacs.dimse.arrival import (
    OUT_OF_RESOURCES,
    Arrival,
    Header,
    RefusedError,
    header_of_file,
    hidden,
)
from mmccd.core import OutputError, ResourceError, make_folder, synced
from mmccd.jobs import study_name

logger = logging.getLogger(__name__)

FOLDER = "incoming"
_ENDING, _PART = ".dcm", ".part-"
_OPEN, _FETCHED, _STORED, _DONE = ".open", ".fetched", ".stored-", ".done"
_MIB, _DAY_S = 2**20, 86_400.0
_MOST_STUDIES = 10_000


@dataclass(frozen=True)
class Limits:
    """How much is taken, and how long it is kept.

    Attributes:
        study_mib: the largest study.
        free_mib: so much of the disk stays free.
        keep_days: what is older is removed.
        hold_s: a study whose sender broke off is listed when nothing came for so long, and one
            that is done is kept so long: what comes in meanwhile belongs to it.
    """

    study_mib: int
    free_mib: int
    keep_days: int
    hold_s: float


@dataclass
class _Study:
    uid: str
    headers: dict[str, Header] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    senders: set[threading.Thread] = field(default_factory=set)
    broken: bool = False


class Incoming:
    """The folder: takes what arrives (a :class:`~mmccd.apps.pacs.dimse.arrival.Sink`), and is a
    :class:`~mmccd.apps.pacs.archive.Source`.

    Args:
        state: the service's folder.
        name: by which the log calls it.
        limits: of it.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, state: Path, name: str, limits: Limits) -> None:
        self._root, self._name, self._limits = state / FOLDER, name, limits
        self._lock = threading.RLock()
        make_folder(self._root, "choose another state folder (MMCCD_PACS_STATE)")
        self._root.chmod(0o700)
        self._studies: dict[str, _Study] = dict(self._read())

    @property
    def name(self) -> str:
        """By which the log calls it."""
        return self._name

    def take(self, arrival: Arrival) -> None:
        """Keep an object.

        Raises:
            RefusedError: there is no room for it.
            OSError: it cannot be written.
        """
        folder = self._root / hidden(arrival.header.study)
        name = hidden(arrival.header.sop_instance) + _ENDING
        with self._lock:
            study = self._room_for(arrival, folder, name)
            study.senders.add(arrival.sender)
            (folder / _OPEN).touch(0o600)
        part = folder / f"{_PART}{secrets.token_hex(8)}"
        arrival.write_to(part)
        with self._lock:
            if self._studies.get(folder.name) is not study:  # removed in this very moment
                part.unlink(missing_ok=True)
                raise RefusedError("its study was just removed; send it again", OUT_OF_RESOURCES)
            _stamp(part)
            part.replace(folder / name)
            study.headers[name], study.sizes[name] = arrival.header, arrival.size
        synced(folder)

    def closed(self, sender: threading.Thread, properly: bool) -> None:
        """An association has ended."""
        with self._lock:
            for folder, study in self._of_sender(sender):
                study.senders.discard(sender)
                study.broken |= not properly
                if properly and not study.senders:
                    # Whoever comes again and ends properly has sent the rest.
                    study.broken = False
                    (folder / _OPEN).unlink(missing_ok=True)
                elif not properly:
                    (folder / _OPEN).touch(0o600)
                count, name = len(study.headers), study_name(study.uid)
                logger.info(
                    "%d objects are here%s",
                    count,
                    "" if properly else "; their sender broke off",
                    extra={"study": name},
                )

    def studies(self, today: date) -> list[ArchivedStudy]:
        """Studies with MR images whose senders have ended; whatever their date, for they were sent
        to be worked on. What is too old is removed.
        """
        with self._lock:
            self._remove_done()
            self._remove_old()
            return [
                ArchivedStudy(study.uid, len(study.headers))
                for name, study in self._studies.items()
                if _has_images(study) and not self._is_open(self._root / name, study)
            ]

    def series(self, study: str) -> list[ArchivedSeries]:
        """All series of a study that are here."""
        with self._lock:
            found = self._studies.get(hidden(study))
            headers = list(found.headers.values()) if found else []
        counts: dict[str, int] = {}
        for one in headers:
            counts[one.series] = counts.get(one.series, 0) + 1
        first = {one.series: one for one in reversed(headers)}
        return [first[uid].in_series(count) for uid, count in counts.items()]

    def fetch(
        self,
        study: str,
        series: Sequence[ArchivedSeries],
        folder: Path,
        beat: Callable[[], None],
    ) -> int:
        """Link or copy all objects of these series into a folder.

        Raises:
            ExchangeError: an object is no longer there.
            OutputError: the folder cannot be written.
            ResourceError: the study is larger than is allowed.
        """
        wanted = {one.uid for one in series}
        with self._lock:
            found = self._studies.get(hidden(study))
            names = (
                [name for name, one in found.headers.items() if one.series in wanted]
                if found
                else []
            )
            if found:
                _stamp(self._root / hidden(study) / _FETCHED)
            if found and sum(found.sizes[name] for name in names) > self._limits.study_mib * _MIB:
                raise ResourceError(
                    f"the study's series are larger than {self._limits.study_mib} MiB; raise"
                    " MMCCD_PACS_MAX_MIB if there is room for them",
                    code=TOO_LARGE,
                )
        expected = sum(max(one.instances, 0) for one in series)
        if found is None or len(names) < expected:
            raise ExchangeError(
                f"{self._name}: {len(names)} of {expected} received objects are still there;"
                " expected all; were they removed from the state folder?"
            )
        for number, name in enumerate(names):
            beat()
            self._copy(self._root / hidden(study) / name, folder / f"{number:06d}{_ENDING}")
        return len(names)

    def stored(self, study: str, destination: str, destinations: Collection[str]) -> None:
        """A study's results are where they belong; some time after they are in all destinations,
        the objects are removed that were here when the study was fetched. What came since then
        stays.

        Args:
            study: its UID.
            destination: that has them.
            destinations: all of them.
        """
        folder = self._root / hidden(study)
        with self._lock:
            found = self._studies.get(folder.name)
            if found is None:
                return
            (folder / (_STORED + hidden(destination))).touch(0o600)
            if all((folder / (_STORED + hidden(one))).exists() for one in destinations):
                _stamp(folder / _DONE)
                for marker in folder.glob(f"{_STORED}*"):
                    marker.unlink(missing_ok=True)

    def _remove_done(self) -> None:
        latest = time.time() - self._limits.hold_s
        for name, study in list(self._studies.items()):
            done = self._root / name / _DONE
            if done.exists() and _changed(done) <= latest and not study.senders:
                self._remove_fetched(done.parent, study)

    def _remove_fetched(self, folder: Path, study: _Study) -> None:
        before, fetched = len(study.headers), _changed_ns(folder / _FETCHED)
        for name in list(study.headers):
            if _changed_ns(folder / name) < fetched:
                (folder / name).unlink(missing_ok=True)
                del study.headers[name], study.sizes[name]
        (folder / _DONE).unlink(missing_ok=True)
        logger.info(
            "removed %d received objects, which are done; %d came since then",
            before - len(study.headers),
            len(study.headers),
            extra={"study": study_name(study.uid)},
        )
        if not study.headers:
            self._forget(folder.name)

    def _copy(self, path: Path, to: Path) -> None:
        try:
            try:
                os.link(path, to)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(path, to)
        except OSError as error:
            if not path.exists():
                raise ExchangeError(
                    f"{self._name}: a received object is gone; expected it in the state folder; was"
                    " it removed?"
                ) from error
            raise OutputError(
                f"the temporary folder cannot be written ({error.strerror or error}); free some"
                " space, or set TMPDIR",
                code="output.not_writable",
            ) from error

    def _room_for(self, arrival: Arrival, folder: Path, name: str) -> _Study:
        """The study that an object belongs to, where there is room for it."""
        free = shutil.disk_usage(self._root).free
        if free - arrival.size < self._limits.free_mib * _MIB:
            raise RefusedError("the disk is full", OUT_OF_RESOURCES)
        found = self._studies.get(folder.name)
        before = sum(size for one, size in found.sizes.items() if one != name) if found else 0
        if before + arrival.size > self._limits.study_mib * _MIB:
            text = f"the study is larger than {self._limits.study_mib} MiB"
            raise RefusedError(text, OUT_OF_RESOURCES)
        if found is None:
            if len(self._studies) >= _MOST_STUDIES:
                raise RefusedError("too many studies are waiting", OUT_OF_RESOURCES)
            folder.mkdir(mode=0o700, exist_ok=True)
            synced(self._root)
            found = self._studies[folder.name] = _Study(arrival.header.study)
        return found

    def _of_sender(self, sender: threading.Thread) -> Iterator[tuple[Path, _Study]]:
        for name, study in self._studies.items():
            if sender in study.senders:
                yield self._root / name, study

    def _is_open(self, folder: Path, study: _Study) -> bool:
        """Whether more is to come: its sender is at work, or broke off a short time ago."""
        for sender in [one for one in study.senders if not one.is_alive()]:
            self.closed(sender, properly=False)
        if study.senders:
            return True
        return study.broken and time.time() - _changed(folder / _OPEN) < self._limits.hold_s

    def _remove_old(self) -> None:
        oldest = time.time() - self._limits.keep_days * _DAY_S
        for name, study in list(self._studies.items()):
            folder = self._root / name
            last = max((_changed(folder / one) for one in study.headers), default=_changed(folder))
            if last < oldest and not study.senders:
                logger.warning(
                    "removed %d received objects, which were not done within %d days",
                    len(study.headers),
                    self._limits.keep_days,
                    extra={"study": study_name(study.uid)},
                )
                self._forget(name)

    def _forget(self, name: str) -> None:
        shutil.rmtree(self._root / name, ignore_errors=True)
        del self._studies[name]

    def _read(self) -> Iterator[tuple[str, _Study]]:
        """The studies that are there; what was not answered for is removed."""
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            for part in folder.glob(f"{_PART}*"):
                part.unlink(missing_ok=True)
            study: _Study | None = None
            paths = sorted(folder.glob(f"*{_ENDING}"))
            for path in paths:
                try:
                    header = header_of_file(path)
                except ValueError:
                    logger.warning("%s: a received object is damaged; it is left out", path.name)
                    continue
                study = study or _Study(header.study)
                study.headers[path.name], study.sizes[path.name] = header, path.stat().st_size
            if study is None:
                if not paths:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            # A service that was killed has broken off what came in then.
            study.broken = (folder / _OPEN).exists()
            yield folder.name, study


def _has_images(study: _Study) -> bool:
    return any(one.modality == "MR" for one in study.headers.values())


def _changed(path: Path) -> float:
    return _changed_ns(path) / 1e9


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _stamp(path: Path) -> None:
    """Give a file this moment's time, by one clock for all; the kernel's own is coarse."""
    path.touch(0o600)
    moment = time.time_ns()
    os.utime(path, ns=(moment, moment))
