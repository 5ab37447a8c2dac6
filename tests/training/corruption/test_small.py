"""mmccd.training.corruption.small: many small lesions in tissue."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from tests.training.slices import healthy_slices, ventricles

from mmccd.imaging import Draws
from mmccd.training.corruption import paint_small_lesions, small
from mmccd.training.corruption.small import SHARE, TISSUE_ABOVE, _near_ventricles


def test_the_share_of_tissue_that_is_lesion() -> None:
    image, brain = healthy_slices(100)
    _, inside = paint_small_lesions(image, brain, Draws(0))
    tissue = (image > TISSUE_ABOVE) & brain
    shares = (inside > 0.5).sum((1, 2, 3)) / tissue.sum((1, 2, 3))
    # Counted on every second pixel, and half of them blurred: not exact.
    within = (shares > 0.3 * SHARE[0]) & (shares < 1.3 * SHARE[1])
    assert float(within.float().mean()) > 0.95
    assert float(shares.min()) < 0.01 and float(shares.max()) > 0.04


def test_they_are_many_and_small() -> None:
    image, brain = healthy_slices(40)
    _, inside = paint_small_lesions(image, brain, Draws(1))
    parts = [ndimage.label(one)[1] for one in (inside[:, 0] > 0.5).numpy()]
    areas = (inside > 0.5).sum((1, 2, 3)) / torch.tensor(parts).clamp_min(1)
    assert torch.tensor(parts).float().median() >= 4
    assert 2 < float(areas.median()) < 60


def test_they_lie_in_tissue_and_not_in_fluid() -> None:
    image, brain = healthy_slices(60)
    after, inside = paint_small_lesions(image, brain, Draws(2))
    fluid = (image <= TISSUE_ABOVE) & brain
    assert float((inside[fluid] > 0.5).float().mean()) < 1e-3
    deep = torch.from_numpy(ndimage.binary_erosion(ventricles()[0, 0].numpy(), iterations=3))
    assert float((after - image)[:, 0, deep].abs().max()) < 1e-4
    assert torch.equal(after[~brain], image[~brain])


def test_along_the_ventricles_nearer_than_scattered(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same numbers and no word of ventricles, half of the slices are the same, and in the
    others fewer lesions lie near fluid.
    """
    image, brain = healthy_slices(120)
    near = (_near_ventricles(image, brain) > 0.15) & (image > TISSUE_ABOVE)

    def lesions() -> torch.Tensor:
        return paint_small_lesions(image, brain, Draws(3))[1] > 0.5

    lining = lesions()
    monkeypatch.setattr(small, "_near_ventricles", lambda image, brain: torch.zeros_like(image))
    scattered = lesions()
    moved = (lining != scattered).flatten(1).any(1)
    assert 0.3 < float(moved.float().mean()) < 0.7
    there, before = (
        float((part & near)[moved].sum() / part[moved].sum()) for part in (lining, scattered)
    )
    assert there > 2 * before


def test_nearness_is_that_of_inner_fluid() -> None:
    image, brain = healthy_slices(1, texture=0.0)
    sulcus = image.clone()
    sulcus[0, 0, 62:66, 110:117] = -3.0
    near = _near_ventricles(sulcus, brain)
    assert float(near.max()) == 1
    assert float(near[0, 0, 60, 56]) > 0.5 > float(near[0, 0, 64, 113])
    none = _near_ventricles(image.clamp_min(0), brain)
    assert float(none.max()) == 0
