"""|x - g(h(x))| with two deterministic translators: the cycle without masks and diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmccd.methods.base import Context, Method, Need, translator
from mmccd.methods.scoring import BatchedScorer


@dataclass(frozen=True)
class TranslationCycleScorer(BatchedScorer):
    """|x - g(h(x))|.

    Attributes:
        forward: h, source to target, in evaluation mode on ``device``.
        backward: g, target to source, likewise.
        device: where the passes run.
        batch_size: slices per pass.
    """

    forward: nn.Module
    backward: nn.Module
    device: torch.device
    batch_size: int = 16

    def reconstruct(self, image: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`BatchedScorer.reconstruct`."""
        target = self.forward(image).float()
        return target, self.backward(target).float()


@dataclass(frozen=True)
class CyclicUNet(Method):
    """Two deterministic translators."""

    name: ClassVar[str] = "cyclic_unet"
    title: ClassVar[str] = "Cyclic UNet"
    needs: ClassVar[Mapping[str, Need]] = {
        "forward": translator("source", "target"),
        "backward": translator("target", "source"),
    }

    def build(self, context: Context) -> TranslationCycleScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        forward, backward = context.network("forward"), context.network("backward")
        return TranslationCycleScorer(forward, backward, context.device)
