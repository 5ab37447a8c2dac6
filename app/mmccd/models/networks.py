"""The networks of f and g: a diffusion U-Net behind a thin adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mmccd.models.diffusion_unet import DiffusionUNet
from mmccd.models.loading import StrictModule
from mmccd.models.scripting import ScriptableTranslation


class TranslationUNet(StrictModule):
    """A diffusion U-Net that also runs without a timestep, optionally between space-to-depth and
    depth-to-space.

    With ``factor`` 1 it is the network as it is. With ``factor`` k the image's k x k blocks
    become channels before the network and blocks again behind it (Shi et al., CVPR 2016): the
    network works at 1/k of the resolution, where a CPU spends far less time on normalisations and
    copies per FLOP.

    f is called as ``network(cat(y_t, x_r), timesteps)``, g as ``network(y)``. Without timesteps the
    embedding is that of t = 0.

    Args:
        in_channels: channels of the input image (2 for f: noisy target and masked condition; 1 for
            g).
        out_channels: channels of the output image.
        factor: edge of the space-to-depth blocks in pixels.
        channels: channels of each level.
        num_res_blocks: residual blocks of each level.
        attention_levels: which levels have self-attention.
        num_head_channels: channels of an attention head at each level (0 where there is none).
        norm_num_groups: groups of the group normalisation; divides each of ``channels``.
        resblock_updown: residual blocks instead of strided convolutions between levels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 1,
        factor: int = 1,
        channels: Sequence[int] = (32, 32, 64, 96, 128),
        num_res_blocks: int = 2,
        attention_levels: Sequence[bool] = (False, False, True, True, True),
        num_head_channels: Sequence[int] = (0, 0, 64, 96, 128),
        norm_num_groups: int = 32,
        resblock_updown: bool = False,
    ) -> None:
        super().__init__()
        if factor < 1:
            raise ValueError(f"factor must be 1 or more, got {factor}")
        self.settings: dict[str, Any] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "factor": factor,
            "channels": list(channels),
            "num_res_blocks": num_res_blocks,
            "attention_levels": list(attention_levels),
            "num_head_channels": list(num_head_channels),
            "norm_num_groups": norm_num_groups,
            "resblock_updown": resblock_updown,
        }
        self.factor = factor
        self.multiple = factor * 2 ** (len(channels) - 1)
        self.unet = DiffusionUNet(
            in_channels * factor**2,
            out_channels * factor**2,
            tuple(channels),
            num_res_blocks,
            tuple(attention_levels),
            tuple(num_head_channels),
            norm_num_groups,
            resblock_updown,
        )

    def forward(
        self, x: Tensor, timesteps: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Translate a batch.

        Args:
            x: ``(batch, in_channels, height, width)``; height and width are multiples of ``factor *
                2^(levels - 1)``.
            timesteps: ``(batch,)``, int64; zeros where it is None.
            context: not used; MONAI's ``DiffusionInferer`` passes it.

        Returns:
            ``(batch, out_channels, height, width)``.

        Raises:
            ValueError: a height or width that the levels cannot halve.
        """
        if x.shape[-1] % self.multiple or x.shape[-2] % self.multiple:
            raise ValueError(
                f"height and width must be multiples of {self.multiple}, got {tuple(x.shape[-2:])}"
            )
        if timesteps is None:
            timesteps = x.new_zeros(x.shape[0]).long()
        if self.factor == 1:
            output: Tensor = self.unet(x, timesteps)
            return output
        return F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, self.factor), timesteps), self.factor)

    def __prepare_scriptable__(self) -> ScriptableTranslation:
        """What ``torch.jit.script`` takes in the network's place: MONAI's ``ckpt_export``."""
        channels = self.settings["in_channels"] * self.factor**2
        return ScriptableTranslation(self.unet, channels, self.factor, self.multiple)
