"""Ctrl-C goes to all processes of a terminal at once. Ours alone heeds it, and ends its workers: a
worker that heeded it, too, would print its own end.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MASKS = hasattr(signal, "pthread_sigmask")  # not on Windows


@contextmanager
def out_of_reach() -> Iterator[None]:
    """Ctrl-C does not reach threads that begin in the block, nor what they start; to this thread it
    comes behind the block.
    """
    if not _MASKS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def dask_setup(worker: Any) -> None:
    """In a worker of Dask that begins: take no notice of Ctrl-C. What it starts does: a program of
    others that is at work ends by it at once.
    """
    signal.signal(signal.SIGINT, lambda number, frame: None)
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
