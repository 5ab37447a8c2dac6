"""Which cases of a cohort stand out, and by what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmccd.outputs.index.cases import IndexCase

LEAST_CASES = 5
"""Of fewer cases no median says what is usual."""
_TO_SD = 1.4826
_MEAN_TO_SD = 1.2533
BOTH, HIGH, LOW = 0, 1, -1


@dataclass(frozen=True)
class Figure:
    """A figure by which a case may stand out.

    Attributes:
        title: for people.
        value: of a case; None where it is not known.
        side: whether only high values are unusual, only low ones, or both.
    """

    title: str
    value: Callable[[IndexCase], float | None]
    side: int = BOTH


def _quality(name: str) -> Callable[[IndexCase], float | None]:
    return lambda case: case.quality.get(name)


FIGURES = (
    # Volumes spread over powers of ten.
    Figure("volume", lambda one: None if one.volume_ml is None else math.log10(1 + one.volume_ml)),
    Figure("OOD score", _quality("ood_score"), HIGH),
    Figure("unevenness", _quality("unevenness"), HIGH),
    Figure("jump", _quality("jump"), HIGH),
    Figure("detail", _quality("detail")),
    Figure("correlation", _quality("correlation"), LOW),
    Figure("FLAIR", _quality("flair_probability"), LOW),
)


@dataclass(frozen=True)
class StandsOut:
    """How far a case is from the median of the cohort.

    Attributes:
        by: title of the figure that is furthest; empty where none is known.
        deviation: of it, in robust standard deviations (1.4826 times the median of the absolute
            deviations), with its sign.
    """

    by: str = ""
    deviation: float = 0.0


def stand_out(cases: Sequence[IndexCase]) -> list[StandsOut]:
    """By which figure each case stands out most; all alike where there are too few cases."""
    deviations = {
        figure.title: _deviations([figure.value(one) for one in cases], figure.side)
        for figure in FIGURES
    }
    found = []
    for number in range(len(cases)):
        here = {title: values[number] for title, values in deviations.items()}
        by = max(here, key=lambda title: abs(here[title]))
        found.append(StandsOut(by, here[by]) if here[by] else StandsOut())
    return found


def outliers_first(cases: Sequence[IndexCase]) -> list[tuple[IndexCase, StandsOut]]:
    """Cases without a result first, then by how far they stand out, then by volume and name."""
    return sorted(
        zip(cases, stand_out(cases), strict=True),
        key=lambda pair: (
            pair[0].is_judged,
            -abs(pair[1].deviation),
            -(pair[0].volume_ml or 0.0),
            pair[0].name,
        ),
    )


def _deviations(values: Sequence[float | None], side: int) -> list[float]:
    known = np.array([value for value in values if value is not None])
    if len(known) < LEAST_CASES:
        return [0.0] * len(values)
    median = float(np.median(known))
    away = np.abs(known - median)
    spread = _TO_SD * float(np.median(away)) or _MEAN_TO_SD * float(away.mean())
    if not spread:
        return [0.0] * len(values)
    found = [0.0 if value is None else (value - median) / spread for value in values]
    return [one if side in (BOTH, math.copysign(1, one)) else 0.0 for one in found]
