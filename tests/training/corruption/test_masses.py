"""mmccd.training.corruption.masses: one tumour-like change a slice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.training.slices import SIZE, healthy_slices

from mmccd.imaging import Draws
from mmccd.training.corruption import paint_masses

EVERYWHERE = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)


def flat(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Featureless tissue that fills the slice."""
    return torch.zeros(count, 1, SIZE, SIZE), EVERYWHERE.expand(count, -1, -1, -1)


@pytest.mark.parametrize("radius", [4.0, 10.0])
def test_one_connected_change_of_about_the_radius(radius: float) -> None:
    _, inside = paint_masses(*flat(80), Draws(0), (radius, radius))
    sizes, largest = [], []
    for one in (inside[:, 0] > 0.5).numpy():
        regions, number = ndimage.label(one)
        parts = ndimage.sum(one, regions, range(1, number + 1))
        sizes.append(one.sum() / (math.pi * radius**2))
        largest.append(max(parts) / one.sum())
    assert 0.75 < np.median(sizes) < 1.25
    assert np.mean(np.array(largest) > 0.95) > 0.9


def test_radii_lie_in_the_range() -> None:
    """Areas of small and large masses differ as their radii do."""
    areas = [
        float((paint_masses(*flat(80), Draws(1), radius)[1] > 0.5).float().sum((1, 2, 3)).median())
        for radius in ((2.0, 4.0), (7.0, 30.0))
    ]
    assert 5 < areas[0] < 60
    assert areas[1] > 300


def test_the_larger_the_stronger() -> None:
    """From radius 14 on at least one standard deviation; small ones may be fainter."""

    def strengths(radius: float) -> torch.Tensor:
        image, brain = flat(90)
        after, inside = paint_masses(image, brain, Draws(2), (radius, radius))
        change = torch.where(inside > 0.9, (after - image).abs(), torch.nan).flatten(1)
        return change.nanquantile(0.75, dim=1)

    small, large = (values[~values.isnan()] for values in map(strengths, (3.0, 20.0)))
    assert float((large > 0.8).float().mean()) > 0.93
    assert float((small > 0.8).float().mean()) < 0.85
    assert float(large.quantile(0.05)) > float(small.quantile(0.05)) + 0.2


def test_mostly_bright_sometimes_dark() -> None:
    image, brain = flat(120)
    after, inside = paint_masses(image, brain, Draws(3), (5.0, 15.0))
    shift = ((after - image) * inside).sum((1, 2, 3))
    assert 0.65 < float((shift > 0).float().mean()) < 0.95


def test_only_large_masses_push_and_have_cores() -> None:
    """Around a small mass nothing moves; around some large ones tissue does."""
    image, brain = healthy_slices(60, texture=0.4)
    moved = []
    for radius in (6.0, 16.0):
        after, inside = paint_masses(image, brain, Draws(4), (radius, radius))
        around = (inside < 1e-4) & brain
        moved.append((torch.where(around, after - image, 0).abs().amax((1, 2, 3)) > 0.05).float())
    assert float(moved[0].mean()) == 0
    assert 0.25 < float(moved[1].mean()) < 0.75
