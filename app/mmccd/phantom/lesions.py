"""Lesions: shapes with relaxation values, and the kinds of disease that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmccd.phantom.physics import (
    ACUTE_STROKE,
    CAVITY,
    GLIOSIS,
    NECROSIS,
    OEDEMA,
    PLAQUE,
    SOLID_TUMOUR,
    Tissue,
)

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Lesion:
    """A rough ellipsoid of abnormal tissue.

    Attributes:
        centre_mm: position (right, anterior, superior) in mm, in the coordinates of the phantom's
            files.
        radius_mm: mean radius.
        tissue: relaxation values of fully abnormal tissue at 3 T.
        stretch: lengths of the axes relative to the radius (right, anterior, superior).
        roughness: relative spread of the radius over directions.
        severity: 1: the lesion's relaxation values; below, the values lie between those of the
            tissue it grew in (0) and its own, on a logarithmic scale: a mixture of the tissues'
            parameters, beside the mixture of signals where a voxel holds both.
        white_only: it spares the cortex and what is no brain tissue (oedema and plaques do).
        push_mm: mass effect: how far the tissue at its surface is pushed outwards.
        flair_contrast: signal on FLAIR relative to white matter; where it is given, T2 is what the
            scan's timing needs for it.
    """

    centre_mm: Point
    radius_mm: float
    tissue: Tissue
    stretch: Point = (1.0, 1.0, 1.0)
    roughness: float = 0.25
    severity: float = 1.0
    white_only: bool = False
    push_mm: float = 0.0
    flair_contrast: float | None = None


@dataclass(frozen=True)
class Sites:
    """Where lesions may start: positions in mm, ``(n, 3)``.

    Attributes:
        white: in white matter.
        periventricular: in white matter near the ventricles.
        cortex: in grey matter near the surface.
    """

    white: NDArray[np.float64]
    periventricular: NDArray[np.float64]
    cortex: NDArray[np.float64]


def glioma(sites: Sites, random: np.random.Generator) -> tuple[Lesion, ...]:
    """Bright on FLAIR: oedema that keeps to the white matter, a solid tumour in it, and often a
    necrotic core that is grey-matter-like; mass effect.
    """
    centre = _draw(sites.white, random)
    radius = random.uniform(9, 19)
    parts = [
        Lesion(
            centre,
            radius * random.uniform(1.3, 1.8),
            _varied(OEDEMA, random),
            _stretch(random, 0.2),
            0.3,
            random.uniform(0.7, 1),
            True,
            random.uniform(0.5, 3),
        ),
        Lesion(
            centre,
            radius,
            _varied(SOLID_TUMOUR, random),
            _stretch(random, 0.15),
            0.2,
            random.uniform(0.7, 1),
            push_mm=random.uniform(0.1, 0.3) * radius,
        ),
    ]
    if random.random() < 0.7:
        parts.append(
            Lesion(
                _near(centre, 0.15 * radius, random),
                radius * random.uniform(0.45, 0.75),
                _varied(NECROSIS, random),
                _stretch(random, 0.15),
            )
        )
    return tuple(parts)


def isointense(sites: Sites, random: np.random.Generator) -> tuple[Lesion, ...]:
    """A mass like grey matter on FLAIR, which no threshold finds, with mass effect and without
    oedema; far from normal on T1 and T2.
    """
    radius = random.uniform(9, 17)
    push, contrast = random.uniform(0.2, 0.4) * radius, random.uniform(1.0, 1.3)
    tissue = replace(NECROSIS, t1=random.uniform(1700, 2600))
    return (
        Lesion(
            _draw(sites.white, random),
            radius,
            tissue,
            _stretch(random, 0.2),
            push_mm=push,
            flair_contrast=contrast,
        ),
    )


def multiple_sclerosis(sites: Sites, random: np.random.Generator) -> tuple[Lesion, ...]:
    """Small plaques in the white matter, most of them near the ventricles."""

    def plaque() -> Lesion:
        place = (
            sites.periventricular
            if random.random() < 0.65 and len(sites.periventricular)
            else sites.white
        )
        radius = float(np.clip(random.lognormal(1.1, 0.4), 1.5, 8))
        return Lesion(
            _draw(place, random),
            radius,
            _varied(PLAQUE, random),
            _stretch(random, 0.3),
            0.25,
            random.uniform(0.6, 1),
            white_only=True,
        )

    return tuple(plaque() for _ in range(random.integers(6, 26)))


def stroke(sites: Sites, random: np.random.Generator) -> tuple[Lesion, ...]:
    """Acute: a swollen, bright territory that takes the cortex too; old: a cavity of fluid with a
    gliotic rim.
    """
    centre = _draw(sites.cortex, random)
    radius = random.uniform(10, 24)
    if random.random() < 0.5:
        stretch = _stretch(random, 0.3)
        return (
            Lesion(
                centre,
                radius,
                _varied(ACUTE_STROKE, random),
                stretch,
                0.35,
                random.uniform(0.6, 1),
                push_mm=random.uniform(0, 1.5),
            ),
        )
    stretch = _stretch(random, 0.2)
    rim = Lesion(centre, radius, _varied(GLIOSIS, random), stretch, 0.3)
    return (
        rim,
        replace(
            rim,
            radius_mm=radius * random.uniform(0.6, 0.85),
            tissue=_varied(CAVITY, random),
            roughness=0.25,
        ),
    )


KINDS: dict[str, Callable[[Sites, np.random.Generator], tuple[Lesion, ...]]] = {
    "glioma": glioma,
    "isointense": isointense,
    "ms": multiple_sclerosis,
    "stroke": stroke,
}
DEMO_LESIONS = (
    Lesion((30.0, 18.0, 30.0), 13.0, OEDEMA),
    Lesion((-28.0, -42.0, 26.0), 11.0, NECROSIS),
    Lesion((-24.0, 22.0, 28.0), 4.0, PLAQUE),
    Lesion((-26.0, 4.0, 34.0), 3.5, PLAQUE),
    Lesion((26.0, -28.0, 34.0), 4.0, PLAQUE),
    Lesion((24.0, -52.0, 22.0), 3.5, PLAQUE),
)
"""One bright on FLAIR, one grey-matter-like there (no threshold finds it), and four small plaques,
in the built-in anatomy.
"""
DEMO_SEED = 7


def _draw(points: NDArray[np.float64], random: np.random.Generator) -> Point:
    x, y, z = points[random.integers(len(points))]
    return float(x), float(y), float(z)


def _near(centre: Point, spread_mm: float, random: np.random.Generator) -> Point:
    x, y, z = np.asarray(centre) + random.normal(0, spread_mm, 3)
    return float(x), float(y), float(z)


def _stretch(random: np.random.Generator, spread: float) -> Point:
    x, y, z = np.exp(random.normal(0, spread, 3))
    return float(x), float(y), float(z)


def _varied(tissue: Tissue, random: np.random.Generator) -> Tissue:
    """Relaxation values within about 12 % (T1, T2) and 3 % (PD) of the table's."""
    t1, t2, pd = np.exp(random.normal(0, [0.12, 0.12, 0.03]))
    return replace(tissue, t1=tissue.t1 * t1, t2=tissue.t2 * t2, pd=min(tissue.pd * pd, 1.0))
