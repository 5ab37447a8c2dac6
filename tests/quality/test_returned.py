"""mmccd.quality.returned: what x' says of x, on images whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.quality.returned import (
    LEAST_CORRELATION,
    ReturnedStatistics,
    check_returned,
    measure_returned,
)

SHAPE = (3, 40, 40)
SEEDS = range(4)
FOLLOWS = ReturnedStatistics(correlation=0.9, spread=1.0, error=0.1)


def texture(seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return (ndimage.gaussian_filter(noise, (0, 1, 1)) * 3).astype(np.float32)


def disks() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Brain of all slices; a lesion in the first two, of two sizes."""
    rows, columns = np.mgrid[:40, :40]
    brain = np.broadcast_to((rows - 20) ** 2 + (columns - 20) ** 2 < 17**2, SHAPE).copy()
    lesion = np.zeros(SHAPE, dtype=bool)
    for number, radius in enumerate((3, 5)):
        lesion[number] = (rows - 18) ** 2 + (columns - 22) ** 2 < radius**2
    return brain, lesion


BRAIN, LESION = disks()


def with_lesion(seed: int, by: float = 4.0) -> NDArray[np.float32]:
    return texture(seed) + np.float32(by) * LESION


@pytest.mark.parametrize("seed", SEEDS)
def test_the_image_itself(seed: int) -> None:
    x = with_lesion(seed)
    found = measure_returned(x, x, BRAIN, LESION)
    assert found is not None
    assert (found.correlation, found.spread) == (pytest.approx(1), pytest.approx(1))
    assert (found.error, found.removal) == (0.0, pytest.approx(0))


@pytest.mark.parametrize("value", [0.0, 0.1, -1000.1])
def test_a_constant(value: float) -> None:
    x = with_lesion(0)
    found = measure_returned(x, np.full_like(x, value), BRAIN, LESION)
    assert found is not None
    assert (found.correlation, found.spread) == (0.0, 0.0)
    assert found.removal == pytest.approx(1)
    healthy = BRAIN & ~LESION
    assert found.error == pytest.approx(np.abs(x[healthy] - np.float32(value)).mean(), rel=1e-5)


@pytest.mark.parametrize("by", [4.0, -4.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_lesion_painted_over(seed: int, by: float) -> None:
    """With the mean of its surroundings; bright and dark ones alike."""
    x = with_lesion(seed, by)
    back = x.copy()
    for number in (0, 1):
        distance = ndimage.distance_transform_edt(~LESION[number])
        around = BRAIN[number] & (distance >= 3) & (distance <= 8)
        back[number][LESION[number]] = x[number][around].mean()
    found = measure_returned(x, back, BRAIN, LESION)
    assert found is not None
    assert found.removal == pytest.approx(1, abs=1e-5)
    assert found.correlation == pytest.approx(1)


@pytest.mark.parametrize(("share", "expected"), [(0.25, 0.25), (1.5, 1.5), (-0.5, -0.5)])
def test_a_part_of_the_contrast_goes(share: float, expected: float) -> None:
    """On a flat brain with a little ripple, the contrast is the lesion's alone."""
    ripple = np.where(np.indices(SHAPE).sum(0) % 2, 0.01, -0.01)
    x = (ripple + 2.0 * LESION).astype(np.float32)
    back = (ripple + 2.0 * (1 - share) * LESION).astype(np.float32)
    found = measure_returned(x, back, BRAIN, LESION)
    assert found is not None
    assert found.removal == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("gain", "offset"), [(0.3, 5.0), (2.0, -1.0)])
def test_gain_and_offset(gain: float, offset: float) -> None:
    """They leave the correlation and show in the spread, and a gain of x' leaves its share of the
    contrast.
    """
    x = with_lesion(1)
    back = (gain * x + offset).astype(np.float32)
    found = measure_returned(x, back, BRAIN, LESION)
    assert found is not None
    assert found.correlation == pytest.approx(1, abs=1e-6)
    assert found.spread == pytest.approx(gain, rel=1e-5)
    assert found.removal == pytest.approx(1 - gain, abs=1e-4)
    turned = measure_returned(x, -x, BRAIN, LESION)
    assert turned is not None
    assert turned.correlation == pytest.approx(-1)


def test_units_of_the_image_do_not_matter() -> None:
    x, back = with_lesion(2), (with_lesion(2) * 0.5 + texture(3)).astype(np.float32)
    one, other = (measure_returned(k * x, k * back, BRAIN, LESION) for k in (1, 8))
    assert one is not None
    assert other is not None
    assert other.error == pytest.approx(8 * one.error)
    assert (other.correlation, other.spread, other.removal) == pytest.approx(
        (one.correlation, one.spread, one.removal)
    )


def test_what_a_method_does_not_say_is_left_out() -> None:
    """NaN, within the lesion and outside; and what lies outside the brain."""
    x, back = with_lesion(0), with_lesion(0)
    back[~BRAIN] = 99.0
    back[:, :19] = np.nan
    found = measure_returned(x, back, BRAIN, LESION)
    assert found == ReturnedStatistics(pytest.approx(1), pytest.approx(1), 0.0, pytest.approx(0))
    kept = BRAIN & (np.arange(40) >= 19)[:, None]
    assert found == measure_returned(x, x, kept, LESION)


def test_nothing_to_measure() -> None:
    x, nothing = texture(0), np.full(SHAPE, np.nan, dtype=np.float32)
    assert measure_returned(x, nothing, BRAIN, LESION) is None
    assert measure_returned(x, x, np.zeros_like(BRAIN)) is None
    assert measure_returned(x, x, BRAIN, BRAIN) is None, "no healthy voxel"
    assert measure_returned(np.ones_like(x), x, BRAIN) is None, "x does not vary"


@pytest.mark.parametrize("lesion", [None, np.zeros(SHAPE, dtype=bool), ~BRAIN])
def test_no_lesion_no_removal(lesion: NDArray[np.bool_] | None) -> None:
    found = measure_returned(texture(0), texture(0), BRAIN, lesion)
    assert found is not None
    assert found.removal is None


def test_no_contrast_no_removal() -> None:
    """A quotient of two numbers near 0 says nothing."""
    ripple = np.where(np.indices(SHAPE).sum(0) % 2, 1.0, -1.0).astype(np.float32)
    faint, clear = (ripple + by * LESION for by in (0.1, 0.5))
    found = [measure_returned(x, ripple, BRAIN, LESION) for x in (faint, clear)]
    assert [one is not None and one.removal is not None for one in found] == [False, True]


def test_all_healthy_brain_where_none_is_near() -> None:
    brain = np.zeros(SHAPE, dtype=bool)
    brain[0, 20, 5:9] = brain[0, 20, 30:34] = True
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[0, 20, 30:34] = True
    x = np.zeros(SHAPE, dtype=np.float32)
    x[0, 20, 5:9] = [1, 2, 1, 2]
    x[lesion] = 3.5
    back = np.where(lesion, 2.5, x)
    found = measure_returned(x, back, brain, lesion)
    assert found is not None
    assert found.removal == pytest.approx(0.5)


def test_finding() -> None:
    assert check_returned(None) == []
    assert check_returned(FOLLOWS) == []
    assert check_returned(replace(FOLLOWS, correlation=LEAST_CORRELATION)) == []
    (finding,) = check_returned(replace(FOLLOWS, correlation=0.061))
    assert (finding.code, finding.severity) == ("reconstruction.does_not_follow", "warning")
    assert "correlation 0.06, expected 0.50 at least" in finding.text
    assert "\n" not in finding.text
