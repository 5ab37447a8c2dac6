"""What happens in the service, told to whoever listens: the audit log, the metrics, a webhook. An
event names studies by their hash, archives by host and port, and nobody else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

logger = logging.getLogger(__name__)


class Kind(StrEnum):
    """What has happened."""

    STARTED = "started"
    ENDED = "ended"
    LOOKED = "looked"
    """The source was asked for its studies."""
    FETCHED = "fetched"
    PREDICTED = "predicted"
    KEPT = "kept"
    """Results lie on disk, to be stored."""
    STORED = "stored"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    GIVEN_UP = "given up"
    ARCHIVE_ERROR = "archive error"
    ASKED = "asked"
    """Somebody asked us: over HTTP, or an application entity."""
    RECEIVED = "received"
    """Somebody sent us images."""


@dataclass(frozen=True)
class Event:
    """Something that has happened.

    Attributes:
        kind: what.
        study: its name (:func:`~mmccd.jobs.study_name`), where it concerns one.
        values: more: ``archive`` or ``peer`` (who), ``objects``, ``series``, ``bytes`` (counts),
            ``seconds``, ``stage`` (of an archive error: look, fetch or store), ``exit_code``,
            ``code``, ``message``; plain values.
    """

    kind: Kind
    study: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Events:
    """Passes events on. A listener that fails hurts neither the service nor the other listeners.

    Args:
        listeners: in this order.
    """

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    def tell(self, kind: Kind, study: str | None = None, **values: Any) -> None:
        """Something has happened."""
        event = Event(kind, study, values)
        for listener in self._listeners:
            with _harmless(listener):
                listener(event)


@contextlib.contextmanager
def _harmless(listener: Listener) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        logger.warning(
            "%s does not take an event (%s)", type(listener).__name__, type(error).__name__
        )
