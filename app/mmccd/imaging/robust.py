"""The robust z-score: values in standard deviations of their own slice's healthy tissue."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MIN_SLICE_PIXELS = 75
"""A slice with fewer brain pixels has no spread of its own: that of the whole volume is taken."""


class Sides(NamedTuple):
    """Which differences x - x' count.

    Attributes:
        sign: ``"both"``, or only where the input is ``"brighter"`` or ``"darker"`` than the
            reconstructed image.
        other_side: weight, 0 to 1, of the side that ``sign`` does not name; without meaning for
            ``"both"``.
    """

    sign: str = "brighter"
    other_side: float = 0.0

    @property
    def weights(self) -> tuple[float, float]:
        """How much the bright side and the dark side count."""
        other = self.other_side
        return {"brighter": (1.0, other), "darker": (other, 1.0), "both": (1.0, 1.0)}[self.sign]


ONE_SIDED = Sides()


def robust_z(values: Floats, brain: NDArray[np.bool_]) -> Floats:
    """(v - median) / (median - 16 % quantile) within the brain of each slice, 0 outside.

    For a normal distribution the denominator is its standard deviation. Both come from the lower
    half of the values, which a bright lesion does not reach as long as it fills less than half of
    the slice: the scale is that of the slice's healthy tissue (cf. the double MAD of Leys et al.
    2013).

    Args:
        values: ``(slices, size, size)``.
        brain: likewise; a slice with fewer than 75 brain pixels takes the numbers of the whole
            volume.
    """
    scaled = np.zeros_like(values, dtype=np.float32)
    if not brain.any():
        return scaled
    whole = _centre_and_spread(values[brain])
    for layer, value, inside in zip(scaled, values, brain, strict=True):
        own = _centre_and_spread(value[inside]) if inside.sum() >= MIN_SLICE_PIXELS else whole
        centre, spread = own if own[1] > 0 else whole
        if spread > 0:
            layer[inside] = (value[inside] - centre) / spread
    return scaled


def error_robust_z(signed: Floats, brain: NDArray[np.bool_], sides: Sides = ONE_SIDED) -> Floats:
    """Robust z-score of a signed error on the side that counts; 0 on the other side and outside
    the brain.

    Args:
        signed: x - x', ``(slices, size, size)``.
        brain: likewise.
        sides: which differences count.
    """
    bright, dark = sides.weights
    scores = [
        weight * robust_z(side, brain)
        for weight, side in ((bright, signed), (dark, -signed))
        if weight
    ]
    return np.asarray(np.maximum.reduce([np.zeros_like(signed, dtype=np.float32), *scores]))


def _centre_and_spread(values: Floats) -> tuple[float, float]:
    low, centre = np.quantile(values, (0.16, 0.5))
    return float(centre), float(centre - low)
