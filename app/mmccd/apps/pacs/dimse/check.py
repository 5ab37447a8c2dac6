"""What works with the archives that the settings name, a line each; one object is fetched, and
nothing is stored.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from mmccd.apps.pacs.archive import ArchiveError
from mmccd.apps.pacs.dimse import tls
from mmccd.apps.pacs.dimse.awaited import Awaiting
from mmccd.apps.pacs.dimse.calls import Caller, accepted, status_of
from mmccd.apps.pacs.dimse.query import SERIES, Query, identifier
from mmccd.apps.pacs.dimse.receiver import Receiver
from mmccd.apps.pacs.dimse.retrieve import UNKNOWN_DESTINATION, GetSource, MoveSource
from mmccd.apps.pacs.dimse.settings import GET as BY_GET, MOVE as BY_MOVE
from mmccd.apps.pacs.dimse.uids import COMMIT, ECHO, FIND, GET, MOVE, OWN, UNCOMPRESSED
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import MmccdError

Line = tuple[str, bool, str]
"""What was tried, whether it works, and what is to be said of it."""
_NOBODY = "2.25.0"
"""A UID that no study has."""


def check(settings: PacsSettings) -> list[Line]:
    """Try whatever the settings name of DIMSE.

    Args:
        settings: of the service.

    Returns:
        A line for each, in the order in which they are tried; none where nothing is DIMSE.
    """
    lines: list[Line] = []
    if settings.listen:
        lines.append(_attempt(f"listen {settings.listen}", lambda: _listen(settings)))
    if settings.peer:
        lines += _archive(settings)
    if settings.store:
        lines += _store(settings)
    return lines


def _archive(settings: PacsSettings) -> Iterator[Line]:
    try:
        caller = Caller(settings, settings.archive_peer)
    except MmccdError as error:
        yield f"{settings.peer}", False, str(error)
        return
    offered, line = _echo(caller, (FIND, MOVE, GET))
    yield line
    if not line[1]:
        return
    yield _attempt(f"{caller.peer} query", lambda: _query(caller))
    ways = {BY_MOVE: ("C-MOVE", MOVE), BY_GET: ("C-GET", GET)}
    for source, (name, uid) in ways.items():
        if source == settings.source or uid in offered:
            yield _is_offered(f"{caller.peer} {name}", uid, offered, source == settings.source)
    if ways[settings.source][1] in offered:
        yield _attempt(f"{caller.peer} sends an object", lambda: _object(settings, caller))


def _store(settings: PacsSettings) -> Iterator[Line]:
    try:
        caller = Caller(settings, settings.store_peer, storing=True)
    except MmccdError as error:
        yield f"{settings.store}", False, str(error)
        return
    offered, line = _echo(caller, (*OWN, COMMIT))
    yield line
    if not line[1]:
        return
    for uid in OWN:
        yield _is_offered(f"{caller.peer} stores {UID(uid).name}", uid, offered, True)
    if settings.commit or COMMIT in offered:
        yield _is_offered(f"{caller.peer} storage commitment", COMMIT, offered, settings.commit)


def _echo(caller: Caller, uids: Sequence[UID]) -> tuple[set[str], Line]:
    """What a peer accepts of these services, and how it answers an echo."""
    offered: set[str] = set()

    def echo() -> str:
        began = time.monotonic()
        with caller.call([build_context(uid, list(UNCOMPRESSED)) for uid in (ECHO, *uids)]) as one:
            offered.update(accepted(one))
            if ECHO in offered and status_of(one.send_c_echo()) != 0:
                raise caller.silent("an echo")
        return f"answers in {1000 * (time.monotonic() - began):.0f} ms{_with_tls(caller)}"

    return offered, _attempt(f"{caller.peer} echo", echo)


def _with_tls(caller: Caller) -> str:
    return ", over TLS" if caller.settings.tls else ""


def _query(caller: Caller) -> str:
    Query(caller, 0).any_study()
    return "answers"


def _is_offered(what: str, uid: UID, offered: set[str], needed: bool) -> Line:
    if uid in offered:
        return what, True, "offered" if needed else "offered, and not used"
    return what, False, "not offered; expected that it is; allow it in the archive"


def _object(settings: PacsSettings, caller: Caller) -> str:
    """Fetch one, as the service would; only so one knows whether the archive knows where we are."""
    awaiting = Awaiting()
    by_move = settings.source == BY_MOVE
    source = MoveSource(settings, awaiting) if by_move else GetSource(settings)
    for study in source.studies(date.today()):
        for series in source.series(study.uid):
            if series.modality != "MR" or not series.instances:
                continue
            with ExitStack() as stack:
                if by_move:
                    stack.callback(Receiver(settings, awaiting, None).close)
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="mmccd-check-")))
                return f"{source.fetch_one(study.uid, series.uid, folder, lambda: None)} bytes"
    return "no MR study to try it with" + (_destination(caller, settings.ae_title) * by_move)


def _destination(caller: Caller, title: str) -> str:
    """Ask the archive to send us what it has not got: some say that they do not know us."""
    with caller.call([build_context(MOVE, list(UNCOMPRESSED))]) as association:
        status = _last_status(association, title)
    if status is None:
        raise caller.silent("a C-MOVE of nothing")
    if status == UNKNOWN_DESTINATION:
        raise caller.error(
            ArchiveError,
            f"does not know where {title} is (status A801); tell it AE title, address and port",
        )
    return f"; asked to send nothing to {title} it answers with status {status:04X}"


def _last_status(association: Association, title: str) -> int | None:
    keys = identifier(SERIES, StudyInstanceUID=_NOBODY, SeriesInstanceUID=_NOBODY)
    status: int | None = None
    for answer, _ in association.send_c_move(keys, title, MOVE):
        status = status_of(answer)
    return status


def _listen(settings: PacsSettings) -> str:
    tls.for_listening(settings)
    host, port = settings.listens
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise MmccdError("in use; right only where it is this service that runs") from error
            raise MmccdError(
                f"cannot be listened on ({error.strerror}); expected an address of this machine"
            ) from error
    titles = ", ".join(sorted({one.title for one in settings.callers}))
    return f"free; {titles} may call" + (", over TLS" if settings.tls else "")


def _attempt(what: str, work: Callable[[], str]) -> Line:
    try:
        return what, True, work()
    except MmccdError as error:
        return what, False, str(error)
