"""mmccd.methods.mmccd.method: what the settings of a name change in the preset's cycle."""

from __future__ import annotations

import pytest

from mmccd.methods.base import Chosen, Context
from mmccd.methods.mmccd.method import MaskedCycle
from mmccd.methods.mmccd.settings import CycleSettings

PRESET = CycleSettings(steps=1, stride=32, width=64, sign="brighter", other_side=0.2)
NEEDS = ("forward", "backward")


def test_settings_that_are_not_given_are_the_presets() -> None:
    context = Context(cycle=PRESET)
    assert MaskedCycle().cycle(context) == PRESET
    changed = MaskedCycle(steps=4, stride=16, precision="bf16").cycle(context)
    assert (changed.steps, changed.stride) == (4, 16)
    assert (changed.width, changed.sign) == (64, "brighter")


def test_the_public_codes_reading_and_ancestral_sampling_are_its_own_settings() -> None:
    context = Context(cycle=CycleSettings())
    assert MaskedCycle(reading="code", steps=100).cycle(context).redraws_noise
    assert MaskedCycle(sampler="ancestral", steps=1000).cycle(context).sampler == "ancestral"


def test_a_stride_that_leaves_voxels_uncovered_is_told_early() -> None:
    with pytest.raises(ValueError, match="stride"):
        MaskedCycle(stride=65).cycle(Context(cycle=PRESET))
    with pytest.raises(ValueError, match="precision"):
        MaskedCycle(precision="fp16")


def test_threshold_and_precision_are_those_of_the_changed_cycle() -> None:
    """A calibration belongs to settings and precision."""
    context = Context(
        cycle=PRESET,
        precision=lambda chosen: "bf16" if chosen.cycle == PRESET else "fp32",
        threshold=lambda chosen, precision: (
            0.5 if (chosen, precision) == (Chosen("mmccd", NEEDS, PRESET), "bf16") else None
        ),
    )
    assert MaskedCycle().threshold(context) == 0.5
    assert MaskedCycle(precision="fp32").threshold(context) is None
    assert MaskedCycle(steps=2).threshold(context) is None
    assert MaskedCycle(steps=2).precision_of(context) == "fp32"


def test_what_is_hidden_can_stand_in_a_name() -> None:
    context = Context(cycle=PRESET)
    found = MaskedCycle(hiding="veil", veil_sd=0.5, draws=3, level=True).cycle(context)
    assert (found.hiding, found.veil_sd, found.draws, found.level) == ("veil", 0.5, 3, True)
    assert MaskedCycle().cycle(Context(cycle=found)) == found, "those of the preset"
    assert not MaskedCycle(level=False).cycle(Context(cycle=found)).level
    with pytest.raises(ValueError, match="hiding"):
        MaskedCycle(hiding="nothing").cycle(context)


def test_strips_that_leave_voxels_uncovered_do_not_matter_to_a_veil() -> None:
    context = Context(cycle=PRESET)
    assert MaskedCycle(hiding="veil", stride=65).cycle(context).stride == 65
    with pytest.raises(ValueError, match="stride"):
        MaskedCycle(hiding="both", stride=65).cycle(context)
