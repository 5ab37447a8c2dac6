"""Which anomalies a batch gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption.bands import paint_bands
from mmccd.training.corruption.foreign import paint_foreign
from mmccd.training.corruption.labels import visible_change
from mmccd.training.corruption.masses import paint_masses
from mmccd.training.corruption.small import paint_small_lesions

Painter = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Family:
    """One family of anomalies.

    Attributes:
        name: of the family.
        paint: paints it on every slice it is given; returns the slices and where they changed.
        share: of the slices that get it.
    """

    name: str
    paint: Painter
    share: float


FAMILIES = (
    Family("large masses", partial(paint_masses, radius=(7.0, 30.0)), 0.32),
    Family("small masses", partial(paint_masses, radius=(2.0, 12.0)), 0.22),
    Family("small lesions", paint_small_lesions, 0.35),
    Family("foreign patches", paint_foreign, 0.1),
)
"""What f is trained against: about a quarter of the slices stay as they are."""
DECISION_FAMILIES = (
    Family("large masses", partial(paint_masses, radius=(7.0, 30.0)), 0.28),
    Family("small masses", partial(paint_masses, radius=(2.0, 12.0)), 0.2),
    Family("small lesions", paint_small_lesions, 0.3),
    Family("bands", paint_bands, 0.35),
    Family("foreign patches", paint_foreign, 0.06),
)
"""What d is trained to mark: with bands along the ventricles, which are hard to tell from what is
healthy there (a slice without ventricles gets none). A quarter of the slices stay as they are.
"""


def corrupt(
    image: Tensor, brain: Tensor, draws: Draws, families: Sequence[Family] = FAMILIES
) -> tuple[Tensor, Tensor]:
    """Paint each family on its share of a batch, one over the other.

    Args:
        image: normalised healthy slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.
        families: what to paint.

    Returns:
        The changed slices, and a soft label in [0, 1): how visible the change is, within its
        outline; 0 where nothing was painted.
    """
    image, label = image.clone(), torch.zeros_like(image)
    for family in families:
        rows = draws.some(len(image), family.share)
        if not len(rows):
            continue
        before, inside_brain = image[rows], brain[rows]
        after, changed = family.paint(before, inside_brain, draws)
        after = torch.where(inside_brain, after, before)
        visible = visible_change(before, after) * (changed > 0.3)
        image[rows] = after
        label[rows] = torch.maximum(label[rows], visible)
    return image, label * brain
