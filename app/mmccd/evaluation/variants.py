"""Post-processing of a row: units, smoothing, erosion, small components, each on or off; and the
map that comes out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import UsageError
from mmccd.evaluation.scoring import Maps
from mmccd.evaluation.subjects import Bools, Subject
from mmccd.imaging import in_slice_sd
from mmccd.postprocessing import Postprocessing, erode_slices

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
        postprocessing: smoothing of the map, small components of the segmentation.
        erosion_pixels: rim of the brain in which nothing counts as anomalous; the truth there
            stays, as in the paper's public code.
    """

    name: str
    postprocessing: Postprocessing
    erosion_pixels: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            **self.postprocessing.as_dict(),
            "erosion_pixels": self.erosion_pixels,
        }


def read_variant(text: str, median_size: int) -> Variant:
    """``none``, or words joined by ``+``, with sizes where wanted (``median=5+erosion``):
    ``slice_sd``, ``median``, ``across``, ``erosion``, ``components``.

    Args:
        text: the words.
        median_size: edge of the median filter in pixels where none is named.

    Raises:
        UsageError: an unknown word or a size that does not exist.
    """
    sizes: dict[str, float] = {}
    words = [] if text == "none" else text.split("+")
    units = "slice_sd" if words.count("slice_sd") == 1 else "error"
    if units == "slice_sd":
        words.remove("slice_sd")
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
                f"--postprocessing {text}: cannot read {word!r}; expected none, or some of"
                f" slice_sd, {', '.join(defaults)} joined by +"
            )
        try:
            sizes[key] = float(value) if equals else defaults[key]
            if sizes[key] < 0 or (key in ("median", "erosion") and sizes[key] != int(sizes[key])):
                raise ValueError("expected whole pixels, mm for across, mL for components")
        except ValueError as error:
            raise UsageError(
                f"--postprocessing {text}: {word!r} has no usable size ({error})"
            ) from error
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
        inside = self.score > LOWEST
        return (
            self.variant.postprocessing.segment(
                self.score, inside, threshold, self.subject.voxel_ml
            )
            > 0
        )


def apply_variant(
    maps: Sequence[Maps], subjects: Sequence[Subject], variant: Variant, polarity: int
) -> list[Scored]:
    """Bring each map to its units, turn it round where dark counts (``polarity`` -1), smooth it,
    and take the brain's rim out.

    In ``slice_sd`` the signed error (or score) of every method is taken, not its absolute value:
    what is brighter than the rest of the slice.
    """
    scored = []
    for one, subject in zip(maps, subjects, strict=True):
        kept = erode_slices(subject.brain, variant.erosion_pixels)
        in_sd = variant.postprocessing.units == "slice_sd"
        turned = (
            in_slice_sd(polarity * one.signed, subject.brain) if in_sd else polarity * one.anomaly
        )
        smoothed = variant.postprocessing.smooth(turned, subject.brain, subject.spacing[0])
        score = np.where(kept, smoothed, LOWEST).astype(np.float32)
        scored.append(Scored(subject, score, variant))
    return scored
