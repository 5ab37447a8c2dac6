"""FLAIR, T1 and T2 images of scan slices, vectorised: contrast from the physics, anatomy and
texture from the scan.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws, blur
from mmccd.phantom.label_slices import NUMBER
from mmccd.phantom.scan_slices import CHOROID, HIGHEST, LOWEST, PALLIDUM, RIM
from mmccd.phantom.slice_images import CONTRASTS, ContrastPool, SliceImages, texture

_TEXTURE_SHARE = 0.5
"""Of the texture of label slices: a scan has some of its own."""
_RIM_GREY = 0.6
"""Brightness of grey matter on T1 between fluid (0) and white matter (1)."""
_PALLIDUM_EDGE = 0.8
"""Pixels: its border is a soft one."""


def picture_scan_slices(slices: Tensor, pool: ContrastPool, draws: Draws) -> SliceImages:
    """Pictures of scan slices: the signals of fluid, grey and white matter, mixed as the scan says.

    Args:
        slices: uint8 ``(batch, 2, 128, 128)``, see :func:`~mmccd.phantom.cut_scan_slices`, on the
            device of ``pool`` and ``draws``.
        pool: contrasts to draw from.
        draws: random numbers.
    """
    count = len(slices)
    brain = slices[:, :1] > 0
    level = (slices[:, :1].float() - 1) / 254 * (HIGHEST - LOWEST) + LOWEST
    shares = tissue_shares(level, slices[:, 1:])
    signals = pool.draw(count, draws)
    names = ("fluid", "grey", "white", "pallidum", "choroid plexus")
    chosen = signals[:, :, [NUMBER[name] for name in names]]
    images = torch.einsum("nct,nthw->nchw", chosen, shares)
    solid = 1 - shares[:, :1]
    images = images * (1 + _TEXTURE_SHARE * solid * texture(count, draws))
    some = draws.some(count, 0.5)
    images[some] = blur(images[some], draws.uniform(len(some), 0.3, 0.6))
    images = torch.where(brain, images, 0)
    return SliceImages(
        {name: images[:, number : number + 1] for number, name in enumerate(CONTRASTS)}, brain
    )


def tissue_shares(level: Tensor, kind: Tensor) -> Tensor:
    """What a pixel is mixed of.

    Args:
        level: -1 fluid, 0 grey, 1 white matter, ``(batch, 1, height, width)``.
        kind: how to read it, see :data:`~mmccd.phantom.scan_slices.PLAIN`.

    Returns:
        Shares of fluid, grey matter, white matter, pallidum and choroid plexus, of sum 1,
        ``(batch, 5, height, width)``. White matter that is brighter than usual has a share above 1,
        at the cost of grey matter's.
    """
    fluid, white = (-level).clamp(0, 1), level.clamp_min(0)
    none = torch.zeros_like(level)
    plain = torch.cat([fluid, 1 - fluid - white, white, none, none], dim=1)
    bright = torch.where(level < 0, (level + 1) * _RIM_GREY, _RIM_GREY + level * (1 - _RIM_GREY))
    bright = bright.clamp(0, 1)
    rim = torch.cat([1 - bright, none, bright, none, none], dim=1)
    pallidum = torch.cat([none, none, none, none + 1, none], dim=1)
    iron = blur((kind == PALLIDUM).float(), _PALLIDUM_EDGE)
    choroid = torch.cat([fluid, none, none, none, 1 - fluid], dim=1)
    read = torch.where(kind == RIM, rim, plain)
    read = torch.where(kind == CHOROID, choroid, read)
    return iron * pallidum + (1 - iron) * read
