"""How healthy brains differ on FLAIR; no anomaly."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws, blur
from mmccd.training.corruption.ventricles import FLUID_BELOW, TISSUE_ABOVE, ventricle_distance

REGION_SHARE, GREY_SHARE, LINING_SHARE, FLOW_SHARE, SURFACE_SHARE = 0.5, 0.5, 0.4, 0.25, 0.25


def vary(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    """Each variation on its share of the slices: brighter and darker regions of the white matter,
    grey matter that is brighter in places (insula, cingulum, hippocampus, temporal poles), a thin
    bright lining of the ventricles, fluid made bright by its flow, and a brighter or darker
    surface.

    Networks that are trained on anomalies alone take these for some: they are smooth, or thin, or
    bound to one tissue, and people without any disease have them. (Bright grey matter of the
    limbic system on FLAIR: Hirai et al., AJNR 2000; linings and caps: Sze et al., AJNR 1986; flow:
    Bakshi et al., AJNR 2000.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.
    """
    image = image.clone()
    for share, change in (
        (REGION_SHARE, _regions),
        (GREY_SHARE, _grey_matter),
        (LINING_SHARE, _lining),
        (FLOW_SHARE, _flow),
        (SURFACE_SHARE, _surface),
    ):
        rows = draws.some(len(image), share)
        if len(rows):
            image[rows] = image[rows] + change(image[rows], brain[rows], draws)
    return torch.where(brain, image, 0)


def _regions(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    count, size = len(image), image.shape[-1]
    tissue = torch.sigmoid(4 * (image - TISSUE_ABOVE))
    return draws.uniform(count, 0, 0.5) * tissue * draws.field(count, 5, size)


def _grey_matter(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    """What is a little brighter than the rest becomes brighter still."""
    count, size = len(image), image.shape[-1]
    grey = torch.sigmoid(6 * (image - 0.4)) * torch.sigmoid(6 * (2.2 - image))
    here = draws.field(count, 4, size).clamp(0, 2)
    return draws.uniform(count, 0, 0.8) * grey * here


def _lining(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    """Less than a pixel wide, and fainter than the thinnest band."""
    count = len(image)
    distance = ventricle_distance(image, brain)
    near = torch.sigmoid((draws.uniform(count, 0.4, 1.2) - distance) / 0.3)
    return draws.uniform(count, 0, 0.8) * near * (image > TISSUE_ABOVE)


def _flow(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    count, size = len(image), image.shape[-1]
    fluid = (image < FLUID_BELOW) & brain
    here = (draws.field(count, 8, size) - 0.5).clamp(0, 1)
    return draws.uniform(count, 0, 2.5) * here * fluid


def _surface(image: Tensor, brain: Tensor, draws: Draws) -> Tensor:
    """Half the brain's share of its neighbourhood marks the surface; 1 the inside."""
    count, size = len(image), image.shape[-1]
    outer = (1 - blur(brain.float(), draws.uniform(count, 1.0, 3.0))).clamp(0, 0.5) * 2
    here = (draws.field(count, 4, size) + 0.5).clamp(0, 1.5)
    return draws.uniform(count, -1.2, 1.2) * outer * here
