"""mmccd.methods.mmccd.decision: what d sees, and where it looks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mmccd.methods.mmccd.decision import DECISION_CHANNELS, MIDDLE, decide, decision_input, middle


class Echo(nn.Module):
    """Says the first channel, and keeps the shape that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, given: Tensor) -> Tensor:
        self.sizes.append(tuple(given.shape))
        return given[:, :1]


@pytest.fixture
def brain() -> Tensor:
    mask = torch.zeros(2, 1, 128, 128, dtype=torch.bool)
    mask[:, :, 30:90, 40:80] = True
    return mask


def given(brain: Tensor) -> Tensor:
    random = torch.Generator().manual_seed(0)
    image, returned = (torch.randn(brain.shape, generator=random) for _ in range(2))
    return decision_input(image, brain, returned, image - returned)


def test_the_channels(brain: Tensor) -> None:
    image = torch.full(brain.shape, 20.0)
    image[..., :64] = -20.0
    returned = torch.full(brain.shape, torch.nan)
    returned[0] = 1.5
    found = decision_input(image, brain, returned, image - returned)
    assert found.shape == (2, DECISION_CHANNELS, 128, 128)
    inside = brain.float()
    limited = torch.where(image > 0, 8.0, -4.0) * inside
    assert torch.equal(found[:, :1], limited), "limited, nothing outside"
    assert torch.equal(found[:, 1:2], limited.flip(-1)), "mirrored left to right"
    assert torch.equal(found[:, 2:3], inside)
    assert torch.equal(found[0, 3:4], 1.5 * inside[0])
    assert torch.equal(found[1, 3:], torch.zeros(2, 128, 128)), "what was not scored is 0"


class TestMiddle:
    @pytest.mark.parametrize("size", [(128, 128), (112, 96), (40, 200), (7, 9)])
    def test_as_far_from_one_border_as_from_the_other(self, size: tuple[int, int]) -> None:
        rows, columns = (torch.arange(n) for n in size)
        layer = (1000 * rows[:, None] + columns)[None, None]
        found = middle(layer)
        assert found.shape[-2:] == tuple(map(min, size, MIDDLE))
        first, last = int(found[0, 0, 0, 0]), int(found[0, 0, -1, -1])
        for one, other, whole in ((first // 1000, last // 1000, 0), (first % 1000, last % 1000, 1)):
            assert abs(one - (size[whole] - 1 - other)) <= 1


class TestDecide:
    def test_probabilities_in_the_brain_and_0_outside(self, brain: Tensor) -> None:
        seen = given(brain)
        found = decide(Echo(), seen)
        assert found.shape == brain.shape
        assert torch.allclose(found, torch.where(brain, seen[:, :1].sigmoid(), 0))
        assert bool((found[~brain] == 0).all())

    def test_it_looks_at_the_middle_where_the_brain_fits_in(self, brain: Tensor) -> None:
        network = Echo()
        decide(network, given(brain))
        wide = brain.clone()
        wide[0, 0, 60, 2:126] = True
        found = decide(network, given(wide))
        assert network.sizes == [(2, 5, *MIDDLE), (2, 5, 128, 128)]
        assert bool((found[0, 0, 60, 2:126] > 0).all())
