"""Objects that we have asked for (C-MOVE, C-GET), on their way into a folder. What nobody has
asked for is not taken.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mmccd.apps.pacs.archive import TOO_LARGE
from mmccd.apps.pacs.dimse.arrival import NOT_ALLOWED, OUT_OF_RESOURCES, Arrival, RefusedError
from mmccd.core import OutputError, ResourceError


class Awaited:
    """A series on its way.

    Args:
        study: its StudyInstanceUID.
        series: its SeriesInstanceUID.
        folder: where its objects are written.
        room: bytes that it may have.
        moved: called with each object.

    Attributes:
        objects: SOP instance UIDs that are there.
        size: their bytes.
    """

    def __init__(
        self, study: str, series: str, folder: Path, room: int, moved: Callable[[], None]
    ) -> None:
        self.study, self.series, self.room = study, series, room
        self.objects: set[str] = set()
        self.size = 0
        self._folder, self._moved = folder, moved
        self._lock = threading.Lock()
        self._first = len(list(folder.iterdir()))
        self._too_large, self._failed = False, ""

    def take(self, arrival: Arrival) -> None:
        """Write an object.

        Raises:
            RefusedError: it is not of this series, or too much.
            OSError: it cannot be written.
        """
        header = arrival.header
        if (header.study, header.series) != (self.study, self.series):
            raise RefusedError("nobody has asked for it", NOT_ALLOWED)
        with self._lock:
            self._moved()
            if header.sop_instance in self.objects:
                return
            if self.size + arrival.size > self.room:
                self._too_large = True
                raise RefusedError("the study is too large", OUT_OF_RESOURCES)
            path = self._folder / f"{self._first + len(self.objects):06d}.dcm"
            try:
                with path.open("xb") as file:
                    arrival.write(file)
            except OSError as error:
                self._failed = error.strerror or type(error).__name__
                path.unlink(missing_ok=True)
                raise
            self.objects.add(header.sop_instance)
            self.size += arrival.size

    def closed(self, sender: threading.Thread, properly: bool) -> None:
        """An association has ended; the answer to the request tells."""

    def check(self, most_mib: int) -> None:
        """Tell what went wrong here, if anything did.

        Args:
            most_mib: for the message.

        Raises:
            ResourceError: there was more than is allowed (code ``TOO_LARGE``).
            OutputError: the folder could not be written.
        """
        if self._too_large:
            raise ResourceError(
                f"the study's MR series are larger than {most_mib} MiB; raise MMCCD_PACS_MAX_MIB if"
                " there is room for them",
                code=TOO_LARGE,
            )
        if self._failed:
            raise OutputError(
                f"the temporary folder cannot be written ({self._failed}); free some space, or set"
                " TMPDIR",
                code="output.not_writable",
            )


class Awaiting:
    """All series on their way, for a receiver that objects come in at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], Awaited] = {}

    @contextlib.contextmanager
    def expect(self, one: Awaited) -> Iterator[None]:
        """Let the objects of a series in while the block runs."""
        key = (one.study, one.series)
        with self._lock:
            self._series[key] = one
        try:
            yield
        finally:
            with self._lock:
                self._series.pop(key, None)

    def take(self, arrival: Arrival) -> None:
        """Hand an object to who awaits it; raises as :meth:`Awaited.take`."""
        with self._lock:
            one = self._series.get((arrival.header.study, arrival.header.series))
        if one is None:
            raise RefusedError("nobody has asked for it", NOT_ALLOWED)
        one.take(arrival)

    def closed(self, sender: threading.Thread, properly: bool) -> None:
        """An association has ended; the answer to the request tells."""
