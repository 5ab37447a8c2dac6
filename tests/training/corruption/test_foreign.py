"""mmccd.training.corruption.foreign: patches of another slice, and constants."""

from __future__ import annotations

import numpy as np
import torch
from tests.training.slices import healthy_slices

from mmccd.imaging import Draws
from mmccd.training.corruption import paint_foreign
from mmccd.training.corruption.foreign import SHIFT_PIXELS


def test_a_patch_shows_the_slice_before_moved() -> None:
    """What was blended in is another slice of the batch, up to gain and offset, in six of ten
    slices, else nearly constant.
    """
    seed, count = 5, 120
    image, brain = healthy_slices(count, texture=0.5)
    after, inside = paint_foreign(image, brain, Draws(seed))
    shifts = np.random.default_rng(seed).integers(-SHIFT_PIXELS, SHIFT_PIXELS + 1, 2).tolist()
    other = torch.roll(image, (1, *shifts), (0, 2, 3))
    filling = (after - image) / inside + image
    like_other, like_itself = [], []
    for number in range(count):
        seen = (inside[number] > 0.2) & (other[number] != 0)
        if seen.sum() < 30:
            continue
        values = torch.stack(
            [filling[number][seen], other[number][seen], image[number][seen]]
        ).double()
        correlation = torch.corrcoef(values)
        like_other.append(float(correlation[0, 1]))
        like_itself.append(float(correlation[0, 2]))
    assert len(like_other) > 60
    same = np.array(like_other) > 0.999
    assert 0.45 < same.mean() < 0.75
    assert np.mean(np.array(like_itself) > 0.999) < 0.05


def test_a_patch_stays_within_its_outline() -> None:
    image, brain = healthy_slices(20)
    after, inside = paint_foreign(image, brain, Draws(1))
    assert float(inside.min()) >= 0 and float(inside.max()) <= 1
    assert torch.equal(after[inside == 0], image[inside == 0])
    assert float(inside[~brain].max()) == 0
