"""Synthetic anomalies, scanner effects and mask slips, painted on batches of slices.

One family a module, each with its source. All of it is seeded (:class:`Draws`), vectorised over the
batch, and runs where the slices are. Intensities are those of the ``paper`` normalisation: healthy
FLAIR tissue lies within about -2 to 2, fluid below -2, and what is brighter than 3 is rare.
"""

from mmccd.training.corruption.bands import paint_bands
from mmccd.training.corruption.foreign import paint_foreign
from mmccd.training.corruption.healthy import vary
from mmccd.training.corruption.labels import visible_change
from mmccd.training.corruption.masses import paint_masses
from mmccd.training.corruption.mixture import (
    DECISION_FAMILIES,
    FAMILIES,
    Family,
    corrupt,
)
from mmccd.training.corruption.normalise import (
    FLAIR_PERCENTILES,
    OTHER_PERCENTILES,
    normalise_slices,
)
from mmccd.training.corruption.scanner import jitter, scan
from mmccd.training.corruption.slips import slip
from mmccd.training.corruption.small import paint_small_lesions

__all__ = [
    "DECISION_FAMILIES",
    "FAMILIES",
    "FLAIR_PERCENTILES",
    "OTHER_PERCENTILES",
    "Family",
    "corrupt",
    "jitter",
    "normalise_slices",
    "paint_bands",
    "paint_foreign",
    "paint_masses",
    "paint_small_lesions",
    "scan",
    "slip",
    "vary",
    "visible_change",
]
