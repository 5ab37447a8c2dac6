"""How a phantom is scanned: field, timing, resolution, bias and noise, and how much each may
vary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mmccd.phantom.physics import SEQUENCES, TISSUES, PulseSequence, nulling_inversion_time

SLICE_MM = (1.0, 6.0)


@dataclass(frozen=True)
class Acquisition:
    """A scan, and how much the head differs from the anatomy it is made of.

    Attributes:
        field_strength: tesla.
        sequences: timing of each image in ms.
        slice_mm: slice thickness and distance.
        pixel_mm: in-plane pixel size.
        noise: standard deviation of each channel of the Rician noise, relative to white matter.
        bias: relative spread of the receive field over the head.
        texture: relative slow variation of T1 and T2 within a tissue (PD: two fifths of it).
        individual: relative spread of each tissue's T1 and T2 over subjects (PD: a third of it).
        warp_mm: spread of the elastic deformation.
        tilt_degrees: spread of the head's rotation against the slices, about each axis.
        scaling: relative spread of the head's size along each axis.
        strip_mm: how far outside the brain's fluid (positive) or inside it (negative) the brain is
            cut out.
    """

    field_strength: float = 3.0
    sequences: dict[str, PulseSequence] = field(default_factory=lambda: dict(SEQUENCES))
    slice_mm: float = 5.0
    pixel_mm: float = 1.0
    noise: float = 0.015
    bias: float = 0.08
    texture: float = 0.05
    individual: float = 0.05
    warp_mm: float = 2.0
    tilt_degrees: float = 3.0
    scaling: float = 0.03
    strip_mm: float = 0.0


PLAIN = Acquisition(noise=0, bias=0, texture=0, individual=0, warp_mm=0, tilt_degrees=0, scaling=0)
"""The anatomy as it is, with the tissues' table values and nothing random."""


DEMO_SCAN = Acquisition(bias=0.03, texture=0.03)
"""A coil as even as those of newer scanners, and tissue as even as healthy white matter is; what an
uneven one does to the result stands in docs/limits.md.
"""


def random_acquisition(random: np.random.Generator) -> Acquisition:
    """A scanner from the range that clinical FLAIR, T1w and T2w have: 1.5 or 3 T, slices of 1 to 6
    mm, timings within what vendors set.

    T1w is a short spin echo, or in two of five subjects inversion-prepared as in MPRAGE (its echo
    train left out), with darker fluid.
    """
    field_strength = float(random.choice([1.5, 3.0]))
    tr = random.uniform(7000, 11000)
    ti = nulling_inversion_time(TISSUES["fluid"].t1, tr) * random.uniform(0.92, 1.04)
    sequences = {
        "flair": PulseSequence(tr, random.uniform(85, 145), ti),
        "t1": PulseSequence(random.uniform(420, 720), random.uniform(8, 17)),
        "t2": PulseSequence(random.uniform(2800, 6500), random.uniform(75, 120)),
    }
    drawn = Acquisition(
        field_strength=field_strength,
        slice_mm=float(np.exp(random.uniform(*np.log(SLICE_MM)))),
        pixel_mm=random.uniform(0.9, 1.4),
        noise=random.uniform(0.01, 0.05),
        bias=random.uniform(0.01, 0.10),
        texture=random.uniform(0.02, 0.06),
        individual=0.05,
        warp_mm=random.uniform(1.0, 3.0),
        tilt_degrees=5.0,
        scaling=0.06,
        strip_mm=random.uniform(-1.5, 1.5),
    )
    if random.random() < 0.4:
        sequences["t1"] = PulseSequence(
            random.uniform(1800, 2400), random.uniform(2.5, 5), random.uniform(850, 1100)
        )
    return replace(drawn, sequences=sequences)


def with_thickness(
    acquisition: Acquisition, slice_mm: float | None, pixel_mm: float | None
) -> Acquisition:
    """The same scan with other voxels, where they are given."""
    return replace(
        acquisition,
        slice_mm=slice_mm or acquisition.slice_mm,
        pixel_mm=pixel_mm or acquisition.pixel_mm,
    )
