"""A labelled case on the model grid, and which of its slices a protocol looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmccd.data import Case, SliceRule, load_case
from mmccd.imaging import Normalisation
from mmccd.methods import Slices

Bools = NDArray[np.bool_]
DISPLAY = Normalisation("range", 2.0, 98.0)
"""Normalisation of the images in figures."""


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
    slices = load_case(case, {source: DISPLAY})
    pixels = slices.brain.flatten(1).sum(1).tolist()
    wanted = rule.select(pixels)
    area = slices.lesion_area.numpy()
    if not wanted or (lesion_needed and area[wanted].max() <= 0):
        return None
    largest = max(wanted, key=lambda index: float(area[index]))
    if largest_only:
        wanted = [largest]
    slice_mm, grid = slices.transform.spacing[2], slices.transform.grid
    away = reach(slice_mm)
    brain = np.flatnonzero(pixels)
    near = [
        index
        for index in range(int(brain[0]), int(brain[-1]) + 1)
        if min(abs(index - own) for own in wanted) <= away
    ]
    context = Subject(
        case=case,
        split=split,
        slices=tuple(near),
        image=slices.images[source][near, 0].numpy(),
        brain=slices.brain[near, 0].numpy(),
        lesion=slices.lesion[near, 0].numpy(),
        healthy=~slices.has_lesion[near].numpy(),
        picture=near.index(largest),
        spacing=(slice_mm, grid.spacing, grid.spacing),
    )
    return context.take(wanted), context


def with_image(subject: Subject, modality: str) -> NDArray[np.float32] | None:
    """Another modality's slice of the figure, ``(size, size)``; None where the case does not have
    it.

    The brain is found in that modality, too; both lie on one grid within a pixel.
    """
    if modality not in subject.case.images:
        return None
    images = load_case(subject.case, {modality: DISPLAY}).images[modality]
    return np.asarray(images[subject.slices[subject.picture], 0])


def normalised_slices(case: Case, source: str, normalisation: Normalisation) -> Slices:
    """What a scorer sees of a case: all its slices."""
    found = load_case(replace(case, label=None), {source: normalisation})
    return Slices(found.images[source], found.brain, found.transform.spacing[2])
