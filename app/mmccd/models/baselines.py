"""Networks of the baselines: MONAI's, between space-to-depth and depth-to-space.

Each takes and returns images ``(batch, 1, height, width)`` in normalised units. ``settings`` holds
the arguments that build the network again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets import AutoEncoder, UNet, VarAutoEncoder
from torch import Tensor, nn

from mmccd.models.networks import TranslationUNet


class AutoEncoderNetwork(nn.Module):
    """A plain autoencoder with a spatial bottleneck.

    Args:
        factor: edge of the space-to-depth blocks in pixels.
        channels: channels of each level; the last one is the code's.
        strides: stride of each level.
    """

    def __init__(
        self,
        factor: int = 4,
        channels: Sequence[int] = (64, 128, 192, 64),
        strides: Sequence[int] = (1, 2, 2, 2),
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "factor": factor,
            "channels": list(channels),
            "strides": list(strides),
        }
        self.factor = factor
        self.inner = AutoEncoder(2, factor**2, factor**2, tuple(channels), tuple(strides))

    def forward(self, x: Tensor) -> Tensor:
        """Encode and decode ``(batch, 1, height, width)``."""
        return F.pixel_shuffle(self.inner(F.pixel_unshuffle(x, self.factor)), self.factor)


class VariationalNetwork(nn.Module):
    """A variational autoencoder with a dense code (Kingma and Welling, 2014).

    Args:
        size: height and width of the images in pixels.
        factor: edge of the space-to-depth blocks in pixels.
        channels: channels of each level.
        strides: stride of each level.
        latent_size: length of the code.
    """

    def __init__(
        self,
        size: int = 128,
        factor: int = 4,
        channels: Sequence[int] = (64, 128, 192),
        strides: Sequence[int] = (1, 2, 2),
        latent_size: int = 256,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "size": size,
            "factor": factor,
            "channels": list(channels),
            "strides": list(strides),
            "latent_size": latent_size,
        }
        self.factor = factor
        shape = (factor**2, size // factor, size // factor)
        self.inner = VarAutoEncoder(
            2,
            shape,
            factor**2,
            latent_size,
            tuple(channels),
            tuple(strides),
            use_sigmoid=False,
            use_mean_at_inference=True,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode, draw a code, decode.

        Args:
            x: ``(batch, 1, height, width)``.

        Returns:
            In evaluation mode the reconstruction from the mean code, ``(batch, 1, height, width)``.
            In training mode ``(batch, 2, height, width)``: the reconstruction from a drawn code,
            and the Kullback-Leibler divergence of the slice's code from N(0, 1) in nats per pixel.
        """
        decoded, mean, log_variance, _ = self.inner(F.pixel_unshuffle(x, self.factor))
        image = F.pixel_shuffle(decoded, self.factor)
        if not self.training:
            return image
        mean, log_variance = mean.float(), log_variance.float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
        per_pixel = divergence / image[0].numel()
        return torch.cat([image.float(), per_pixel[:, None, None, None].expand_as(image)], dim=1)


class DenoisingUNet(nn.Module):
    """A U-Net with skip connections that removes noise (Kascenas et al., MIDL 2022).

    Args:
        factor: edge of the space-to-depth blocks in pixels.
        channels: channels of each level.
        num_res_units: residual units of each level.
        norm_num_groups: groups of the group normalisation; divides each of ``channels``.
    """

    def __init__(
        self,
        factor: int = 4,
        channels: Sequence[int] = (64, 128, 192),
        num_res_units: int = 2,
        norm_num_groups: int = 8,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "factor": factor,
            "channels": list(channels),
            "num_res_units": num_res_units,
            "norm_num_groups": norm_num_groups,
        }
        self.factor = factor
        # The network's last normalisation works on factor**2 channels.
        norm = ("group", {"num_groups": min(norm_num_groups, factor**2)})
        self.inner = UNet(
            2,
            factor**2,
            factor**2,
            tuple(channels),
            (2,) * (len(channels) - 1),
            num_res_units=num_res_units,
            norm=norm,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Denoise ``(batch, 1, height, width)``."""
        return F.pixel_shuffle(self.inner(F.pixel_unshuffle(x, self.factor)), self.factor)


class MaskedTranslator(TranslationUNet):
    """f without diffusion: one pass from the masked source to the target.

    It is called as f is, with ``cat(y_t, x_r)`` and a timestep, and looks at x_r alone; training,
    validation and the cycle serve it as they serve f.

    Args:
        settings: as :class:`~mmccd.models.networks.TranslationUNet`; ``in_channels`` is 1.
    """

    def forward(
        self, x: Tensor, timesteps: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """``(batch, 2, height, width)``, of which the last channel is read, to ``(batch, 1, height,
        width)``.
        """
        return super().forward(x[:, -1:])
