"""mmccd.training.corruption.ventricles: how far each pixel lies from them."""

from __future__ import annotations

import torch
from scipy import ndimage
from tests.training.slices import FLUID, healthy_slices, ventricles

from mmccd.training.corruption.ventricles import inner_fluid, ventricle_distance


def test_fluid_in_sulci_is_not_inner_fluid() -> None:
    image, brain = healthy_slices(1, texture=0.0)
    image[0, 0, 62:66, 112:117] = FLUID
    found = inner_fluid(image, brain)
    assert bool(found[ventricles()].all())
    assert not bool(found[0, 0, 62:66, 112:117].any())


def test_a_straight_border_gives_the_distance_itself() -> None:
    image = torch.zeros(1, 1, 128, 128)
    image[..., :64] = FLUID
    found = ventricle_distance(image, torch.ones_like(image, dtype=torch.bool))
    row = found[0, 0, 64]
    expected = torch.arange(128) - 63.5
    near = (expected > -8) & (expected < 8)
    assert torch.allclose(row[near], expected[near], atol=0.3)
    assert bool(row[80:].isinf().all())


def test_it_rises_with_the_true_distance() -> None:
    image, brain = healthy_slices(1, texture=0.0)
    found = ventricle_distance(image, brain)[0, 0]
    outside = torch.from_numpy(ndimage.distance_transform_edt(~ventricles()[0, 0].numpy()))
    means = [float(found[(outside > k) & (outside <= k + 1)].mean()) for k in range(5)]
    assert means == sorted(means)
    assert 0 < means[0] < 4


def test_without_ventricles_everything_is_far() -> None:
    image, brain = healthy_slices(2)
    assert bool(ventricle_distance(image.clamp_min(0), brain).isinf().all())
