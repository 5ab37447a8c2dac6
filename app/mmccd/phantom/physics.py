"""The MR signal: spin-echo equations, and the tissues' relaxation values at 1.5 and 3 T.

Healthy tissue at 3 T: Wansapura et al., JMRI 1999 (white and grey matter), Rooney et al., MRM 2007
(fluid, and how T1 grows with the field), Gold et al., AJR 2004 (fat); deep grey matter and
brainstem lie between white and grey matter, the pallidum has a short T2 (iron). Lesions, bone,
skin, mucosa and vessels are plausible values; all of them are drawn from ranges around what stands
here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value", float, Tensor)

FIELD_EXPONENT = 0.38
"""T1 of tissue grows with the field to this power (Rooney et al. 2007); T1 of fluid and fat hardly
changes.
"""
T2_AT_1_5_T = 1.08
"""T2 of tissue at 1.5 T relative to that at 3 T (Stanisz et al., MRM 2005: 1.04 to 1.10)."""


@dataclass(frozen=True)
class Tissue:
    """Relaxation at 3 T.

    Attributes:
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms.
        pd: proton density relative to water.
        water_like: whether the relaxation times are the same at all fields (fluid, fat).
    """

    t1: float
    t2: float
    pd: float
    water_like: bool = False

    def at(self, field: float) -> Tissue:
        """The same tissue at another field strength, in tesla."""
        if self.water_like:
            return self
        t2 = self.t2 * T2_AT_1_5_T ** max(0.0, (3 - field) / 1.5)
        return replace(self, t1=self.t1 * (field / 3) ** FIELD_EXPONENT, t2=t2)


@dataclass(frozen=True)
class PulseSequence:
    """Spin-echo sequence in ms; ``ti`` 0 means no inversion."""

    tr: float
    te: float
    ti: float = 0.0


TISSUES = {
    "white": Tissue(850, 70, 0.70),
    "grey": Tissue(1400, 85, 0.80),
    "deep": Tissue(1180, 76, 0.77),
    "pallidum": Tissue(1000, 58, 0.74),
    "brainstem": Tissue(950, 76, 0.73),
    "fluid": Tissue(4300, 2000, 1.00, water_like=True),
    "scalp": Tissue(500, 65, 0.80),
    "skin": Tissue(900, 40, 0.65),
    "bone": Tissue(600, 10, 0.08),
    "marrow": Tissue(420, 60, 0.70, water_like=True),
    "mucosa": Tissue(1200, 65, 0.75),
    "vessel": Tissue(1700, 45, 0.45),
}
"""What an anatomy may be made of."""
OEDEMA = Tissue(1500, 120, 0.86)
SOLID_TUMOUR = Tissue(2000, 150, 0.88)
NECROSIS = Tissue(2800, 300, 0.93)
PLAQUE = Tissue(1200, 105, 0.82)
ACUTE_STROKE = Tissue(1550, 125, 0.86)
CAVITY = Tissue(4000, 1200, 0.99, water_like=True)
GLIOSIS = Tissue(1350, 115, 0.83)
SEQUENCES = {
    "flair": PulseSequence(9000, 120, 2500),
    "t1": PulseSequence(600, 12),
    "t2": PulseSequence(5000, 95),
}
"""Usual timings at 3 T."""


def signal(t1: Value, t2: Value, pd: Value, sequence: PulseSequence) -> Value:
    """Magnitude of a spin echo, with or without inversion.

    S = PD (1 - exp(-TR/T1)) exp(-TE/T2); FLAIR: S = PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)|
    exp(-TE/T2).

    Args:
        t1: longitudinal relaxation time in ms; a number, or a tensor of any shape.
        t2: transverse relaxation time in ms.
        pd: proton density.
        sequence: timing.
    """
    longitudinal, transverse, density = (
        torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
        for value in (t1, t2, pd)
    )
    recovery = 1 - torch.exp(-sequence.tr / longitudinal)
    if sequence.ti:
        recovery = (
            1 - 2 * torch.exp(-sequence.ti / longitudinal) + torch.exp(-sequence.tr / longitudinal)
        ).abs()
    result = density * recovery * torch.exp(-sequence.te / transverse)
    return float(result) if isinstance(t1, float | int) else result


def nulling_inversion_time(t1: float, tr: float) -> float:
    """TI at which a tissue of that T1 gives no signal: T1 (ln 2 - ln(1 + exp(-TR/T1))), in ms."""
    return t1 * (math.log(2) - math.log1p(math.exp(-tr / t1)))


def t2_for_contrast(
    tissue: Tissue,
    reference: Tissue,
    contrast: float,
    sequence: PulseSequence,
    longest: float = 2500.0,
) -> float:
    """T2 in ms with which a tissue's signal is ``contrast`` times the reference's; ``longest``
    where no T2 gives that much.

    Args:
        tissue: whose T1 and PD are kept.
        reference: the tissue to compare with.
        contrast: wanted ratio of the signals.
        sequence: timing; TE above 0.
        longest: upper limit.
    """
    wanted = contrast * signal(reference.t1, reference.t2, reference.pd, sequence)
    most = signal(tissue.t1, math.inf, tissue.pd, sequence)
    return (
        longest
        if wanted >= most * math.exp(-sequence.te / longest)
        else sequence.te / math.log(most / wanted)
    )
