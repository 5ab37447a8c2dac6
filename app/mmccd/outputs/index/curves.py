"""The visits of one patient as a curve: volume over time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mmccd.outputs.index.cases import IndexCase

WIDTH, HEIGHT = 340, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 12, 30
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_LABEL_LENGTH = 12


@dataclass(frozen=True)
class Point:
    """A visit in the picture, in its pixels."""

    x: float
    y: float
    label: str
    volume_ml: float
    report: str | None


@dataclass(frozen=True)
class Curve:
    """Volume over the visits of a patient.

    Attributes:
        patient: whose.
        points: in the order of time.
        top_ml: volume at the top of the picture, mL.
        by_date: whether distances are those of the dates; else the visits stand side by side.
        change_ml: from the first to the last, mL.
    """

    patient: str
    points: tuple[Point, ...]
    top_ml: float
    by_date: bool
    change_ml: float

    @property
    def line(self) -> str:
        """Of the polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @property
    def marked(self) -> list[Point]:
        """The points with room for a label: at most four, the first and last among them."""
        step = max(1, -(-(len(self.points) - 1) // 3))
        last = len(self.points) - 1
        chosen = {number for number in range(0, last, step) if last - number >= step / 2} | {last}
        return [self.points[number] for number in sorted(chosen)]


def curves(cases: Sequence[IndexCase]) -> list[Curve]:
    """A curve for each patient with results of several visits, the largest change first."""
    by_patient: dict[str, list[IndexCase]] = {}
    for case in cases:
        if case.patient is not None and case.is_judged:
            by_patient.setdefault(case.patient, []).append(case)
    found = [
        _curve(patient, sorted(group, key=lambda one: _natural(one.visit + " " + one.name)))
        for patient, group in by_patient.items()
        if len({one.visit for one in group}) > 1
    ]
    return sorted(found, key=lambda one: (-abs(one.change_ml), one.patient))


def _curve(patient: str, group: Sequence[IndexCase]) -> Curve:
    days = [_day(one.visit) for one in group]
    by_date = None not in days and len(set(days)) > 1
    visits = list(dict.fromkeys(one.visit for one in group))
    places = [
        float(day or 0) if by_date else visits.index(one.visit)
        for one, day in zip(group, days, strict=True)
    ]
    order = sorted(range(len(group)), key=lambda number: places[number])
    group, places = [group[n] for n in order], [places[n] for n in order]
    volumes = [one.volume_ml or 0.0 for one in group]
    top = _round_up(max(volumes))
    span = places[-1] - places[0]
    points = tuple(
        Point(
            _LEFT + (WIDTH - _LEFT - _RIGHT) * (place - places[0]) / span,
            HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * volume / top,
            (one.visit or one.name)[:_LABEL_LENGTH],
            volume,
            one.report,
        )
        for one, place, volume in zip(group, places, volumes, strict=True)
    )
    return Curve(patient, points, top, by_date, round(volumes[-1] - volumes[0], 3))


def _day(visit: str) -> int | None:
    found = _DATE.search(visit)
    try:
        return date(*map(int, found.groups())).toordinal() if found else None
    except ValueError:
        return None


def _natural(text: str) -> list[tuple[int, str]]:
    """``ses-10`` behind ``ses-9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _round_up(volume: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... mL."""
    steps = (step * 10.0**power for power in range(-1, 5) for step in (1, 2, 5))
    return next((step for step in steps if step >= volume), volume)
