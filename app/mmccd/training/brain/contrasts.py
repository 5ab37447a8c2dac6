"""Random contrasts: an intensity for each class of a head.

A label map's tissues get theirs from the physics or at random (after SynthSeg). The levels of a
T1-weighted scan get theirs from two curves, one for the brain and one for what lies outside it: the
same level is white matter here and fat there, and another contrast tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mmccd.phantom import TISSUES, Tissue, random_acquisition, signal
from mmccd.training.brain.heads import BRAIN_BIT, CLASS_BITS, LEVELS_TO, Head

_OUTER = ("scalp", "skin", "bone", "marrow", "mucosa", "vessel")
"""Tissues outside the brain whose signal varies most."""
_KNOTS = (0.0, 0.12, 0.25, 0.45, 0.65, 0.85, 1.05, 1.4, 1.8)
_DARK = 3
"""Knots below this are bone, air and fluid."""
_FAT_FROM, _FAT_RAMP = (0.4, 0.8), 0.2
"""Outside the brain, fat and marrow begin at a level drawn between the first two, and are fat alone
by the third more. In a gradient echo, as the scans are, they are little brighter than muscle.
"""
_FAT_SHARE, _BRIGHT_SHARE, _BRIGHTEST = 0.65, 0.6, 4.0
"""How often fat differs from the physics of a single echo; how often it is then brighter, and at
most how many times: fast spin echo under a surface coil shows fat at 2 to 4 times white matter.
"""
_RANGES: dict[str, Any] = {
    "flair": (
        [
            (0, 0.02, 0.05, 0.5, 0.85, 0.7, 0.6, 0.6, 0.6),
            (0, 0.15, 0.35, 0.95, 1.2, 1.0, 1.0, 1.2, 1.5),
        ],
        [
            (0, 0.02, 0.05, 0.15, 0.2, 0.3, 0.5, 0.7, 0.7),
            (0, 0.15, 0.35, 0.6, 0.9, 1.3, 1.8, 2.2, 2.4),
        ],
    ),
    "t1": (
        [
            (0, 0.03, 0.1, 0.35, 0.5, 0.8, 0.95, 1.1, 1.2),
            (0, 0.15, 0.35, 0.6, 0.85, 1.05, 1.2, 1.6, 2.0),
        ],
        [
            (0, 0.03, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0, 1.1),
            (0, 0.15, 0.35, 0.65, 0.9, 1.2, 1.6, 2.2, 2.6),
        ],
    ),
    "t2": (
        [
            (0, 0.1, 1.0, 1.0, 0.8, 0.5, 0.4, 0.3, 0.3),
            (0, 0.6, 2.5, 1.8, 1.3, 0.9, 0.8, 0.8, 0.8),
        ],
        [
            (0, 0.1, 1.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5),
            (0, 0.6, 2.5, 0.7, 0.9, 1.2, 1.8, 2.0, 2.2),
        ],
    ),
    "random": (
        [(0, *[0.02] * 8), (0, *[1.2] * 8)],
        [(0, *[0.02] * 8), (0, *[1.2] * 8)],
    ),
}
"""By contrast: lowest and highest intensity at each knot (T1 intensity, white matter 1), in the
brain and outside it; ``(2, 2, 9)``.
"""
_SHARES = {"flair": 0.4, "t1": 0.2, "t2": 0.2, "random": 0.2}


def draw_contrast(head: Head, random: Generator) -> NDArray[np.float32]:
    """Intensity of each code of a head, ``(256,)``; white matter about 1."""
    kind = str(random.choice(list(_SHARES), p=list(_SHARES.values())))
    if head.tissues:
        values = _of_tissues(head.tissues, kind, random)
        return np.asarray(values[np.arange(256) & CLASS_BITS])
    inside, outside = _curves(kind, random)
    codes = np.arange(256)
    levels = codes & CLASS_BITS
    values = np.where(codes & BRAIN_BIT, inside[levels], outside[levels])
    return np.asarray(values, dtype=np.float32)


def _of_tissues(tissues: Sequence[str], kind: str, random: Generator) -> NDArray[np.float32]:
    """Intensity of each class (64 entries)."""
    values = np.zeros(CLASS_BITS + 1, dtype=np.float32)
    count = len(tissues)
    if kind == "random":
        values[1:count] = random.uniform(0.02, 1.2, count - 1)
        if random.random() < 0.7:
            values[[number for number, name in enumerate(tissues) if name == "bone"]] *= (
                random.uniform(0, 0.3)
            )
    else:
        values[1:count] = _physical(tissues[1:], kind, random)
    if random.random() < _FAT_SHARE:  # fat is suppressed, or bright as in fast spin echo
        fatty = [number for number, name in enumerate(tissues) if name in ("scalp", "marrow")]
        values[fatty] *= _fat(random)
    return values


def _fat(random: Generator) -> float:
    """How much brighter fat is than the physics of a spin echo say."""
    if random.random() < _BRIGHT_SHARE:
        return float(_BRIGHTEST ** random.random())
    return random.uniform(0.1, 1.0)


def _curves(kind: str, random: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intensity of each level (64 entries) in the brain and outside it. What is dark on T1 (fluid,
    bone) is the same on both sides, so that the border of the brain itself is not drawn.
    """
    ranges = np.array(_RANGES[kind], dtype=np.float64)
    inside, outside = random.uniform(ranges[:, 0], ranges[:, 1])
    outside[:_DARK] = inside[:_DARK]
    if random.random() < _FAT_SHARE:
        fatty = np.clip((np.array(_KNOTS) - random.uniform(*_FAT_FROM)) / _FAT_RAMP, 0, 1)
        fatty[:_DARK] = 0
        outside *= _fat(random) ** fatty
    levels = np.linspace(0, LEVELS_TO, CLASS_BITS + 1)
    return np.interp(levels, _KNOTS, inside), np.interp(levels, _KNOTS, outside)


def _physical(tissues: Sequence[str], kind: str, random: Generator) -> NDArray[np.float64]:
    acquisition = random_acquisition(random)
    sequence = acquisition.sequences[kind]

    def value(tissue: Tissue) -> float:
        here = tissue.at(acquisition.field_strength)
        factors = np.exp(random.normal(0, [0.1, 0.1, 0.08]))
        return signal(
            here.t1 * float(factors[0]),
            here.t2 * float(factors[1]),
            here.pd * float(factors[2]),
            sequence,
        )

    white = TISSUES["white"].at(acquisition.field_strength)
    unit = signal(white.t1, white.t2, white.pd, sequence)
    loose = np.where([name in _OUTER for name in tissues], 0.35, 0.05)
    return np.array([value(TISSUES[name]) / unit for name in tissues]) * np.exp(
        random.normal(0, 1, len(tissues)) * loose
    )
