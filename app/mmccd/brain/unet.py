"""A plain U-Net (Ronneberger et al., MICCAI 2015; Falk et al., Nature Methods 2019).

It is MONAI's ``BasicUNet`` in two dimensions with group normalisation: the same names of the
weights, the same random numbers at its start, the same output to the bit (a test compares), without
the seconds that ``import monai`` takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SLOPE = 0.1


class PlainUNet(nn.Module):
    """Five levels, halved by maximum and doubled by transposed convolution.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        features: channels of the five levels and of the last layer.
        groups: groups of the group normalisation; divides each of ``features``.

    Raises:
        ValueError: another number of levels, or groups that divide them not.
    """

    def __init__(
        self, in_channels: int, out_channels: int, features: Sequence[int], groups: int
    ) -> None:
        super().__init__()
        if len(features) != 6:
            raise ValueError(f"features must be six numbers, got {list(features)}")
        first, second, third, fourth, fifth, last = features
        self.conv_0 = _TwoConvolutions(in_channels, first, groups)
        self.down_1 = _Down(first, second, groups)
        self.down_2 = _Down(second, third, groups)
        self.down_3 = _Down(third, fourth, groups)
        self.down_4 = _Down(fourth, fifth, groups)
        self.upcat_4 = _Up(fifth, fifth // 2, fourth, fourth, groups)
        self.upcat_3 = _Up(fourth, fourth // 2, third, third, groups)
        self.upcat_2 = _Up(third, third // 2, second, second, groups)
        self.upcat_1 = _Up(second, second, first, last, groups)
        self.final_conv = nn.Conv2d(last, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)``, multiples of 16, to ``(batch, out_channels,
        height, width)``.
        """
        first = self.conv_0(x)
        second = self.down_1(first)
        third = self.down_2(second)
        fourth = self.down_3(third)
        hidden = self.upcat_4(self.down_4(fourth), fourth)
        hidden = self.upcat_2(self.upcat_3(hidden, third), second)
        output: Tensor = self.final_conv(self.upcat_1(hidden, first))
        return output


class _Activation(nn.Sequential):
    """Normalisation and a leaky rectifier."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.add_module("N", nn.GroupNorm(groups, channels))
        self.add_module("A", nn.LeakyReLU(_SLOPE, inplace=True))


class _Convolution(nn.Sequential):
    """A convolution of 3 x 3 with what follows it."""

    def __init__(self, into: int, out: int, groups: int) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(into, out, kernel_size=3, padding=1))
        self.add_module("adn", _Activation(out, groups))


class _TwoConvolutions(nn.Sequential):
    """The convolutions of a level."""

    def __init__(self, into: int, out: int, groups: int) -> None:
        super().__init__()
        self.add_module("conv_0", _Convolution(into, out, groups))
        self.add_module("conv_1", _Convolution(out, out, groups))


class _Down(nn.Sequential):
    """Half of the resolution, and the convolutions there."""

    def __init__(self, into: int, out: int, groups: int) -> None:
        super().__init__()
        self.add_module("max_pooling", nn.MaxPool2d(kernel_size=2))
        self.add_module("convs", _TwoConvolutions(into, out, groups))


class _Upsampling(nn.Sequential):
    """Twice the resolution."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.add_module("deconv", nn.ConvTranspose2d(into, out, kernel_size=2, stride=2))


class _Up(nn.Module):
    """Twice the resolution, and the convolutions there, of that beside what skipped the levels
    below.
    """

    def __init__(self, into: int, doubled: int, skipped: int, out: int, groups: int) -> None:
        super().__init__()
        self.upsample = _Upsampling(into, doubled)
        self.convs = _TwoConvolutions(skipped + doubled, out, groups)

    def forward(self, hidden: Tensor, skipped: Tensor) -> Tensor:
        output: Tensor = self.convs(torch.cat([skipped, self.upsample(hidden)], dim=1))
        return output
