"""Received images go when their results are where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmccd.apps.pacs.archive import Destination
from mmccd.apps.pacs.dimse.incoming import Incoming


def removing(incoming: Incoming, destinations: Sequence[Destination]) -> list[Destination]:
    """The same destinations; some time after all of them have stored a study its images go.

    Args:
        incoming: where they are.
        destinations: of the results.
    """
    names = [one.name for one in destinations]
    return [_Removing(one, incoming, names) for one in destinations]


class _Removing:
    def __init__(self, destination: Destination, incoming: Incoming, names: Sequence[str]) -> None:
        self._destination, self._incoming, self._names = destination, incoming, names

    @property
    def name(self) -> str:
        return self._destination.name

    def store(self, study: str, files: Sequence[Path]) -> None:
        self._destination.store(study, files)
        self._incoming.stored(study, self.name, self._names)
