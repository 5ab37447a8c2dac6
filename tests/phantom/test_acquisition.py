"""mmccd.phantom.acquisition: scanners within the stated ranges."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from mmccd.phantom import random_acquisition
from mmccd.phantom.acquisition import SLICE_MM, Acquisition, with_thickness
from mmccd.phantom.physics import TISSUES, nulling_inversion_time, signal


@given(st.integers(0, 2**32))
def test_random_scanners_are_plausible(seed: int) -> None:
    """Fluid is dark on FLAIR and bright on T2, white matter brighter than grey on T1, at every
    field and timing that is drawn.
    """
    drawn = random_acquisition(np.random.default_rng(seed))
    assert drawn == random_acquisition(np.random.default_rng(seed))
    assert drawn.field_strength in (1.5, 3.0)
    assert SLICE_MM[0] <= drawn.slice_mm <= SLICE_MM[1]
    white, grey, fluid = (
        TISSUES[name].at(drawn.field_strength) for name in ("white", "grey", "fluid")
    )

    def contrast(modality: str, one: str) -> float:
        sequence, tissue = drawn.sequences[modality], {"grey": grey, "fluid": fluid}[one]
        return signal(tissue.t1, tissue.t2, tissue.pd, sequence) / signal(
            white.t1, white.t2, white.pd, sequence
        )

    assert contrast("flair", "fluid") < 0.7
    assert 0.9 < contrast("flair", "grey") < 1.5
    assert contrast("t2", "fluid") > 1.8
    assert contrast("t1", "grey") < 1
    assert contrast("t1", "fluid") < 0.75


def test_flair_nulls_fluid_about() -> None:
    for seed in range(20):
        sequence = random_acquisition(np.random.default_rng(seed)).sequences["flair"]
        assert 0.9 < sequence.ti / nulling_inversion_time(TISSUES["fluid"].t1, sequence.tr) < 1.05


def test_both_kinds_of_t1w_occur() -> None:
    inversions = [
        random_acquisition(np.random.default_rng(seed)).sequences["t1"].ti > 0
        for seed in range(200)
    ]
    assert 0.3 < np.mean(inversions) < 0.5


def test_thickness_that_is_given_is_taken() -> None:
    base = Acquisition(slice_mm=3.0, pixel_mm=1.0)
    assert with_thickness(base, None, None) == base
    changed = with_thickness(base, 6.0, None)
    assert (changed.slice_mm, changed.pixel_mm, changed.noise) == (6.0, 1.0, base.noise)
