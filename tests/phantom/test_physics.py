"""mmccd.phantom.physics: the spin-echo equations and the tissues' contrasts."""

from __future__ import annotations

import math

import pytest
import torch

from mmccd.phantom.physics import (
    NECROSIS,
    OEDEMA,
    PLAQUE,
    SEQUENCES,
    SOLID_TUMOUR,
    TISSUES,
    PulseSequence,
    Tissue,
    nulling_inversion_time,
    signal,
    t2_for_contrast,
)

WHITE, GREY, FLUID = TISSUES["white"], TISSUES["grey"], TISSUES["fluid"]


def contrast(tissue: Tissue, modality: str) -> float:
    """Signal relative to white matter."""
    sequence = SEQUENCES[modality]
    return signal(tissue.t1, tissue.t2, tissue.pd, sequence) / signal(
        WHITE.t1, WHITE.t2, WHITE.pd, sequence
    )


@pytest.mark.parametrize(
    ("tissue", "t1", "t2", "flair"),
    [
        (WHITE, 1.0, 1.0, 1.0),
        (GREY, 0.81, 1.42, 1.15),
        (FLUID, 0.43, 3.65, 0.04),
        (OEDEMA, 0.86, 2.09, 1.75),
        (SOLID_TUMOUR, 0.71, 2.39, 1.54),
        (NECROSIS, 0.58, 3.14, 1.22),
        (PLAQUE, 0.96, 1.82, 1.74),
    ],
    ids=["white matter", "grey matter", "fluid", "oedema", "solid tumour", "necrosis", "plaque"],
)
def test_contrasts_are_those_of_the_signal_equations(
    tissue: Tissue, t1: float, t2: float, flair: float
) -> None:
    assert contrast(tissue, "t1") == pytest.approx(t1, abs=0.01)
    assert contrast(tissue, "t2") == pytest.approx(t2, abs=0.01)
    assert contrast(tissue, "flair") == pytest.approx(flair, abs=0.01)


def test_signal_by_hand() -> None:
    """Limits of the equations: no decay and full recovery give the proton density; t = T1 gives 1 -
    1/e; TE = T2 gives 1/e.
    """
    assert signal(1.0, 1e12, 0.7, PulseSequence(1e9, 10)) == pytest.approx(0.7)
    assert signal(600.0, 1e12, 1.0, PulseSequence(600, 0)) == pytest.approx(1 - math.exp(-1))
    assert signal(1.0, 80.0, 1.0, PulseSequence(1e9, 80)) == pytest.approx(math.exp(-1))
    assert signal(1e12, 1e12, 1.0, PulseSequence(5000, 0, 1e-3)) == pytest.approx(0.0, abs=1e-6)
    assert signal(100.0, 1e12, 1.0, PulseSequence(1e9, 0, 100 * math.log(4))) == pytest.approx(0.5)


def test_signal_of_tensors_is_that_of_their_values() -> None:
    t1, t2, pd = (
        torch.tensor([850.0, 1400.0, 4300.0]),
        torch.tensor([70.0, 85.0, 2000.0]),
        torch.tensor([0.7, 0.8, 1.0]),
    )
    for sequence in SEQUENCES.values():
        expected = [
            signal(float(a), float(b), float(c), sequence)
            for a, b, c in zip(t1, t2, pd, strict=True)
        ]
        assert signal(t1, t2, pd, sequence).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("tissue", "tr"), [(FLUID, 9000.0), (FLUID, 6000.0), (WHITE, 9000.0), (GREY, 2000.0)]
)
def test_nulling(tissue: Tissue, tr: float) -> None:
    inversion = nulling_inversion_time(tissue.t1, tr)
    assert signal(
        tissue.t1, tissue.t2, tissue.pd, PulseSequence(tr, 120, inversion)
    ) == pytest.approx(0.0, abs=1e-5)
    for other in (0.7 * inversion, 1.3 * inversion):
        assert signal(tissue.t1, 1e9, tissue.pd, PulseSequence(tr, 120, other)) > 0.05


def test_flair_inversion_time_is_near_the_one_that_nulls_fluid() -> None:
    assert SEQUENCES["flair"].ti == pytest.approx(
        nulling_inversion_time(FLUID.t1, SEQUENCES["flair"].tr), rel=0.05
    )


def test_field_strength() -> None:
    """White matter at 1.5 T: T1 about 650 ms (Rooney et al. 2007), T2 a little longer; fluid is as
    it was.
    """
    low = WHITE.at(1.5)
    assert low.t1 == pytest.approx(653, abs=5)
    assert 70 < low.t2 < 80
    assert low.pd == WHITE.pd
    assert WHITE.at(3.0) == WHITE
    assert FLUID.at(1.5) == FLUID


@pytest.mark.parametrize("wanted", [0.8, 1.0, 1.2])
def test_t2_for_contrast(wanted: float) -> None:
    sequence = SEQUENCES["flair"]
    t2 = t2_for_contrast(NECROSIS, WHITE, wanted, sequence)
    assert signal(NECROSIS.t1, t2, NECROSIS.pd, sequence) == pytest.approx(
        wanted * signal(WHITE.t1, WHITE.t2, WHITE.pd, sequence)
    )


def test_t2_for_a_contrast_that_cannot_be_reached() -> None:
    assert t2_for_contrast(NECROSIS, WHITE, 50.0, SEQUENCES["flair"], longest=900.0) == 900.0
