"""Associations that we ask for. pynetdicom's own log is silent: it prints data sets."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext, build_role

from mmccd.apps.pacs.archive import (
    ArchiveError,
    NotAllowedError,
    UnavailableError,
    UnreachableError,
)
from mmccd.apps.pacs.dimse import tls
from mmccd.apps.pacs.dimse.connection import close_for_sure, tame
from mmccd.apps.pacs.dimse.settings import DimseSettings, Peer

CONNECT_S = 10.0
_LOOK_S = 0.2
_CONGESTED = ((2, 3, 1), (2, 3, 2))
"""Rejections that pass: temporary congestion, local limit exceeded."""


def quiet() -> None:
    """Let pynetdicom log nothing; what it would say may have a patient's data in it."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False


class _Entity(AE):
    def _create_socket(self, *words: Any) -> Any:
        connection = super()._create_socket(*words)
        close_for_sure(connection)
        return connection


def entity(settings: DimseSettings) -> AE:
    """This service as pynetdicom sees it."""
    quiet()
    one = _Entity(settings.ae_title)
    one.acse_timeout = one.dimse_timeout = one.network_timeout = settings.silence_s
    one.connection_timeout = min(CONNECT_S, settings.silence_s)
    one.maximum_pdu_size = settings.pdu_kib * 1024
    one.maximum_associations = settings.associations
    one.require_called_aet = True
    return one


