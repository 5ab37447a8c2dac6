"""The diffusion U-Net (Ho et al., NeurIPS 2020) in plain PyTorch.

It is the part of MONAI's ``DiffusionModelUNet`` that we use: two dimensions, self-attention, no
conditioning. Its weights have the same names, it starts from the same random numbers and gives the
same output to the bit (a test compares), so that weights go from the one into the other.
``import monai`` takes longer than everything else that a prediction does before its first pass, and
nothing else on that way needs MONAI.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-6
_LONGEST_PERIOD = 10_000


class DiffusionUNet(nn.Module):
    """A U-Net that knows the timestep.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        channels: channels of each level.
        num_res_blocks: residual blocks of each level.
        attention_levels: which levels have self-attention; the middle always has.
        num_head_channels: channels of an attention head at each level (not looked at where there is
            no attention).
        norm_num_groups: groups of the group normalisation; divides each of ``channels``.
        resblock_updown: residual blocks instead of strided convolutions between levels.

    Raises:
        ValueError: settings of the levels that do not belong together.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        num_res_blocks: int,
        attention_levels: Sequence[bool],
        num_head_channels: Sequence[int],
        norm_num_groups: int,
        resblock_updown: bool,
    ) -> None:
        super().__init__()
        if not len(channels) == len(attention_levels) == len(num_head_channels):
            raise ValueError(
                "channels, attention_levels and num_head_channels must have one entry a level, got"
                f" {len(channels)}, {len(attention_levels)} and {len(num_head_channels)}"
            )
        if any(count % norm_num_groups for count in channels):
            raise ValueError(
                f"norm_num_groups must divide all channels, got {norm_num_groups} and"
                f" {list(channels)}"
            )
        self.time_channels = channels[0]
        shared = _Shared(4 * channels[0], norm_num_groups, resblock_updown)
        last = len(channels) - 1
        heads = [
            head if attends else None
            for head, attends in zip(num_head_channels, attention_levels, strict=True)
        ]
        self.conv_in = _Convolution(in_channels, channels[0])
        self.time_embed = nn.Sequential(
            nn.Linear(channels[0], shared.time), nn.SiLU(), nn.Linear(shared.time, shared.time)
        )
        self.down_blocks = nn.ModuleList()
        for level, count in enumerate(channels):
            into = [channels[max(level - 1, 0)], *[count] * (num_res_blocks - 1)]
            self.down_blocks.append(_DownBlock(into, count, shared, heads[level], level < last))
        self.middle_block = _MiddleBlock(channels[-1], shared, num_head_channels[-1])
        self.up_blocks = nn.ModuleList()
        for level in range(last, -1, -1):
            count, same = channels[level], [channels[level]] * num_res_blocks
            below, above = channels[min(level + 1, last)], channels[max(level - 1, 0)]
            # What comes from below and what skipped the levels below, side by side.
            into = [*map(sum, zip([below, *same], [*same, above], strict=True))]
            self.up_blocks.append(_UpBlock(into, count, shared, heads[level], level > 0))
        self.out = nn.Sequential(
            nn.GroupNorm(norm_num_groups, channels[0], eps=_EPSILON),
            nn.SiLU(),
            _zeroed(_Convolution(channels[0], out_channels)),
        )

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """One pass.

        Args:
            x: ``(batch, in_channels, height, width)``; height and width can be halved between all
                levels.
            timesteps: ``(batch,)``, int64.

        Returns:
            ``(batch, out_channels, height, width)``.
        """
        embedding = timestep_embedding(timesteps, self.time_channels).to(x.dtype)
        time = self.time_embed(embedding)
        hidden = self.conv_in(x)
        skips = [hidden]
        for down in self.down_blocks:
            hidden, found = down(hidden, time)
            skips += found
        hidden = self.middle_block(hidden, time)
        for up in self.up_blocks:
            hidden = up(hidden, skips, time)
        output: Tensor = self.out(hidden)
        return output


def timestep_embedding(timesteps: Tensor, channels: int) -> Tensor:
    """Cosines and sines of timesteps (Vaswani et al., 2017, in the form of Ho et al., 2020).

    Args:
        timesteps: ``(batch,)``.
        channels: length of an embedding.

    Returns:
        float32 ``(batch, channels)``; the last one is 0 where their number is odd.
    """
    half = channels // 2
    exponent = -math.log(_LONGEST_PERIOD) * torch.arange(
        half, dtype=torch.float32, device=timesteps.device
    )
    angles = timesteps[:, None].float() * torch.exp(exponent / half)[None, :]
    embedding = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
    return F.pad(embedding, (0, 1)) if channels % 2 else embedding


@dataclass(frozen=True)
class _Shared:
    """What all blocks of a network have in common.

    Attributes:
        time: channels of the timestep's embedding.
        groups: of the group normalisations.
        by_residual_blocks: whether these change the resolution, rather than convolutions.
    """

    time: int
    groups: int
    by_residual_blocks: bool


