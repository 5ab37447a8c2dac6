"""mmccd.methods.intensity."""

from __future__ import annotations

import torch

from mmccd.imaging.normalisation import Normalisation
from mmccd.methods.base import Context, Slices
from mmccd.methods.intensity import Intensity


def test_is_the_input(slices: Slices) -> None:
    result = Intensity().build(Context()).score(slices)
    assert torch.equal(result.anomaly[slices.brain], slices.image[slices.brain])
    assert result.translated.isnan().all()
    assert result.reconstructed.isnan().all()


def test_is_the_range_of_the_brain_and_may_be_dark_on_other_contrasts() -> None:
    method = Intensity()
    assert method.normalisation(Context()) == Normalisation("range", 2.0, 90.0)
    for signed in (True, False):
        assert method.polarities("flair", signed) == (1,)
        assert method.polarities("t2", signed) == (1, -1)