class Caller:
    """Asks one other program for associations.

    Args:
        settings: as whom, and how.
        peer: whom.
        storing: whether results are to be stored; for the exit code of errors.

    Raises:
        UsageError: the files for TLS cannot be used.
    """

    def __init__(self, settings: DimseSettings, peer: Peer, storing: bool = False) -> None:
        self.settings, self.peer, self.storing = settings, peer, storing
        self._entity, self._tls = entity(settings), tls.for_calls(settings)

    @contextlib.contextmanager
    def call(
        self,
        contexts: Sequence[PresentationContext],
        handlers: Sequence[EventHandlerType] = (),
        taking: Sequence[str] = (),
    ) -> Iterator[Association]:
        """An association, which is released when the block ends, and aborted where it fails.

        Args:
            contexts: what is proposed.
            handlers: of events.
            taking: SOP classes of which we take objects (C-GET).

        Raises:
            UnreachableError: there is no connection.
            NotAllowedError: we are rejected.
            UnavailableError: nothing of what was proposed is accepted.
        """
        pdu = self.settings.pdu_kib * 1024
        association = self._entity.associate(
            self._address(),
            self.peer.port,
            contexts=list(contexts),
            ae_title=self.peer.title,
            max_pdu=pdu,
            ext_neg=[build_role(uid, scp_role=True) for uid in taking],
            tls_args=(self._tls, self.peer.host) if self._tls else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, _tame, [self.settings.silence_s, pdu]), *handlers],
        )
        if not association.is_established:
            raise self._why(association)
        try:
            yield association
        except BaseException:
            end(association)
            raise
        if association.is_established:
            association.release()

    def error(self, kind: type[ArchiveError], text: str) -> ArchiveError:
        """An error of this peer."""
        return kind(f"{self.peer}: {text}", self.storing)

    def silent(self, what: str) -> ArchiveError:
        """The error where an association has ended without an answer."""
        return self.error(
            UnreachableError,
            f"{what} was broken off, or not answered within {self.settings.silence_s:g} s;"
            " expected an answer; it is tried again",
        )

    def _address(self) -> str | tuple[str, int, int]:
        try:
            found = socket.getaddrinfo(self.peer.host, self.peer.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise self.error(
                UnreachableError,
                "its name has no address (DNS); expected an archive; correct the host",
            ) from error
        # IPv4 first: archives listen there; of "localhost" the other one is first.
        found.sort(key=lambda one: one[0] != socket.AF_INET)
        family, _, _, _, address = found[0]
        host, _, *rest = address
        return str(host) if family == socket.AF_INET else (str(host), int(rest[0]), int(rest[1]))

    def _why(self, association: Association) -> ArchiveError:
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None:
            return self._rejected(answer)
        if association.rejected_contexts and not association.accepted_contexts:
            return self.error(
                UnavailableError,
                "takes nothing of what was proposed; expected the DIMSE service that is asked for;"
                " look at what it offers (docs/archive.md#dimse)",
            )
        reason = self._probe()
        if isinstance(reason, ssl.SSLCertVerificationError):
            return self.error(
                UnreachableError,
                f"its certificate cannot be trusted ({reason.verify_message}); set"
                " MMCCD_PACS_TLS_CA to its authority",
            )
        if isinstance(reason, ssl.SSLError):
            return self.error(
                UnreachableError,
                f"no TLS ({reason.reason or type(reason).__name__}); expected an archive that"
                " speaks TLS, and takes our certificate (MMCCD_PACS_TLS_CERT)",
            )
        text = f"cannot be reached ({type(reason).__name__})" if reason else "does not answer"
        return self.error(
            UnreachableError,
            f"{text}; expected an archive that speaks DIMSE{' over TLS' * bool(self._tls)}; is it"
            " running?",
        )

    def _rejected(self, answer: Any) -> ArchiveError:
        why = (answer.result, int(answer.result_source), answer.diagnostic)
        if why in _CONGESTED:
            return self.error(
                UnavailableError,
                f"has no association free ({answer.reason_str}); it is tried again",
            )
        return self.error(
            NotAllowedError,
            f"rejects the association ({answer.reason_str}); expected that it knows"
            f" {self.settings.ae_title} and is called {self.peer.title}; correct AE titles here or"
            " there",
        )

    def _probe(self) -> OSError | None:
        """Why there is no connection; pynetdicom does not tell."""
        try:
            address = (self.peer.host, self.peer.port)
            with socket.create_connection(address, self._entity.connection_timeout) as plain:
                if self._tls:
                    with self._tls.wrap_socket(plain, server_hostname=self.peer.host) as wrapped:
                        wrapped.settimeout(1.0)
                        # TLS 1.3: that our certificate is refused is told with the first data.
                        with contextlib.suppress(TimeoutError):
                            wrapped.recv(1)
        except OSError as error:
            return error
        return None


def end(association: Association) -> None:
    """Abort an association, and let go who waits for its answer."""
    if not association.is_aborted:
        association.abort()
    association.dimse.msg_queue.put((None, None))


def accepted(association: Association) -> set[str]:
    """UIDs of what the other has accepted."""
    return {str(one.abstract_syntax) for one in association.accepted_contexts}


def status_of(answer: Dataset) -> int | None:
    """The status of an answer; None where there is none."""
    found = answer.get("Status")
    return None if found is None else int(found)


def watch(
    association: Association,
    work: Callable[[], None],
    moved: threading.Event,
    longest_s: float,
    beat: Callable[[], None],
) -> bool:
    """Run something that waits for the network in a thread of its own, so that the service can
    beat meanwhile; where nothing moves for long, the association is ended.

    Args:
        association: at work.
        work: what is done on it.
        moved: set whenever something has come.
        longest_s: without any movement.
        beat: called now and then.

    Returns:
        Whether the work came to its end; else it was silent for too long.

    Raises:
        BaseException: what the work or the beat raised.
    """
    # This clock counts: a C-MOVE may keep silent while it sends to the receiver.
    association.dimse_timeout = None
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    last = time.monotonic()
    while thread.is_alive():
        thread.join(_LOOK_S)
        if moved.is_set():
            last = time.monotonic()
            moved.clear()
        beat()
        if time.monotonic() - last > longest_s:
            end(association)
            thread.join(longest_s)
            return False
    if failed:
        raise failed[0]
    return True


def _tame(event: Any, silence_s: float, pdu: int) -> None:
    tame(event.assoc, silence_s, pdu)
