"""A labelled case on the model grid, and which of its slices a protocol looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mmccd.data.cases import Case
from mmccd.data.slices import SliceRule, load_case
from mmccd.preprocessing import Normalisation

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
        picture: position (in ``slices``) of the slice that figures show: the one with the largest lesion.
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


def load_subject(
    case: Case, split: str, source: str, rule: SliceRule, largest_only: bool = False, lesion_needed: bool = False
) -> Subject | None:
    """Read a case and choose its slices.

    Args:
        case: its files.
        split: ``"val"`` or ``"test"``.
        source: modality that is scored.
        rule: which slices.
        largest_only: of those, only the slice with the largest lesion; the first one where none of them has any.
        lesion_needed: whether a case whose slices have no lesion is left out.

    Returns:
        None where no slice is left.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.data.slices.load_case`.
    """
    slices = load_case(case, {source: DISPLAY})
    wanted = rule.select(slices.brain.flatten(1).sum(1).tolist())
    area = slices.lesion_area.numpy()
    if not wanted or (lesion_needed and area[wanted].max() <= 0):
        return None
    largest = max(wanted, key=lambda index: float(area[index]))
    if largest_only:
        wanted = [largest]
    grid = slices.transform.grid
    return Subject(
        case=case,
        split=split,
        slices=tuple(wanted),
        image=slices.images[source][wanted, 0].numpy(),
        brain=slices.brain[wanted, 0].numpy(),
        lesion=slices.lesion[wanted, 0].numpy(),
        healthy=~slices.has_lesion[wanted].numpy(),
        picture=wanted.index(largest),
        spacing=(slices.transform.spacing[2], grid.spacing, grid.spacing),
    )


def with_neighbours(subject: Subject, source: str, reach: int) -> Subject:
    """The same case with the slices around those of a subject, as far as they hold brain, for smoothing across slices.

    Args:
        subject: the chosen slices.
        source: modality that is scored.
        reach: how many slices away a neighbour may be.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.data.slices.load_case`.
    """
    if not reach:
        return subject
    whole = load_subject(subject.case, subject.split, source, SliceRule())
    assert whole is not None  # it holds the slices of the subject
    near = [row for row, number in enumerate(whole.slices) if min(abs(number - own) for own in subject.slices) <= reach]
    arrays = {name: getattr(whole, name)[near] for name in ("image", "brain", "lesion", "healthy")}
    slices = tuple(whole.slices[row] for row in near)
    return replace(whole, slices=slices, picture=slices.index(subject.slices[subject.picture]), **arrays)


def with_image(subject: Subject, modality: str) -> NDArray[np.float32] | None:
    """Another modality's slice of the figure, ``(size, size)``; None where the case does not have it.

    The brain is found in that modality, too; both lie on one grid within a pixel.
    """
    if modality not in subject.case.images:
        return None
    images = load_case(subject.case, {modality: DISPLAY}).images[modality]
    return np.asarray(images[subject.slices[subject.picture], 0])


def normalised_volume(case: Case, source: str, normalisation: Normalisation) -> tuple[torch.Tensor, torch.Tensor]:
    """What a scorer sees of a case: all slices ``(slices, 1, size, size)`` as float32, and the brain as bool."""
    slices = load_case(replace(case, label=None), {source: normalisation})
    return slices.images[source], slices.brain
