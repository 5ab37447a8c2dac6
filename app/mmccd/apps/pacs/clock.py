"""The time of day, for what outlives the service; in texts that sort by time."""

from __future__ import annotations

import time

FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_MOST_WAIT_S = 86_400.0


def seconds() -> float:
    """Seconds since 1970."""
    return time.time()


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return _text(seconds())


def later(wait_s: float) -> str:
    """The time so many seconds from now, at most a day."""
    return _text(seconds() + min(wait_s, _MOST_WAIT_S))


def _text(moment: float) -> str:
    return time.strftime(FORMAT, time.gmtime(moment))
