"""Whether the reconstructed image x' follows the image x where tissue is healthy, and what it
leaves of a lesion.

Correlation, spread and error say whether x' is an image of this brain; removal says whether the
lesion is missing in it. A method whose x' follows x and removes lesions has an error that means
something; a constant in the place of x' has correlation 0 and removal 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import Finding

RING_PIXELS = (3.0, 8.0)
"""Distance from the lesion, in the slice, of the tissue that it is compared with."""
LEAST_CONTRAST = 0.25
"""Contrast of a lesion in x, in standard deviations of healthy x, below which removal has no
meaning."""
LEAST_CORRELATION = 0.5
"""Below this x' does not follow x."""
_FLAT = 1e-6
"""Relative to x, a standard deviation that is rounding."""

Floats = NDArray[np.float32] | NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ReturnedStatistics:
    """x' against x.

    Attributes:
        correlation: Pearson's, over the healthy voxels; 0 where x' is constant.
        spread: standard deviation of x' over that of x there; 0 where x' is constant.
        error: mean of |x - x'| there, in normalised units of x (for the weights that ship, standard
            deviations of the brain's grey values).
        removal: share of the lesion's contrast that x' does not show, see :func:`removal`; None
            where there is no lesion, or none with a contrast.
    """

    correlation: float
    spread: float
    error: float
    removal: float | None = None


def measure_returned(
    image: Floats, returned: Floats, brain: Bools, lesion: Bools | None = None
) -> ReturnedStatistics | None:
    """Compare x' with x over some or all slices of a volume, all voxels pooled.

    Args:
        image: x, ``(slices, height, width)``, in normalised units.
        returned: x', likewise; NaN where a method says nothing, which is left out.
        brain: of the same shape.
        lesion: what is not healthy of the brain; None: all of it is.

    Returns:
        None where there is no x', or fewer than two healthy voxels with different x.
    """
    there = brain & np.isfinite(image) & np.isfinite(returned)
    ill = there & lesion if lesion is not None else np.zeros_like(there)
    healthy = there & ~ill
    x, back = (layer[healthy].astype(np.float64) for layer in (image, returned))
    if len(x) < 2 or x.std() == 0:
        return None
    sd, sd_back = float(x.std()), float(back.std())
    flat = sd_back <= _FLAT * sd
    return ReturnedStatistics(
        correlation=0.0 if flat else float(np.corrcoef(x, back)[0, 1]),
        spread=0.0 if flat else sd_back / sd,
        error=float(np.abs(x - back).mean()),
        removal=removal(image, returned, healthy, ill, LEAST_CONTRAST * sd),
    )


def removal(
    image: Floats, returned: Floats, healthy: Bools, lesion: Bools, least: float
) -> float | None:
    """1 - C(x') / C(x), the share of the lesion's contrast that is gone.

    C(v) is the mean over slices, weighted by their lesion voxels, of the mean of v over the lesion
    minus the mean of v over the healthy brain that is 3 to 8 pixels away from it in the slice (all
    healthy brain of the slice where there is none so near). Slices without lesion or without
    healthy brain do not count. 0: x' shows the lesion as x does; 1: it does not show it; above 1:
    with the opposite sign; below 0: stronger.

    Args:
        image: x, ``(slices, height, width)``.
        returned: x', finite where ``healthy`` or ``lesion``.
        healthy: healthy brain.
        lesion: the lesion, apart from it.
        least: |C(x)| below which the quotient has no meaning.

    Returns:
        None without a lesion, or where |C(x)| is below ``least``.
    """
    contrasts, voxels = [], []
    for x, back, around, ill in zip(image, returned, healthy, lesion, strict=True):
        if ill.any() and around.any():
            ring = _ring(around, ill)
            contrasts.append([_contrast(layer, ill, ring) for layer in (x, back)])
            voxels.append(int(ill.sum()))
    if not voxels:
        return None
    before, after = np.average(contrasts, axis=0, weights=voxels)
    return float(1 - after / before) if abs(before) >= max(least, 1e-12) else None


def check_returned(found: ReturnedStatistics | None) -> list[Finding]:
    """A finding where x' is there and does not follow x in healthy tissue."""
    if found is None or found.correlation >= LEAST_CORRELATION:
        return []
    return [
        Finding(
            "reconstruction.does_not_follow",
            "the reconstructed image does not follow the input in healthy tissue (correlation"
            f" {found.correlation:.2f}, expected {LEAST_CORRELATION:.2f} at least); the map is then"
            " no better than a threshold on the image; compare with the rows constant and rule of"
            " 'mmccd evaluate', or use other weights",
        )
    ]


def _ring(healthy: Bools, lesion: Bools) -> Bools:
    """Healthy brain of a slice near the lesion, all of it where none is near."""
    distance = ndimage.distance_transform_edt(~lesion)
    near = healthy & (distance >= RING_PIXELS[0]) & (distance <= RING_PIXELS[1])
    return near if near.any() else healthy


def _contrast(layer: Floats, lesion: Bools, ring: Bools) -> float:
    return float(layer[lesion].mean(dtype=np.float64) - layer[ring].mean(dtype=np.float64))
