"""The networks against MONAI's, whose weights they take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from torch import nn

from mmccd.models.diffusion_unet import DiffusionUNet, timestep_embedding

SMALL: dict[str, Any] = {
    "in_channels": 2,
    "out_channels": 1,
    "channels": (8, 16, 24),
    "num_res_blocks": 1,
    "attention_levels": (False, True, True),
    "num_head_channels": (0, 8, 12),
    "norm_num_groups": 4,
    "resblock_updown": False,
}


def made(kind: type[nn.Module], **settings: Any) -> nn.Module:
    """A network with the random weights of its start."""
    torch.manual_seed(0)
    return kind(**settings)


def awake(network: nn.Module) -> nn.Module:
    """The same with weights that are not zero."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resblock_updown": True},
        {"num_res_blocks": 2},
        {"attention_levels": (True, False, True), "num_head_channels": (4, 0, 24)},
        {"channels": (8,), "attention_levels": (False,), "num_head_channels": (8,)},
    ],
    ids=["plain", "residual steps", "two blocks", "attention above", "one level"],
)
class TestDiffusionUNet:
    def both(self, changes: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
        settings = SMALL | changes
        theirs = made(DiffusionModelUNet, spatial_dims=2, use_flash_attention=True, **settings)
        return made(DiffusionUNet, **settings), theirs

    def test_starts_as_monais(self, changes: dict[str, Any]) -> None:
        """Names, order and random numbers."""
        ours, theirs = self.both(changes)
        wanted = list(theirs.named_parameters())
        found = list(ours.named_parameters())
        assert [name for name, _ in found] == [name for name, _ in wanted]
        for (name, mine), (_, other) in zip(found, wanted, strict=True):
            assert torch.equal(mine, other), name

    def test_gives_what_monais_gives(self, changes: dict[str, Any]) -> None:
        """Output and gradients, to the bit."""
        ours, theirs = map(awake, self.both(changes))
        image, times = torch.randn(3, 2, 16, 24), torch.tensor([0, 7, 999])
        found, wanted = ours(image, times), theirs(image, times)
        assert torch.equal(found, wanted)
        found.square().sum().backward()
        wanted.square().sum().backward()
        for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert mine.grad is not None, name
            assert torch.equal(mine.grad, other.grad), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (8, 16)}, "one entry a level"),
        ({"norm_num_groups": 3}, "must divide all channels"),
        ({"num_head_channels": (0, 8, 9)}, "must divide the channels"),
    ],
)
def test_refuses_levels_that_do_not_belong_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(DiffusionUNet, **SMALL | changes)


def test_embedding_of_an_odd_length_ends_with_zero() -> None:
    found = timestep_embedding(torch.tensor([0, 5]), 7)
    assert found.shape == (2, 7)
    assert found[:, -1].tolist() == [0.0, 0.0]
