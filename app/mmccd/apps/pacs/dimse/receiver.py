"""What others call us for: C-ECHO, C-STORE, and the answers to storage commitment."""

from __future__ import annotations

import logging
from typing import Any

from pynetdicom import evt
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext, build_context

from mmccd.apps.pacs.dimse import tls
from mmccd.apps.pacs.dimse.arrival import Sink, receive
from mmccd.apps.pacs.dimse.calls import entity
from mmccd.apps.pacs.dimse.commitment import Commitments
from mmccd.apps.pacs.dimse.server import Guard, Server
from mmccd.apps.pacs.dimse.uids import COMMIT, ECHO, SYNTAXES, TAKEN, UNCOMPRESSED
from mmccd.apps.pacs.settings import PacsSettings

logger = logging.getLogger(__name__)

_MOST_OBJECT_MIB = 1024
"""An object is in memory while it comes in."""
_SUCCESS = 0x0000


class Receiver:
    """Listens until it is closed.

    Args:
        settings: of the service.
        sink: takes objects; None: none are taken.
        commitments: takes promises; None: none are taken.

    Raises:
        UsageError: the port, or the files for TLS, cannot be used.
    """

    def __init__(
        self, settings: PacsSettings, sink: Sink | None, commitments: Commitments | None
    ) -> None:
        self._sink = sink
        one = entity(settings)
        # The guard looks at them, too, and at addresses; where it fails, this one holds.
        one.require_calling_aet = sorted({caller.title for caller in settings.callers})
        guard = Guard(
            settings.callers,
            tls.for_listening(settings),
            settings.silence_s,
            settings.pdu_kib * 1024,
            min(settings.max_mib, _MOST_OBJECT_MIB) * 2**20,
        )
        contexts = [build_context(ECHO, list(UNCOMPRESSED))]
        handlers: list[EventHandlerType] = [(evt.EVT_C_ECHO, _echo)]
        if sink is not None:
            contexts += [build_context(uid, list(SYNTAXES)) for uid in TAKEN]
            handlers += [
                (evt.EVT_C_STORE, receive, [sink]),
                (evt.EVT_RELEASED, self._closed),
                (evt.EVT_ABORTED, self._closed),
                (evt.EVT_CONN_CLOSE, self._closed),
            ]
        if commitments is not None:
            contexts.append(_commitment())
            handlers.append((evt.EVT_N_EVENT_REPORT, commitments.answered))
        self._server = Server(one, settings.listens, contexts, handlers, guard)
        logger.info(
            "listening as %s on port %d%s",
            settings.ae_title,
            self.port,
            " (TLS)" if settings.tls else "",
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    def close(self) -> None:
        """Stop; what was answered for is kept."""
        self._server.close()

    def _closed(self, event: Any) -> None:
        association = event.assoc
        # The connection may be closed a moment before the release is noted.
        properly = association.is_released or association._sent_release
        if self._sink is not None:
            self._sink.closed(association, properly)


def _echo(event: Any) -> int:
    return _SUCCESS


def _commitment() -> PresentationContext:
    """The archive answers in the role of the one who is asked (SCP)."""
    context = build_context(COMMIT, list(UNCOMPRESSED))
    context.scu_role = context.scp_role = True
    return context
