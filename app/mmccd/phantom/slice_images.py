"""FLAIR, T1 and T2 images of label slices, vectorised: contrast from the physics, texture that the
contrasts share in part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmccd.imaging import Draws, blur
from mmccd.phantom.acquisition import random_acquisition
from mmccd.phantom.label_slices import CLASSES, EDGE, NUMBER
from mmccd.phantom.physics import signal

CONTRASTS = ("flair", "t1", "t2")
_T1_SPREAD, _T2_SPREAD, _PD_SPREAD = 0.05, 0.05, 0.02
_MODEL_EDGE = EDGE // 2
_CLOSING_PIXELS = 7
"""Of the model grid: sulci belong to the brain, as brain extraction sees it."""


@dataclass(frozen=True)
class SliceImages:
    """Pictures of one batch of label slices on the model grid.

    Attributes:
        images: by contrast, signal with white matter about 1, float32 ``(batch, 1, 128, 128)``,
            0 outside the brain.
        brain: bool of the same shape: tissue, and the fluid in and around it.
    """

    images: dict[str, Tensor]
    brain: Tensor


class ContrastPool:
    """Many scanners and people: the signal of each class in each contrast, drawn once.

    Field strength, timing and relaxation are drawn as for whole phantoms
    (:func:`~mmccd.phantom.acquisition.random_acquisition`), with each tissue's T1 and T2 varied by
    5 % and its proton density by 2 %.

    Args:
        size: how many.
        seed: of the drawing.
        device: where the signals lie.
    """

    def __init__(self, size: int, seed: int, device: str | torch.device = "cpu") -> None:
        random = np.random.default_rng([seed, 2])
        drawn = torch.stack([_signals(random) for _ in range(size)])
        self.signals = drawn.to(torch.device(device))
        """float32 ``(size, contrasts, classes + 1)``, relative to white matter; 0 outside."""

    def draw(self, count: int, draws: Draws) -> Tensor:
        """Signals for ``count`` slices, ``(count, contrasts, classes + 1)``."""
        chosen = draws.host.integers(len(self.signals), size=count)
        return self.signals[torch.from_numpy(chosen).to(self.signals.device, non_blocking=True)]


def _signals(random: np.random.Generator) -> Tensor:
    """One scanner and person, ``(contrasts, classes + 1)``."""
    acquisition = random_acquisition(random)
    tissues = [tissue.at(acquisition.field_strength) for tissue, _ in CLASSES.values()]
    spread = np.exp(
        random.normal(size=(3, len(tissues))) * np.array([[_T1_SPREAD], [_T2_SPREAD], [_PD_SPREAD]])
    )
    # Fluid is one fluid, whether it is in a ventricle or not.
    spread[:, NUMBER["ventricle"] - 1] = spread[:, NUMBER["fluid"] - 1]
    t1, t2, pd = (
        torch.tensor([getattr(tissue, name) for tissue in tissues]) * torch.from_numpy(factors)
        for name, factors in zip(("t1", "t2", "pd"), spread, strict=True)
    )
    rows = []
    for contrast in CONTRASTS:
        values = signal(t1, t2, pd, acquisition.sequences[contrast])
        rows.append(functional.pad(values / values[NUMBER["white"] - 1], (1, 0)))
    return torch.stack(rows).float()


def picture_slices(labels: Tensor, pool: ContrastPool, draws: Draws) -> SliceImages:
    """Pictures of label slices: signals of both planes averaged (partial volume), texture within
    the tissues, choroid plexus in the ventricles, in-plane blur, and the model grid.

    Args:
        labels: classes, uint8 ``(batch, 2, 256, 256)``, on the device of ``pool`` and ``draws``.
        pool: contrasts to draw from.
        draws: random numbers.
    """
    count = len(labels)
    classes = _with_choroid(labels.long(), draws)
    signals = pool.draw(count, draws)
    table = signals[:, :, None].expand(-1, -1, labels.shape[1], -1)
    pictures = torch.stack(
        [
            table[:, number].gather(2, classes.flatten(2)).view(count, -1, EDGE, EDGE).mean(1)
            for number in range(len(CONTRASTS))
        ],
        dim=1,
    )
    fluid = (classes == NUMBER["fluid"]) | (classes == NUMBER["ventricle"])
    inside = _to_model((classes > 0).float().mean(1, keepdim=True))
    solid = _to_model(((classes > 0) & ~fluid).float().mean(1, keepdim=True))
    fine = _to_model(pictures) * (1 + solid * texture(count, draws))
    fine = blur(fine, draws.uniform(count, 0.3, 0.8))
    tissue = inside > 0.5
    brain = _closed(tissue)
    between = signals[:, :, NUMBER["fluid"], None, None]
    between = between + 0.04 * draws.field(count, 30, _MODEL_EDGE)
    fine = torch.where(brain, torch.where(tissue, fine, between), 0)
    return SliceImages(
        {name: fine[:, number : number + 1] for number, name in enumerate(CONTRASTS)}, brain
    )


def _with_choroid(classes: Tensor, draws: Draws) -> Tensor:
    """In half of the slices, choroid plexus in small parts of the ventricles: many label maps leave
    it out.
    """
    count = len(classes)
    where = draws.field(count, 28, EDGE) + draws.field(count, 10, EDGE) > draws.uniform(count, 1, 4)
    where = where & draws.chance(count, 0.5) & (classes == NUMBER["ventricle"])
    return torch.where(where, NUMBER["choroid plexus"], classes)


def texture(count: int, draws: Draws) -> Tensor:
    """Relative variation within the tissue, ``(batch, contrasts, 128, 128)``: slow and fine waves
    that raise FLAIR and T2 and lower T1 (more water), and a part that each contrast has for itself.
    """
    coarse = draws.uniform(count, 0, 0.03) * draws.field(count, 6, _MODEL_EDGE)
    middle = draws.uniform(count, 0, 0.03) * draws.field(count, 20, _MODEL_EDGE)
    fine = draws.uniform(count, 0, 0.05) * draws.field(count, 60, _MODEL_EDGE)
    shared = coarse + middle + fine
    own = [
        draws.uniform(count, 0, 0.02) * draws.field(count, 20, _MODEL_EDGE)
        + draws.uniform(count, 0, 0.03) * draws.field(count, 60, _MODEL_EDGE)
        for _ in CONTRASTS
    ]
    signs = {"flair": 1.0, "t1": -0.6, "t2": 1.0}
    return torch.cat(
        [signs[name] * shared + one for name, one in zip(CONTRASTS, own, strict=True)], dim=1
    )


def _to_model(images: Tensor) -> Tensor:
    """Averaged to the model grid."""
    return functional.avg_pool2d(images, EDGE // _MODEL_EDGE)


def _closed(mask: Tensor) -> Tensor:
    """Dilated and eroded by a square."""
    edge, pad = _CLOSING_PIXELS, _CLOSING_PIXELS // 2
    wide = functional.max_pool2d(mask.float(), edge, 1, pad)
    return -functional.max_pool2d(-wide, edge, 1, pad) > 0
