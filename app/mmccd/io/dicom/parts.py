"""Series that are parts of one stack of slices, which an export has split: every other slice, or
half by half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mmccd.io.dicom.checks import Refusal, even_steps, orientation_of
from mmccd.io.dicom.contrast import agent, contrast
from mmccd.io.dicom.scan import Series

_SAME_DIRECTION = 1e-3
_SIDEWAYS_MM = 0.1


def part_refusals(series: Sequence[Series]) -> dict[str, Refusal]:
    """By UID, why series cannot be used: only together their slices are one evenly spaced stack.

    Args:
        series: those that may be FLAIR, one visit's, with or without gaps.
    """
    groups: dict[tuple[object, ...], list[Series]] = {}
    for one in series:
        if one.frames and all(_has_place(one)):
            groups.setdefault(_grid(one), []).append(one)
    return {
        one.uid: _refusal(one, [other for other in parts if other is not one])
        for group in groups.values()
        for parts in _stacks(group)
        for one in parts
    }


def _stacks(group: list[Series]) -> Iterator[list[Series]]:
    """All of a group, or pairs of them, that are one stack."""
    if len(group) > 1 and _is_one_stack(group):
        yield group
        return
    yield from (list(pair) for pair in combinations(group, 2) if _is_one_stack(list(pair)))


def _refusal(one: Series, others: list[Series]) -> Refusal:
    names = " and ".join(other.label for other in others)
    return Refusal(
        "dicom.split_series",
        f"{len(one.frames)} slices that form one stack together with the"
        f" {sum(len(other.frames) for other in others)} of {names}, expected all in one series",
    )


def _has_place(series: Series) -> list[bool]:
    return [
        value is not None
        for frame in series.frames
        for value in (frame.position, frame.orientation, frame.spacing)
    ]


def _grid(series: Series) -> tuple[object, ...]:
    """What parts of one stack have in common."""
    first, frame = series.first, series.frames[0]
    rounded = [
        tuple(round(float(value), 2) for value in values)
        for values in (frame.orientation, frame.spacing)
        if values is not None
    ]
    return (contrast(series).kind, agent(series) > 0, first.rows, first.columns, *rounded)


def _is_one_stack(group: list[Series]) -> bool:
    frames = [frame for one in group for frame in one.frames]
    rows, columns = orientation_of(frames)
    normal = np.cross(rows, columns)
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    along = positions @ normal
    positions = positions[np.argsort(along)]
    return even_steps(np.diff(np.sort(along))) and _is_straight(positions, normal)


def _is_straight(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> bool:
    offsets = positions - positions[0]
    sideways = np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1)
    return bool(sideways.max() <= _SIDEWAYS_MM + _SAME_DIRECTION * np.ptp(positions @ normal))
