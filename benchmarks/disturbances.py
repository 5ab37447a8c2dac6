"""Disturbed copies of a brain: what scanners, tools and lesions do to it. Its contrast stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.quality import BrainSlices

LESION_SIGN = {"flair": 1, "t1": -1, "t2": 1}
"""Whether lesions are brighter or darker than tissue."""
_Floats = NDArray[np.float64]
_CROSS = ndimage.generate_binary_structure(2, 1)[None]


@dataclass(frozen=True)
class _Brain:
    """Intensities from about 0 to 1 (percentiles .5 and 99.5), mask and spacing in mm."""

    image: _Floats
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    contrast: str

    def with_image(self, image: _Floats) -> _Brain:
        return replace(self, image=image)


def disturbed(slices: BrainSlices, contrast: str, random: np.random.Generator) -> BrainSlices:
    """A copy with several random disturbances: lesions, brightness that varies, a curve over the
    intensities, noise, blur, cut off intensities, thicker slices, a mask that slips, a scan that
    ends early, another scale and zero point.
    """
    inside = slices.image[slices.mask]
    low, high = np.percentile(inside, (0.5, 99.5))
    image = (slices.image.astype(np.float64) - low) / max(float(high - low), 1e-12)
    brain = _Brain(image, slices.mask, slices.spacing, contrast)
    for chance, change in _CHANGES:
        if random.random() < chance:
            brain = change(brain, random)
    image = brain.image * random.uniform(0.5, 1000) + random.uniform(-1000, 1000)
    return BrainSlices(image.astype(np.float32), brain.mask, brain.spacing)


def _lesions(brain: _Brain, random: np.random.Generator) -> _Brain:
    image, tissue = brain.image, float(np.median(brain.image[brain.mask]))
    places = np.argwhere(brain.mask)
    for _ in range(random.integers(1, 4)):
        centre, radius = places[random.integers(len(places))], random.uniform(4, 28)
        axes = np.ogrid[tuple(slice(n) for n in image.shape)]
        distance = sum(
            ((axis - c) * mm / random.uniform(0.7, 1.4)) ** 2
            for axis, c, mm in zip(axes, centre, brain.spacing, strict=True)
        )
        share = 1 / (1 + np.exp(np.clip((np.sqrt(distance) - radius) / 2, -50, 50)))
        value = tissue + LESION_SIGN[brain.contrast] * random.uniform(0.1, 0.6)
        if random.random() < 0.25:  # a cyst
            value = (
                random.uniform(0.9, 1.3) if brain.contrast == "t2" else random.uniform(-0.1, 0.2)
            )
        own = value + 0.05 * random.standard_normal(image.shape)
        image = image * (1 - share) + share * own
    return brain.with_image(image)


def _uneven(brain: _Brain, random: np.random.Generator) -> _Brain:
    extent = zip(brain.image.shape, brain.spacing, strict=True)
    knots = [max(3, round(n * mm / 80) + 3) for n, mm in extent]
    zoom = [n / k for n, k in zip(brain.image.shape, knots, strict=True)]
    field = ndimage.zoom(
        random.standard_normal(knots), zoom, order=1, mode="nearest", grid_mode=True
    )
    field = np.clip((field - field.mean()) / max(float(field.std()), 1e-6), -2, 2)
    return brain.with_image(brain.image * np.exp(random.uniform(0.02, 0.25) * field))


def _curve(brain: _Brain, random: np.random.Generator) -> _Brain:
    gamma = np.exp(random.uniform(-0.4, 0.4))
    return brain.with_image(np.sign(brain.image) * np.abs(brain.image) ** gamma)


def _noise(brain: _Brain, random: np.random.Generator) -> _Brain:
    noise = random.uniform(0.01, 0.08) * random.standard_normal(brain.image.shape)
    return brain.with_image(brain.image + noise)


def _blur(brain: _Brain, random: np.random.Generator) -> _Brain:
    pixels = random.uniform(0.3, 1.2)
    sigma = (0, pixels, pixels)
    weight = ndimage.gaussian_filter(brain.mask.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(brain.image * brain.mask, sigma)
    blurred = total / np.maximum(weight, 0.1)
    return brain.with_image(np.where(brain.mask, blurred, brain.image))


def _cut_off(brain: _Brain, random: np.random.Generator) -> _Brain:
    shares = (random.uniform(0, 5), 100 - random.uniform(0, 5))
    return brain.with_image(np.clip(brain.image, *np.percentile(brain.image[brain.mask], shares)))


def _thicker(brain: _Brain, random: np.random.Generator) -> _Brain:
    if brain.spacing[0] >= 4 or len(brain.mask) < 40:
        return brain
    factor = int(random.integers(2, max(3, int(6 // brain.spacing[0]) + 1)))
    count = len(brain.mask) // factor * factor
    parts = brain.mask[:count].reshape(-1, factor, *brain.mask.shape[1:]).astype(np.float64)
    amount = parts.sum(1)
    image = (brain.image[:count].reshape(parts.shape) * parts).sum(1) / np.maximum(amount, 1e-6)
    spacing = (brain.spacing[0] * factor, *brain.spacing[1:])
    return replace(brain, image=image, mask=amount >= factor / 2, spacing=spacing)


def _slipped(brain: _Brain, random: np.random.Generator) -> _Brain:
    pixels, kind = int(random.integers(1, 3)), random.random()
    inside = brain.image[brain.mask]
    outside = random.choice([inside.min(), np.median(inside), 0.0, random.uniform(1, 2)])
    if kind < 0.4:
        mask = ndimage.binary_erosion(brain.mask, _CROSS, iterations=pixels)
    elif kind < 0.7:
        mask = ndimage.binary_dilation(brain.mask, _CROSS, iterations=pixels)
    else:
        mask = np.roll(brain.mask, tuple(random.integers(-2, 3, 2)), (1, 2))
    if mask.sum() < 0.5 * brain.mask.sum():
        return brain
    return replace(brain, image=np.where(brain.mask, brain.image, outside), mask=mask)


def _ends_early(brain: _Brain, random: np.random.Generator) -> _Brain:
    inside = np.flatnonzero(brain.mask.any(axis=(1, 2)))
    mask = brain.mask.copy()
    mask[: inside[int(len(inside) * random.uniform(0, 0.35))]] = False
    return replace(brain, mask=mask)


_CHANGES: tuple[tuple[float, Callable[[_Brain, np.random.Generator], _Brain]], ...] = (
    (0.5, _lesions),
    (0.6, _uneven),
    (0.5, _curve),
    (0.4, _noise),
    (0.35, _blur),
    (0.2, _cut_off),
    (0.3, _thicker),
    (0.5, _slipped),
    (0.2, _ends_early),
)
