"""The port that others call, guarded: who may call is looked at before anything is read, a caller
that keeps silent holds nobody but itself, and nobody sends more than fits. pynetdicom does the
talking; it would shake hands (TLS) where it accepts connections, believe any length, and wait for
ever in the middle of a PDU.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from mmccd.apps.pacs.dimse.arrival import caller_of
from mmccd.apps.pacs.dimse.connection import cut, tame
from mmccd.apps.pacs.dimse.settings import Address, Allowed
from mmccd.core import UsageError

logger = logging.getLogger(__name__)

_SPARE = 8
"""Connections above the number of associations, so that these can be told that there are too
many.
"""
_COMMAND = 64 * 1024
"""The longest command; it has no data in it."""
_MOST_WAITING = 2
_TITLE_UNKNOWN = (0x01, 0x01, 0x03)


@dataclass(frozen=True)
class Guard:
    """Who may call, and how much may come.

    Attributes:
        allowed: AE titles and networks.
        tls: for the handshake; None without TLS.
        silence_s: for a handshake, and between two pieces of a PDU.
        pdu: bytes of the longest PDU.
        object_bytes: the largest object; all together may be twice as large.
    """

    allowed: tuple[Allowed, ...]
    tls: ssl.SSLContext | None
    silence_s: float
    pdu: int
    object_bytes: int

    def may_connect(self, address: Address) -> bool:
        """Whether anybody at that address may call."""
        return any(one.network is None or address in one.network for one in self.allowed)

    def may_call(self, title: str, address: Address) -> bool:
        """Whether an AE title may call from that address."""
        return any(one.fits(title, address) for one in self.allowed)


class Server(ThreadedAssociationServer):
    """Listens in a thread of its own until it is closed.

    Args:
        entity: as whom.
        address: of this machine (empty: all), and port.
        contexts: what is accepted.
        handlers: of events.
        guard: see there.

    Raises:
        UsageError: the port cannot be listened on.
    """

    daemon_threads = True

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        contexts: Sequence[PresentationContext],
        handlers: Sequence[EventHandlerType],
        guard: Guard,
    ) -> None:
        self.guard = guard
        self._shaking = 0
        self._counting = threading.Lock()
        own: list[EventHandlerType] = [
            (evt.EVT_REQUESTED, self._look_at_caller),
            (evt.EVT_DATA_RECV, self._look_at_size),
            (evt.EVT_REJECTED, _tell_of_rejection),
            (evt.EVT_CONN_CLOSE, _wake),
        ]
        try:
            super().__init__(
                entity,
                address,
                entity.ae_title,
                list(contexts),
                None,
                [*own, *handlers],
                _Handler,
            )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UsageError(
                f"{address[0]}:{address[1]}: cannot be listened on ({reason}); expected a free"
                " port and an address of this machine; correct MMCCD_PACS_LISTEN"
            ) from error
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Stop listening and abort what is open; what was answered for is kept."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()
        open_ones = self.active_associations
        for one in open_ones:
            if one.is_established:
                one.abort(block=False)
        if open_ones:
            time.sleep(0.1)
        for one in open_ones:
            cut(one)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, without shaking hands: that is its own thread's matter."""
        listening: Any = self.socket
        connection, address = listening.accept()
        connection.settimeout(self.guard.silence_s)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is used at all."""
        address = _address(client_address)
        if not self.guard.may_connect(address):
            logger.warning("refused a connection from %s: nobody there may call", address)
            return False
        if self._shaking + len(self.active_associations) >= self.ae.maximum_associations + _SPARE:
            logger.warning("refused a connection from %s: too many are open", address)
            return False
        with self._counting:
            self._shaking += 1
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, and start the association."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self._shaking -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection has failed before it was an association."""
        reason = sys.exc_info()[1]
        text = getattr(reason, "reason", None) or type(reason).__name__
        logger.warning("a connection from %s failed: %s", _address(client_address), text)

    def _look_at_caller(self, event: Any) -> None:
        association = event.assoc
        try:
            welcome = self._is_welcome(association)
        except Exception:  # whatever it is, it does not come in
            welcome = False
        if welcome:
            return
        logger.warning("rejected %s: it may not call", caller_of(association))
        if hasattr(association.requestor.primitive, "calling_ae_title"):
            association.acse.send_reject(*_TITLE_UNKNOWN)
            association.kill()
        else:
            association.is_aborted = True  # no request at all; nothing is negotiated then
            cut(association)

    def _is_welcome(self, association: Association) -> bool:
        request: Any = association.requestor.primitive
        title = request.calling_ae_title
        association.requestor.ae_title = title
        address = _address((association.requestor.address, 0))
        return self.guard.may_call(str(title).strip(), address)

    def _look_at_size(self, event: Any) -> None:
        """Called with each PDU, before it is taken apart."""
        association = event.assoc
        too_much = _in_work(association) > self.guard.object_bytes or (
            sum(map(_in_work, self.active_associations)) > 2 * self.guard.object_bytes
        )
        message = association.dimse.message
        too_long = message is not None and message.encoded_command_set.tell() > _COMMAND
        # One request at a time is what was negotiated.
        too_many = association.dimse.msg_queue.qsize() > _MOST_WAITING
        if too_much or too_long or too_many:
            logger.warning(
                "aborted the association of %s: it sends more than is allowed",
                caller_of(association),
            )
            association.abort(block=False)


class _Handler(RequestHandler):
    """One connection."""

    server: Server

    def setup(self) -> None:
        """Shake hands."""
        if self.server.guard.tls is not None:
            self.request = self.server.guard.tls.wrap_socket(self.request, server_side=True)

    def _create_association(self) -> Association:
        association = super()._create_association()
        tame(association, self.server.guard.silence_s, self.server.guard.pdu)
        return association


def _in_work(association: Association) -> int:
    """Bytes of the object that is coming in."""
    found: Any = getattr(association.dimse.message, "data_set", None)
    return int(found.tell()) if hasattr(found, "tell") else 0


def _address(client: Any) -> Address:
    found = ipaddress.ip_address(str(client[0]).partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _wake(event: Any) -> None:
    """Do not wait for a request on a connection that is closed: it would hold its place."""
    if event.assoc.requestor.primitive is None:
        event.assoc.dul.to_user_queue.put(None)


def _tell_of_rejection(event: Any) -> None:
    logger.warning("rejected an association of %s", caller_of(event.assoc))
