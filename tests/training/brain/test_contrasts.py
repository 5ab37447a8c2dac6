"""mmccd.training.brain.contrasts: what an intensity means inside the brain and outside it."""

from __future__ import annotations

import numpy as np
import pytest

from mmccd.training.brain.contrasts import draw_contrast
from mmccd.training.brain.heads import BRAIN_BIT, CLASS_BITS, LEVELS_TO, Head

NOTHING = np.zeros(0)


def head(tissues: tuple[str, ...]) -> Head:
    return Head(np.zeros((1, 1, 1), dtype=np.uint8), tissues, NOTHING, NOTHING, NOTHING)


def level(intensity: float) -> int:
    return round(intensity / LEVELS_TO * CLASS_BITS)


def test_tissues_have_one_intensity_wherever_they_are() -> None:
    values = draw_contrast(head(("air", "white", "scalp")), np.random.default_rng(0))
    assert values.shape == (256,)
    assert values[0] == 0
    np.testing.assert_array_equal(values[:64], values[BRAIN_BIT : BRAIN_BIT + 64])


def test_levels_of_a_scan_draw_no_border_of_the_brain() -> None:
    """What is dark (bone, fluid) is as dark on both sides; air is 0."""
    dark = np.arange(level(0.25))
    for seed in range(20):
        values = draw_contrast(head(()), np.random.default_rng(seed))
        np.testing.assert_allclose(values[dark], values[dark | BRAIN_BIT], atol=0.01)
        assert values[0] == 0
        assert (values >= 0).all()


def test_a_level_can_be_fat_outside_and_white_matter_inside() -> None:
    drawn = [draw_contrast(head(()), np.random.default_rng(seed)) for seed in range(40)]
    white = level(1.0)
    ratios = np.array([values[white] / values[white | BRAIN_BIT] for values in drawn])
    assert ratios.min() < 0.7
    assert ratios.max() > 1.5


@pytest.mark.parametrize("tissues", [(), ("air", "white", "scalp")], ids=["scan", "labels"])
def test_fat_is_suppressed_or_much_brighter_than_white_matter(tissues: tuple[str, ...]) -> None:
    fat, white = (2, 1) if tissues else (level(0.9), level(0.95) | BRAIN_BIT)
    drawn = [draw_contrast(head(tissues), np.random.default_rng(seed)) for seed in range(60)]
    ratios = np.array([values[fat] / values[white] for values in drawn])
    assert (ratios > 2).mean() > 0.1
    assert (ratios < 0.7).mean() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_gives_the_same_contrast(seed: int) -> None:
    once, again = (draw_contrast(head(()), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
