"""Several studies at a time: while one is predicted, the next is fetched and the former stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from mmccd.core import CancelledError

_TICK_S = 0.2
_ENDING_S = 5.0
"""How long lanes may take to end what they do when they are told to."""


class Lanes:
    """Threads that take one thing after the other, until there is none, or one of them fails.

    Args:
        count: of threads.
        work: done with each thing; an error of it lets no further thing begin.
        watch: called by the calling thread now and then.
    """

    def __init__(self, count: int, work: Callable[[str], None], watch: Callable[[], None]) -> None:
        self._count, self._work, self._watch = count, work, watch
        self._one = threading.Lock()
        self._left: list[str] = []
        self._error: BaseException | None = None
        self._stopping = threading.Event()

    def run(self, names: Sequence[str]) -> None:
        """Do all, and return when all are done.

        Raises:
            BaseException: the first error of the work, after the other lanes have ended what they
                had begun; or what was raised in the calling thread (by a signal), after they have
                given it up.
        """
        self._left, self._error = list(reversed(names)), None
        self._stopping.clear()
        count = min(self._count, len(names))
        threads = [threading.Thread(target=self._lane, daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                _wait_for(threads)
                self._watch()
        except BaseException:
            self._stopping.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_ENDING_S)
            raise
        if self._error is not None:
            raise self._error

    def let_nothing_begin(self, error: BaseException) -> None:
        """Nothing further is begun; what is at work is ended. :meth:`run` raises the error then."""
        with self._one:
            self._error = self._error or error

    def check(self) -> None:
        """Called by the work now and then.

        Raises:
            CancelledError: it is to be given up.
        """
        if self._stopping.is_set():
            raise CancelledError("the service is told to end")

    def _lane(self) -> None:
        while (name := self._next()) is not None:
            try:
                self._work(name)
            except BaseException as error:
                self.let_nothing_begin(error)
                return

    def _next(self) -> str | None:
        with self._one:
            if self._error is not None or self._stopping.is_set() or not self._left:
                return None
            return self._left.pop()


def _wait_for(threads: Sequence[threading.Thread]) -> None:
    next(thread for thread in threads if thread.is_alive() or thread is threads[-1]).join(_TICK_S)