class _Convolution(nn.Sequential):
    """A convolution that keeps the size, or halves it."""

    def __init__(self, into: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(into, out, kernel, stride, padding=kernel // 2))


class _ResidualBlock(nn.Module):
    """Two convolutions around the timestep's shift, beside a shortcut."""

    def __init__(
        self, into: int, out: int, shared: _Shared, resize: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.resize = resize or nn.Identity()
        self.norm1 = nn.GroupNorm(shared.groups, into, eps=_EPSILON)
        self.conv1 = _Convolution(into, out)
        self.time_emb_proj = nn.Linear(shared.time, out)
        self.norm2 = nn.GroupNorm(shared.groups, out, eps=_EPSILON)
        self.conv2 = _zeroed(_Convolution(out, out))
        self.skip_connection = nn.Identity() if into == out else _Convolution(into, out, kernel=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        hidden = self.conv1(self.resize(F.silu(self.norm1(x))))
        hidden = hidden + self.time_emb_proj(F.silu(time))[:, :, None, None]
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        output: Tensor = self.skip_connection(self.resize(x)) + hidden
        return output


class _SelfAttention(nn.Module):
    """Attention of all pixels to all (Vaswani et al., 2017)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.out_proj = nn.Linear(channels, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        found = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        output: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return output


class _SpatialAttention(nn.Module):
    """Self-attention of an image, beside a shortcut."""

    def __init__(self, channels: int, head_channels: int, groups: int) -> None:
        super().__init__()
        if channels % head_channels:
            raise ValueError(
                f"num_head_channels must divide the channels, got {head_channels} and {channels}"
            )
        self.norm = nn.GroupNorm(groups, channels, eps=_EPSILON)
        self.attn = _SelfAttention(channels, channels // head_channels)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        attended: Tensor = self.attn(pixels).transpose(1, 2).reshape(x.shape)
        return (attended + x).contiguous()


class _Level(nn.Module):
    """Residual blocks, each with attention behind it where the level has some.

    Args:
        into: channels into each block.
        out: channels out of all of them.
        shared: see there.
        head_channels: of an attention head; None where there is no attention.
    """

    def __init__(
        self, into: Sequence[int], out: int, shared: _Shared, head_channels: int | None
    ) -> None:
        super().__init__()
        resnets, attentions = nn.ModuleList(), nn.ModuleList()
        for count in into:
            # In turn, as MONAI does: random weights are drawn in this order.
            resnets.append(_ResidualBlock(count, out, shared))
            if head_channels is not None:
                attentions.append(_SpatialAttention(out, head_channels, shared.groups))
        self._register(resnets, attentions)

    def _register(self, resnets: nn.ModuleList, attentions: nn.ModuleList) -> None:
        self.resnets, self.attentions = resnets, attentions

    def block(self, number: int, hidden: Tensor, time: Tensor) -> Tensor:
        """One of the blocks with its attention."""
        hidden = self.resnets[number](hidden, time)
        return self.attentions[number](hidden) if len(self.attentions) else hidden


class _DownBlock(_Level):
    """A level on the way down, and the step to the next one."""

    def __init__(
        self,
        into: Sequence[int],
        out: int,
        shared: _Shared,
        head_channels: int | None,
        steps_down: bool,
    ) -> None:
        super().__init__(into, out, shared, head_channels)
        self.downsampler = _step_down(out, shared) if steps_down else None

    def _register(self, resnets: nn.ModuleList, attentions: nn.ModuleList) -> None:
        # The order of MONAI's parameters on the way down, which the states of optimisers know.
        self.attentions, self.resnets = attentions, resnets

    def forward(self, hidden: Tensor, time: Tensor) -> tuple[Tensor, list[Tensor]]:
        found = []
        for number in range(len(self.resnets)):
            hidden = self.block(number, hidden, time)
            found.append(hidden)
        if self.downsampler is not None:
            hidden = self.downsampler(hidden, time)
            found.append(hidden)
        return hidden, found


class _MiddleBlock(nn.Module):
    """The lowest level's residual blocks, with attention between them."""

    def __init__(self, channels: int, shared: _Shared, head_channels: int) -> None:
        super().__init__()
        self.resnet_1 = _ResidualBlock(channels, channels, shared)
        self.attention = _SpatialAttention(channels, head_channels, shared.groups)
        self.resnet_2 = _ResidualBlock(channels, channels, shared)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        output: Tensor = self.resnet_2(self.attention(self.resnet_1(hidden, time)), time)
        return output


class _UpBlock(_Level):
    """A level on the way up, and the step to the next one."""

    def __init__(
        self,
        into: Sequence[int],
        out: int,
        shared: _Shared,
        head_channels: int | None,
        steps_up: bool,
    ) -> None:
        super().__init__(into, out, shared, head_channels)
        self.upsampler = _step_up(out, shared) if steps_up else None

    def forward(self, hidden: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
        for number in range(len(self.resnets)):
            hidden = self.block(number, torch.cat([hidden, skips.pop()], dim=1), time)
        if self.upsampler is not None:
            hidden = self.upsampler(hidden, time)
        return hidden


class _Halved(nn.Module):
    """A strided convolution; it does not look at the timestep."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = _Convolution(channels, channels, stride=2)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        output: Tensor = self.op(hidden)
        return output


class _Doubled(nn.Module):
    """The nearest neighbour, and a convolution; it does not look at the timestep."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.postconv = _Convolution(channels, channels)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        output: Tensor = self.postconv(F.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        return output


def _step_down(channels: int, shared: _Shared) -> nn.Module:
    """Half of the resolution."""
    if not shared.by_residual_blocks:
        return _Halved(channels)
    return _ResidualBlock(channels, channels, shared, nn.AvgPool2d(2))


def _step_up(channels: int, shared: _Shared) -> nn.Module:
    """Twice the resolution."""
    if not shared.by_residual_blocks:
        return _Doubled(channels)
    return _ResidualBlock(channels, channels, shared, nn.Upsample(scale_factor=2.0))


def _zeroed(layer: nn.Module) -> nn.Module:
    """The layer, which starts with zeros."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
