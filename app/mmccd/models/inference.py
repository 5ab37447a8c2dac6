"""Networks as they are placed for inference: device, layout, rounded weights, and layers that are
quick there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLOW_BELOW_PIXELS = 1024
"""PyTorch's CPU kernel for a channels-last GroupNorm takes another way below this size of a feature
map (``feature_map_threshold`` in its group_norm_kernel.cpp), which in bf16 is up to ten times
slower per value (docs/benchmarks.md).
"""


def to_device(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Place a network for inference.

    For bf16 it becomes channels-last, and the weights of convolutions and linear layers are rounded
    to bf16 once: autocast would do the same in each pass. Normalisations keep theirs in float32; on
    a CPU they become :class:`SmallMapGroupNorm`.

    Args:
        network: in evaluation mode; it is changed.
        device: where it goes.
        precision: ``"fp32"`` or ``"bf16"``; a network for bf16 is called under
            :func:`~mmccd.models.device.autocast`.
    """
    placed: nn.Module = network.to(device)
    if precision != "bf16":
        return placed
    for layer in placed.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.to(torch.bfloat16)
    if device.type == "cpu":
        _quicken_norms(placed)
    folded: nn.Module = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


class SmallMapGroupNorm(nn.GroupNorm):
    """Group normalisation (Wu and He, ECCV 2018) that is quick on small channels-last feature maps,
    too; for inference.

    Below :data:`SLOW_BELOW_PIXELS` the moments are summed in float32, for each channel over the
    pixels and then over the channels of a group, and the result is rounded once to the input's
    type: equal to :class:`torch.nn.GroupNorm` up to that rounding. Other inputs take PyTorch's
    kernel.
    """

    @classmethod
    def like(cls, norm: nn.GroupNorm) -> SmallMapGroupNorm:
        """The same normalisation with the same parameters."""
        made = cls(norm.num_groups, norm.num_channels, norm.eps, norm.affine)
        made.weight, made.bias = norm.weight, norm.bias
        return made.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(batch, channels, height, width)``."""
        small = input.ndim == 4 and input.shape[-2] * input.shape[-1] < SLOW_BELOW_PIXELS
        if (
            not small
            or not self.affine
            or not input.is_contiguous(memory_format=torch.channels_last)
        ):
            return super().forward(input)
        batch, channels, height, width = input.shape
        groups = (batch, self.num_groups, channels // self.num_groups)
        values = input.permute(0, 2, 3, 1).flatten(1, 2).float()
        mean = values.mean(1).view(groups).mean(2, keepdim=True)
        square = values.square().mean(1).view(groups).mean(2, keepdim=True)
        variance = (square - mean.square()).clamp_min(0)
        scale = (variance + self.eps).rsqrt() * self.weight.view(1, *groups[1:])
        shift = self.bias.view(1, *groups[1:]) - mean * scale
        normalised = torch.addcmul(
            shift.view(batch, 1, channels), values, scale.view(batch, 1, channels)
        ).to(input.dtype)
        return normalised.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _quicken_norms(network: nn.Module) -> None:
    """Replace the group normalisations of a network."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.GroupNorm:
                setattr(parent, name, SmallMapGroupNorm.like(layer))
