"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Mapping

PHASES = {
    "start": "start the program",
    "read": "read the image",
    "load": "load PyTorch and the weights",
    "brain": "find the brain",
    "check": "check the image",
    "cycle": "score the slices",
    "segmentation": "threshold and measure",
    "write": "write the results",
}
"""The phases of a prediction in their order, by the names that reports and benchmarks give them."""
_SCORING = "cycle"


class PhaseClock:
    """Seconds of phases that follow each other.

    Attributes:
        seconds: of each phase that is over.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """A phase is over, and the next one begins."""
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def skip(self, seconds: Mapping[str, float]) -> None:
        """Phases are over whose seconds somebody else has counted."""
        self.seconds.update(seconds)
        self._last = time.monotonic()


def phase_table(seconds: Mapping[str, float]) -> str:
    """Seconds and share of each phase, their sum, and what passes before the first pass of a
    network that scores; for people.

    Args:
        seconds: by the names of :data:`PHASES`; others are left out.
    """
    known = {name: seconds[name] for name in PHASES if name in seconds}
    total = sum(known.values())
    rows = [(PHASES[name], f"{value:.2f}", _share(value, total)) for name, value in known.items()]
    rows.append(("together", f"{total:.2f}", ""))
    if _SCORING in known:
        names = list(known)
        before = sum(known[name] for name in names[: names.index(_SCORING)])
        rows.append(("of that before scoring", f"{before:.2f}", _share(before, total)))
    width = max(len(title) for title, _, _ in rows)
    lines = [f"{title:<{width}}  {value:>8}  {share:>5}" for title, value, share in rows]
    return "\n".join(line.rstrip() for line in [f"{'':<{width}}  {'seconds':>8}  share", *lines])


def _share(value: float, total: float) -> str:
    return f"{value / total:.0%}" if total > 0 else ""
