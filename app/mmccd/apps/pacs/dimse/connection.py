"""What pynetdicom's connections leave undone, on both sides: they believe any length of a PDU, wait
for ever in the middle of one, and stay open where the other has closed first.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from pynetdicom.association import Association

_NEGOTIATION = 256 * 1024
"""The longest PDU that asks for an association, or answers."""
_HEADER = 6


def tame(association: Association, silence_s: float, pdu: int) -> None:
    """Bound what an association's connection does.

    Args:
        association: with an open connection.
        silence_s: the longest wait in the middle of a PDU.
        pdu: bytes of the longest PDU.
    """
    connection: Any = association.dul.socket
    raw: socket.socket = connection.socket
    raw.settimeout(silence_s)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv = partial(_receive, raw, connection.recv, max(pdu, _NEGOTIATION))
    close_for_sure(connection)


def close_for_sure(connection: Any) -> None:
    """Close a connection's socket when it ends, whoever ended it, or where it never began.

    Args:
        connection: of pynetdicom.
    """
    connection._shutdown_socket = partial(_close, connection)


def cut(association: Association) -> None:
    """End a connection; whoever waits in it is let go."""
    connection = association.dul.socket
    raw = connection.socket if connection is not None else None
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)


def _receive(
    raw: socket.socket, receive: Callable[[int], bytearray], longest: int, count: int
) -> bytearray:
    """So many bytes of a PDU, unless they are too many."""
    if count > longest + _HEADER:
        raise OSError("the PDU is too long")
    if sys.platform == "linux":
        # dcmtk writes a PDU in two pieces, and the second one waits for this: 40 ms each.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return receive(count)


def _close(connection: Any) -> None:
    if connection.socket is None:
        return
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.socket.close()
