"""The plain U-Net against MONAI's, whose weights it takes."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from mmccd.brain.unet import PlainUNet

FEATURES = (8, 8, 16, 16, 24, 8)


def made() -> tuple[nn.Module, nn.Module]:
    """Ours and MONAI's, from the same seed."""
    torch.manual_seed(0)
    ours = PlainUNet(3, 2, FEATURES, 4)
    torch.manual_seed(0)
    norm = ("group", {"num_groups": 4})
    return ours, BasicUNet(2, 3, 2, FEATURES, norm=norm)


def test_starts_as_monais() -> None:
    """Names, order and random numbers."""
    ours, theirs = made()
    found, wanted = list(ours.named_parameters()), list(theirs.named_parameters())
    assert [name for name, _ in found] == [name for name, _ in wanted]
    assert all(
        torch.equal(mine, other) for (_, mine), (_, other) in zip(found, wanted, strict=True)
    )


def test_gives_what_monais_gives() -> None:
    ours, theirs = made()
    image = torch.randn(2, 3, 32, 48)
    found, wanted = ours(image), theirs(image)
    assert torch.equal(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert torch.equal(mine.grad, other.grad)


@pytest.mark.parametrize("features", [(8,) * 5, (8,) * 7])
def test_refuses_another_number_of_levels(features: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="six numbers"):
        PlainUNet(3, 2, features, 4)
