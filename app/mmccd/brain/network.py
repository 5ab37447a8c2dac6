"""The network that tells the brain from the rest of the head: a U-Net at half resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mmccd.brain.unet import PlainUNet
from mmccd.models import StrictModule

NEIGHBOURS = 3
"""Slices that the network sees at once: the one in question between its two neighbours."""
CLASSES = ("brain", "infratentorial")
"""What the outputs mean: brain with its fluid; of that, cerebellum and brainstem, which tell which
way is up.
"""
MULTIPLE = 32


class BrainUNet(StrictModule):
    """Three neighbouring slices to logits of brain and of its infratentorial part in the middle
    one.

    The image's 2 x 2 blocks become channels before the network and blocks again behind it (Shi et
    al., CVPR 2016), which makes it four times cheaper.

    Args:
        features: channels of the five levels and of the last layer.
        groups: groups of the group normalisation; divides each of ``features``.
    """

    def __init__(
        self, features: Sequence[int] = (24, 32, 64, 96, 128, 24), groups: int = 8
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = {"features": list(features), "groups": groups}
        self.settings = settings  # annotated above, because TorchScript warns of it here
        self.unet = PlainUNet(NEIGHBOURS * 4, len(CLASSES) * 4, tuple(features), groups)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: ``(batch, 3, height, width)``, scaled as :func:`~mmccd.brain.slices.intensity_scale`
                says; height and width are multiples of 32.

        Returns:
            ``(batch, 2, height, width)``: brain, infratentorial.
        """
        result: Tensor = F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, 2)), 2)
        return result
