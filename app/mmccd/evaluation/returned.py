"""What a method's reconstructed image x' has of the image x, over the reported cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.evaluation.bootstrap import Floats, interval, mean_of_mixtures
from mmccd.evaluation.scoring import StoredMaps
from mmccd.evaluation.subjects import Subject
from mmccd.quality import ReturnedStatistics, measure_returned


@dataclass(frozen=True)
class ReturnedFigure:
    """One figure over the cases that have it.

    Attributes:
        mean: over those cases; NaN where none has it.
        interval: 95 % interval over patients; empty where there is none.
        cases: how many have it.
    """

    mean: float
    interval: list[float]
    cases: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "mean": self.mean if math.isfinite(self.mean) else None,
            "interval_95": self.interval,
            "cases": self.cases,
        }


@dataclass(frozen=True)
class ReturnedImages:
    """The reconstructed images of one method.

    Attributes:
        figures: by the names of :class:`~mmccd.quality.ReturnedStatistics`.
        cases: the same of each case, by the case's name; NaN where it has none.
    """

    figures: dict[str, ReturnedFigure]
    cases: dict[str, dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, as a model card may hold them."""
        return {name: figure.as_dict() for name, figure in self.figures.items()}


def returned_images(
    subjects: Sequence[Subject],
    maps: Mapping[str, StoredMaps],
    weights: Floats,
    image_of: Callable[[Subject], NDArray[np.float32]],
) -> ReturnedImages | None:
    """Measure x' against x on the reported slices of each case, within the brain.

    Args:
        subjects: the reported cases with their slices.
        maps: of the method, by the cases' names.
        weights: resamples of patients, ``(draws, cases)``.
        image_of: x of a case's slices as the method saw it, ``(slices, size, size)``; asked only
            where there is an x'. The signed error does not tell it: its level may be taken out.

    Returns:
        None for a method that reconstructs nothing.
    """
    found = [_measure(subject, maps[subject.name], image_of) for subject in subjects]
    if not any(found):
        return None
    cases = [_figures(one) for one in found]
    figures = {}
    for name in cases[0]:
        values = np.array([case[name] for case in cases])
        there = values[np.isfinite(values)]
        mean = float(there.mean()) if there.size else math.nan
        limits = interval(mean_of_mixtures(values, weights))
        figures[name] = ReturnedFigure(mean, limits, there.size)
    names = [subject.name for subject in subjects]
    return ReturnedImages(figures, dict(zip(names, cases, strict=True)))


def _measure(
    subject: Subject, maps: StoredMaps, image_of: Callable[[Subject], NDArray[np.float32]]
) -> ReturnedStatistics | None:
    returned = maps.take(subject.slices).scores.reconstructed[:, 0].numpy()
    if np.isnan(returned).all():
        return None
    return measure_returned(image_of(subject), returned, subject.brain, subject.lesion)


def _figures(found: ReturnedStatistics | None) -> dict[str, float]:
    content = asdict(found) if found else {}
    names = (field.name for field in fields(ReturnedStatistics))
    return {name: math.nan if content.get(name) is None else content[name] for name in names}
