"""Post-processing of a row: the preset's, or units, smoothing, erosion and small components, each
on or off; and the map that comes out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import ScoreMaps, UsageError
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.scoring import StoredMaps
from mmccd.evaluation.subjects import Bools, Subject
from mmccd.methods import Method
from mmccd.postprocessing import ERROR, ROBUST_Z, Postprocessing, make_map, segment

PRESET = "preset"
"""The word for the preset's own post-processing."""

LOWEST = float(np.finfo(np.float32).min)
"""Score of brain that an eroded mask leaves out: never anomalous, whatever the threshold."""
EROSION_PIXELS = 4
MIN_COMPONENT_ML = 1.0
ACROSS_MM = 3.0


@dataclass(frozen=True)
class Variant:
    """One combination of post-processing.

    Attributes:
        name: as it was asked for.
        postprocessing: units and smoothing of the map, small components of the segmentation.
        erosion_pixels: rim of the brain in which nothing counts as anomalous; the truth there
            stays, as in the paper's public code.
        is_preset: the preset's own, so that the map is the one that ``mmccd predict`` writes.
    """

    name: str
    postprocessing: Postprocessing
    erosion_pixels: int = 0
    is_preset: bool = False

    def of(self, method: Method) -> Variant:
        """What is done to a method's score: a preset's post-processing adds nothing to a score that
        is final.
        """
        if self.is_preset and method.is_final:
            return replace(self, postprocessing=Postprocessing())
        return self

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            **self.postprocessing.as_dict(),
            "erosion_pixels": self.erosion_pixels,
        }


def read_variant(text: str, preset: Postprocessing) -> Variant:
    """``preset``, ``none``, or words joined by ``+``, with sizes where wanted
    (``median=5+erosion``): ``slice_sd``, ``median``, ``across``, ``erosion``, ``components``.

    Args:
        text: the words.
        preset: post-processing of the preset; edge of the median filter (3 pixels at the least)
            where none is named.

    Raises:
        UsageError: an unknown word or a size that does not exist.
    """
    if text == PRESET:
        return Variant(text, preset, is_preset=True)
    words = [] if text == "none" else text.split("+")
    units = ROBUST_Z if words.count(ROBUST_Z) == 1 else ERROR
    if units == ROBUST_Z:
        words.remove(ROBUST_Z)
    sizes = _read_sizes(text, words, max(preset.median_size, 3))
    try:
        postprocessing = Postprocessing(
            int(sizes.get("median", 1)),
            sizes.get("components", 0.0),
            units,
            sizes.get("across", 0.0),
        )
    except ValueError as error:
        raise UsageError(f"--postprocessing {text}: {error}") from error
    return Variant(text, postprocessing, int(sizes.get("erosion", 0)))


def _read_sizes(text: str, words: Sequence[str], median_size: int) -> dict[str, float]:
    """Size of each word that has one."""
    sizes: dict[str, float] = {}
    defaults = {
        "median": float(median_size),
        "across": ACROSS_MM,
        "erosion": float(EROSION_PIXELS),
        "components": MIN_COMPONENT_ML,
    }
    for word in words:
        key, equals, value = word.partition("=")
        if key not in defaults or key in sizes:
            raise UsageError(
                f"--postprocessing {text}: cannot read {word!r}; expected {PRESET}, none, or some"
                f" of {ROBUST_Z}, {', '.join(defaults)} joined by +"
            )
        try:
            sizes[key] = float(value) if equals else defaults[key]
            if sizes[key] < 0 or (key in ("median", "erosion") and sizes[key] != int(sizes[key])):
                raise ValueError("expected whole pixels, mm for across, mL for components")
        except ValueError as error:
            raise UsageError(
                f"--postprocessing {text}: {word!r} has no usable size ({error})"
            ) from error
    return sizes


@dataclass(frozen=True)
class Scored:
    """A subject with its final scores: arrays ``(slices, size, size)``.

    Attributes:
        subject: truth and names.
        score: larger = more anomalous; :data:`LOWEST` outside the (eroded) brain.
        variant: how the score was made, and what happens behind a threshold.
    """

    subject: Subject
    score: NDArray[np.float32]
    variant: Variant

    @property
    def values(self) -> NDArray[np.float32]:
        """Scores of the brain's voxels, 1-D."""
        return self.score[self.subject.brain]

    @property
    def truth(self) -> Bools:
        """Lesion of the brain's voxels, 1-D."""
        return self.subject.lesion[self.subject.brain]

    def take(self, subject: Subject) -> Scored:
        """Only the slices of ``subject``, which is the same case with fewer slices."""
        return Scored(subject, self.score[self.subject.rows(subject.slices)], self.variant)

    def segment(self, threshold: float) -> Bools:
        """Segmentation at a threshold, without small components."""
        inside, settings = self.score > LOWEST, self.variant.postprocessing
        return segment(self.score, inside, threshold, self.subject.voxel_ml, settings) > 0


def apply_variant(
    maps: StoredMaps, subject: Subject, variant: Variant, candidate: Candidate, polarity: int
) -> Scored:
    """The final scores of a subject: the map that ``predict`` would bring to the native grid,
    turned round where dark counts (``polarity`` -1), without the brain's rim where it is eroded.
    """
    made = make_map(
        maps.scores if polarity > 0 else _turned(maps.scores),
        subject.brain,
        subject.spacing[0],
        variant.postprocessing,
        candidate.sides,
    )
    kept = erode_slices(subject.brain, variant.erosion_pixels)
    score = np.where(kept, made.smoothed, LOWEST).astype(np.float32)
    return Scored(subject, score, variant)


def _turned(scores: ScoreMaps) -> ScoreMaps:
    return replace(scores, anomaly=-scores.anomaly, signed=-scores.signed)


def erode_slices(brain: Bools, pixels: int) -> Bools:
    """The brain of each slice without its rim, by a disk.

    Args:
        brain: ``(slices, size, size)``.
        pixels: radius of the disk; 0 leaves the brain as it is (the paper's public code: 4 pixels
            of 1.875 mm).
    """
    if pixels == 0:
        return brain
    rows, columns = np.ogrid[-pixels : pixels + 1, -pixels : pixels + 1]
    disk = rows**2 + columns**2 <= pixels**2
    return np.asarray(ndimage.binary_erosion(brain, structure=disk[None]))
