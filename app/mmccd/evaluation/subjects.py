"""A labelled case on the model grid, and which of its slices a protocol looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Volume
from mmccd.data import Case, CaseSlices, SliceRule, find_case_brain, load_case
from mmccd.imaging import Normalisation
from mmccd.methods import Slices

Bools = NDArray[np.bool_]
DISPLAY = Normalisation("range", 2.0, 98.0)
"""Normalisation of the images in figures."""


class KnownBrains:
    """The masks of the last cases, packed, as long as their files stay as they are: an evaluation
    reads each case once for every method, and finding the brain takes longer than reading.
    """

    def __init__(self, most: int = 256) -> None:
        self._masks: dict[tuple[object, ...], NDArray[np.uint8]] = {}
        self._most = most

    def of(self, case: Case, volume: Volume) -> Bools:
        """The brain of an image of a case."""
        files = (case.images[volume.modality], case.brain)
        key = tuple(_state(path) for path in files if path)
        packed = self._masks.pop(key, None)
        if packed is None:
            packed = np.packbits(find_case_brain(case, volume).mask)
        self._masks[key] = packed
        if len(self._masks) > self._most:
            del self._masks[next(iter(self._masks))]
        return np.unpackbits(packed, count=volume.data.size).reshape(volume.shape).astype(bool)


def _state(path: Path) -> tuple[str, int, int]:
    about = path.stat()
    return str(path.resolve()), about.st_size, about.st_mtime_ns


_BRAINS = KnownBrains()


@dataclass(frozen=True)
class Subject:
    """The chosen slices of a case: arrays ``(slices, size, size)``.

    Attributes:
        case: its files.
        split: ``"val"`` or ``"test"``.
        slices: index of each slice in the volume, from inferior to superior.
        image: the source for figures, about 0 to 1 within the brain.
        brain: brain mask.
        lesion: lesion mask within the brain.
        healthy: which slices have no labelled voxel at all, ``(slices,)``.
        picture: position (in ``slices``) of the slice that figures show: the one with the largest
            lesion.
        spacing: distance of neighbouring voxels along slices, rows and columns in mm.
    """

    case: Case
    split: str
    slices: tuple[int, ...]
    image: NDArray[np.float32]
    brain: Bools
    lesion: Bools
    healthy: Bools
    picture: int
    spacing: tuple[float, float, float]

    @property
    def name(self) -> str:
        """The case's name."""
        return self.case.name

    @property
    def voxel_ml(self) -> float:
        """Volume of a model voxel in mL."""
        return float(np.prod(self.spacing)) / 1000.0

    def rows(self, wanted: Sequence[int]) -> list[int]:
        """Where slices of the volume stand in the arrays."""
        return [self.slices.index(number) for number in wanted]

    def take(self, wanted: Sequence[int]) -> Subject:
        """Only these slices of the volume, that of the figures among them."""
        if tuple(wanted) == self.slices:
            return self
        rows = self.rows(wanted)
        arrays = {
            name: getattr(self, name)[rows] for name in ("image", "brain", "lesion", "healthy")
        }
        return replace(self, slices=tuple(wanted), picture=rows.index(self.picture), **arrays)


def load_subject(
    case: Case,
    split: str,
    source: str,
    rule: SliceRule,
    largest_only: bool = False,
    lesion_needed: bool = False,
) -> Subject | None:
    """Read a case and choose its slices, without their neighbours; see
    :func:`load_with_neighbours`.
    """
    found = load_with_neighbours(case, split, source, rule, largest_only, lesion_needed)
    return found[0] if found else None


def load_with_neighbours(
    case: Case,
    split: str,
    source: str,
    rule: SliceRule,
    largest_only: bool = False,
    lesion_needed: bool = False,
    reach: Callable[[float], int] = lambda slice_mm: 0,
) -> tuple[Subject, Subject] | None:
    """Read a case once and choose its slices, and those around them within the brain, for smoothing
    across slices.

    Args:
        case: its files.
        split: ``"val"`` or ``"test"``.
        source: modality that is scored.
        rule: which slices.
        largest_only: of those, only the slice with the largest lesion; the first one where none of
            them has any.
        lesion_needed: whether a case whose slices have no lesion is left out.
        reach: distance of neighbouring slices in mm to how many slices away a neighbour may be.

    Returns:
        The chosen slices, and the same with their neighbours (one object where there are none);
        None where no slice is left.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.data.slices.load_case`.
    """
    slices = load_case(case, {source: DISPLAY}, _BRAINS.of)
    pixels = slices.brain.flatten(1).sum(1).tolist()
    wanted = rule.select(pixels)
    area = slices.lesion_area.numpy()
    if not wanted or (lesion_needed and area[wanted].max() <= 0):
        return None
    largest = max(wanted, key=lambda index: float(area[index]))
    if largest_only:
        wanted = [largest]
    slice_mm = slices.transform.spacing[2]
    near = _within_reach(pixels, wanted, reach(slice_mm))
    context = _take(case, split, slices, source, near, near.index(largest))
    return context.take(wanted), context


def _within_reach(pixels: list[int], wanted: list[int], away: int) -> list[int]:
    """Slices from the first to the last with brain, at most so many from a wanted one."""
    brain = np.flatnonzero(pixels)
    return [
        index
        for index in range(int(brain[0]), int(brain[-1]) + 1)
        if min(abs(index - own) for own in wanted) <= away
    ]


def _take(
    case: Case, split: str, slices: CaseSlices, source: str, rows: list[int], picture: int
) -> Subject:
    spacing, grid = slices.transform.spacing[2], slices.transform.grid.spacing
    return Subject(
        case=case,
        split=split,
        slices=tuple(rows),
        image=slices.images[source][rows, 0].numpy(),
        brain=slices.brain[rows, 0].numpy(),
        lesion=slices.lesion[rows, 0].numpy(),
        healthy=~slices.has_lesion[rows].numpy(),
        picture=picture,
        spacing=(spacing, grid, grid),
    )


def with_image(subject: Subject, modality: str) -> NDArray[np.float32] | None:
    """Another modality's slice of the figure, ``(size, size)``; None where the case does not have
    it.

    The brain is found in that modality, too; both lie on one grid within a pixel.
    """
    if modality not in subject.case.images:
        return None
    images = load_case(subject.case, {modality: DISPLAY}, _BRAINS.of).images[modality]
    return np.asarray(images[subject.slices[subject.picture], 0])


def normalised_slices(case: Case, source: str, normalisation: Normalisation) -> Slices:
    """What a scorer sees of a case: all its slices."""
    found = load_case(replace(case, label=None), {source: normalisation}, _BRAINS.of)
    return Slices(found.images[source], found.brain, found.transform.spacing[2])
