"""What the settings name of DIMSE, up and running."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmccd.apps.pacs.archive import Destination, Source
from mmccd.apps.pacs.dimse.arrival import Sink
from mmccd.apps.pacs.dimse.awaited import Awaiting
from mmccd.apps.pacs.dimse.commitment import Commitments
from mmccd.apps.pacs.dimse.incoming import Incoming, Limits
from mmccd.apps.pacs.dimse.receiver import Receiver
from mmccd.apps.pacs.dimse.removal import removing
from mmccd.apps.pacs.dimse.retrieve import GetSource, MoveSource
from mmccd.apps.pacs.dimse.settings import GET, MOVE, RECEIVE
from mmccd.apps.pacs.dimse.store import DimseDestination
from mmccd.apps.pacs.settings import PacsSettings

_HOLD, _LEAST_HOLD_S = 10.0, 600.0
"""A study whose sender broke off waits for it so many times as long as any study, and so long."""


@dataclass(frozen=True)
class Ways:
    """Source and destinations.

    Attributes:
        source: None where it is not DIMSE.
        destinations: all of the service, the one that it is for first.
    """

    source: Source | None
    destinations: Sequence[Destination]


@contextlib.contextmanager
def opened(settings: PacsSettings, others: Sequence[Destination] = ()) -> Iterator[Ways]:
    """Source and destination that the settings name; the receiver listens until the block ends.

    Args:
        settings: of the service.
        others: destinations that are not DIMSE.

    Raises:
        UsageError: the port, or the files for TLS, cannot be used.
        OutputError: the folder for received images cannot be made.
    """
    commitments = Commitments(settings.state) if settings.commit else None
    own = [DimseDestination(settings, commitments)] if settings.store else []
    destinations: list[Destination] = [*own, *others]
    source: Source | None = None
    sink: Sink | None = None
    if settings.source == GET:
        source = GetSource(settings)
    elif settings.source == MOVE:
        awaiting = sink = Awaiting()
        source = MoveSource(settings, awaiting)
    elif settings.source == RECEIVE:
        incoming = source = sink = Incoming(settings.state, settings.ae_title, _limits(settings))
        destinations = removing(incoming, destinations)
    receiver = Receiver(settings, sink, commitments) if settings.listen else None
    try:
        yield Ways(source, destinations)
    finally:
        if receiver is not None:
            receiver.close()


def _limits(settings: PacsSettings) -> Limits:
    return Limits(
        study_mib=settings.max_mib,
        free_mib=settings.keep_free_mib,
        keep_days=settings.keep_days,
        hold_s=max(_HOLD * settings.settle_s, _LEAST_HOLD_S),
    )
