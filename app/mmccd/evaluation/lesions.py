"""Lesion by lesion: which true lesions are found, and which marks are right.

A **lesion** is a connected component of the label (26-neighbourhood; within one slice, 8) that is
as large as a sphere of 3 mm diameter (14.1 mm^3; within one slice a disk, 7.1 mm^2); a component of
the label below that is a speck, and no lesion. A lesion is **found** where at least a tenth of its
voxels is marked, and at least one.

A **mark** is a component of the segmentation of that size. It is **right** where it shares a voxel
with a lesion, and **false** where it shares none with the label; one that touches specks alone is
neither, and not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.evaluation.metrics import as_masks

Bools = NDArray[np.bool_]
Labels = NDArray[np.int32]
MIN_DIAMETER_MM = 3.0
FOUND_PART = 10
"""A lesion is found where one voxel in so many of it is marked."""


@dataclass(frozen=True)
class LesionCounts:
    """Lesions and marks of one case, or of several.

    Attributes:
        lesions: true lesions.
        found: those of them that are found.
        marks: marks that are right or false.
        right: those of them that are right.
    """

    lesions: int
    found: int
    marks: int
    right: int

    @property
    def recall(self) -> float:
        """Share of the lesions that are found; NaN where there is none."""
        return self.found / self.lesions if self.lesions else math.nan

    @property
    def precision(self) -> float:
        """Share of the marks that are right; NaN where there is none."""
        return self.right / self.marks if self.marks else math.nan


@dataclass(frozen=True)
class Region:
    """A lesion or a mark.

    Attributes:
        mask: its voxels, ``(slices, rows, columns)``.
        voxels: how many they are.
        slice: position of the slice that has most of them.
    """

    mask: Bools
    voxels: int
    slice: int


@dataclass(frozen=True)
class LesionMatch:
    """The lesions and marks of one case: labels ``(slices, rows, columns)``, 0 elsewhere, and
    numbers of labels.

    Attributes:
        truth: components of the label.
        segmentation: components of the segmentation.
        found: lesions that are found.
        missed: lesions that are not.
        right: marks that are right.
        false: marks that are false.
    """

    truth: Labels
    segmentation: Labels
    found: NDArray[np.intp]
    missed: NDArray[np.intp]
    right: NDArray[np.intp]
    false: NDArray[np.intp]

    @property
    def counts(self) -> LesionCounts:
        """How many there are of each kind."""
        return LesionCounts(
            lesions=len(self.found) + len(self.missed),
            found=len(self.found),
            marks=len(self.right) + len(self.false),
            right=len(self.right),
        )

    def largest_missed(self) -> Region | None:
        """The largest lesion that is not found; None where all are."""
        return _largest(self.truth, self.missed)

    def largest_false(self) -> Region | None:
        """The largest mark that is false; None where none is."""
        return _largest(self.segmentation, self.false)


def match_lesions(
    truth: NDArray[Any], segmentation: NDArray[Any], spacing: Sequence[float]
) -> LesionMatch:
    """Compare lesion by lesion, by the rule of this module.

    Args:
        truth: 0/1 or bool, ``(slices, rows, columns)``; with one slice areas count, not volumes.
        segmentation: the same shape.
        spacing: distance of neighbouring voxels along slices, rows and columns in mm.
    """
    label, marked = as_masks(truth, segmentation)
    least = _least_voxels(spacing, len(label) == 1)
    lesions, lesion_sizes = _components(label)
    marks, mark_sizes = _components(marked)
    lesion_large, mark_large = lesion_sizes >= least, mark_sizes >= least

    inside = np.bincount(lesions[marked], minlength=len(lesion_sizes))
    is_found = (inside > 0) & (FOUND_PART * inside >= lesion_sizes)
    on_lesion = np.bincount(marks[lesion_large[lesions]], minlength=len(mark_sizes)) > 0
    on_label = np.bincount(marks[label], minlength=len(mark_sizes)) > 0
    return LesionMatch(
        truth=lesions,
        segmentation=marks,
        found=np.flatnonzero(lesion_large & is_found),
        missed=np.flatnonzero(lesion_large & ~is_found),
        right=np.flatnonzero(mark_large & on_lesion),
        false=np.flatnonzero(mark_large & ~on_label),
    )


def total(counts: Iterable[LesionCounts]) -> LesionCounts:
    """The counts of several cases together."""
    parts = list(counts)
    return LesionCounts(
        lesions=sum(one.lesions for one in parts),
        found=sum(one.found for one in parts),
        marks=sum(one.marks for one in parts),
        right=sum(one.right for one in parts),
    )


def _least_voxels(spacing: Sequence[float], is_slice: bool) -> int:
    """Voxels of the smallest lesion."""
    if is_slice:
        return math.ceil(math.pi / 4 * MIN_DIAMETER_MM**2 / math.prod(spacing[1:]))
    return math.ceil(math.pi / 6 * MIN_DIAMETER_MM**3 / math.prod(spacing))


def _components(mask: Bools) -> tuple[Labels, NDArray[np.intp]]:
    """Labels, and the voxels of each label; 0, what is not in the mask, counts as none."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels, sizes


def _largest(labels: Labels, numbers: NDArray[np.intp]) -> Region | None:
    if not len(numbers):
        return None
    sizes = np.bincount(labels.ravel())[numbers]
    mask = labels == numbers[int(sizes.argmax())]
    return Region(mask, int(sizes.max()), int(mask.sum(axis=(1, 2)).argmax()))
