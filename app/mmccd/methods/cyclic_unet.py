"""|x - g(h(x))| with two deterministic translators: the cycle without masks and diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Context, Method, Need, Progress, Slices, translator
from mmccd.methods.scoring import batches, error_within


@dataclass(frozen=True)
class TranslationCycleScorer:
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

    @torch.inference_mode()
    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`."""
        translated, reconstructed = (torch.zeros_like(slices.image) for _ in range(2))
        for part in batches(slices, self.batch_size, progress, cancelled):
            target = self.forward(slices.image[part].to(self.device)).float()
            translated[part] = target.cpu()
            reconstructed[part] = self.backward(target).float().cpu()
        return error_within(slices, translated, reconstructed)


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
