"""mmccd.training.corruption.bands: what is painted along the ventricles."""

from __future__ import annotations

import torch
from scipy import ndimage
from tests.training.slices import healthy_slices, ventricles

from mmccd.imaging import Draws
from mmccd.training.corruption import paint_bands


def distances() -> torch.Tensor:
    """From the ventricles, in pixels, ``(128, 128)``."""
    return torch.from_numpy(ndimage.distance_transform_edt(~ventricles()[0, 0].numpy()))


def test_they_lie_at_the_ventricles_and_in_tissue() -> None:
    image, brain = healthy_slices(80)
    after, inside = paint_bands(image, brain, Draws(0))
    painted = inside[:, 0] > 0.5
    assert float(painted.flatten(1).any(1).float().mean()) > 0.7
    far = painted & (distances() > 20)
    assert float(far.sum() / painted.sum()) < 0.05
    deep = torch.from_numpy(ndimage.binary_erosion(ventricles()[0, 0].numpy(), iterations=3))
    assert float((after - image)[:, 0, deep].abs().max()) < 1e-3
    assert torch.equal(after[~brain], image[~brain])


def test_thin_ones_and_confluent_ones() -> None:
    image, brain = healthy_slices(120)
    _, inside = paint_bands(image, brain, Draws(1))
    areas = (inside > 0.5).flatten(1).sum(1).float()
    area = float(ventricles().sum())
    assert float((areas < 0.6 * area).float().mean()) > 0.2
    assert float((areas > 1.5 * area).float().mean()) > 0.1


def test_thin_ones_are_seen() -> None:
    """Fainter than that is what healthy people have."""
    image, brain = healthy_slices(120, texture=0.0)
    after, inside = paint_bands(image, brain, Draws(2))
    painted = inside > 0.8
    change = (after - image).abs()
    strong = [
        float(change[n][painted[n]].mean()) for n in range(len(image)) if painted[n].sum() > 5
    ]
    assert len(strong) > 60 and min(strong) > 0.2
    assert sorted(strong)[len(strong) // 2] > 0.6


def test_without_ventricles_nothing_is_painted() -> None:
    image, brain = healthy_slices(20)
    dry = image.clamp_min(0) * brain
    after, inside = paint_bands(dry, brain, Draws(3))
    assert torch.equal(after, dry) and float(inside.max()) == 0
