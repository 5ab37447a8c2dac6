"""mmccd.methods.constant."""

from __future__ import annotations

import pytest
import torch

from mmccd.methods.base import Context, Slices
from mmccd.methods.constant import Constant
from mmccd.methods.mmccd.settings import CycleSettings


@pytest.mark.parametrize(
    ("sign", "other_side", "bright", "dark"),
    [("both", 0.5, 1.0, 1.0), ("brighter", 0.2, 1.0, 0.2), ("darker", 0.0, 0.0, 1.0)],
)
def test_error_of_the_cycle_with_one_number_as_its_image(
    slices: Slices, sign: str, other_side: float, bright: float, dark: float
) -> None:
    context = Context(cycle=CycleSettings(sign=sign, other_side=other_side))
    result = Constant(value=0.25).build(context).score(slices)
    inside = slices.image[slices.brain]
    signed = inside - 0.25
    expected = bright * signed.clamp(min=0) + dark * (-signed).clamp(min=0)
    torch.testing.assert_close(result.anomaly[slices.brain], expected)
    assert torch.equal(result.signed[slices.brain], signed)
    assert (result.reconstructed[slices.brain] == 0.25).all()
    assert result.translated.isnan().all()


def test_the_cycles_sign_says_which_side_counts() -> None:
    context = Context(cycle=CycleSettings(sign="brighter", other_side=0.2))
    assert Constant().sides(context) == ("brighter", 0.2)
    assert Constant().key(context) == {
        "value": Constant().value,
        "sign": "brighter",
        "other_side": 0.2,
    }
    assert Constant().polarities("t1", signed=True) == (1,)
