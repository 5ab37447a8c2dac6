"""Many small lesions in tissue, scattered, clustered, and along the ventricles."""

from __future__ import annotations

import torch
from torch import Tensor

from mmccd.imaging import Draws, blur
from mmccd.training.corruption.ventricles import TISSUE_ABOVE, inner_fluid

KNOTS = (20, 32, 48, 64)
"""Fineness of the lesions: about 6, 4, 3 and 2 pixels across."""
SHARE = (0.002, 0.07)
"""Smallest and largest share of the tissue that is lesion."""
_EVERY = 2


def paint_small_lesions(image: Tensor, brain: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Small bright (rarely dark) lesions on each slice, where a fine random field is highest among
    the tissue: with a coarse field added they cluster, with the nearness of fluid inside the brain
    added they line the ventricles, as plaques and white-matter disease do. (Thresholded noise as a
    mask: Zavrtanik et al., DRAEM, ICCV 2021; its foreign textures are left out, since they do not
    help on FLAIR.)

    Args:
        image: normalised slices ``(batch, 1, size, size)``.
        brain: bool of the same shape.
        draws: random numbers.

    Returns:
        The changed slices, and how much of each pixel is changed, in [0, 1].
    """
    count, size = len(image), image.shape[-1]
    tissue = (image > TISSUE_ABOVE) & brain
    height = _fine_field(count, size, draws)
    height = height + draws.uniform(count) * draws.field(count, 4, size)
    near = _near_ventricles(image, brain)
    height = height + draws.chance(count, 0.5) * draws.uniform(count, 0, 3) * near
    height = torch.where(tissue, height, -torch.inf)
    cut = _upper_quantile(height, tissue, draws.log_uniform(count, *SHARE))
    inside = torch.sigmoid((height - cut) / draws.uniform(count, 0.04, 0.35)) * brain
    inside = draws.either(count, 0.5, blur(inside, 0.6), inside) * brain
    contrast = 0.6 + 3.6 * draws.uniform(count) ** 1.5
    contrast = draws.either(count, 0.08, -contrast.clamp_max(2), contrast)
    uneven = contrast * (1 + 0.25 * draws.field(count, 24, size)).clamp(0.3, 2)
    added = image + uneven * inside
    replaced = image + (uneven - image) * inside
    return draws.either(count, 0.5, added, replaced), inside


def _fine_field(count: int, size: int, draws: Draws) -> Tensor:
    """A field of one of several finenesses for each slice."""
    groups = draws.host.permutation(count) % len(KNOTS)
    result = torch.empty(count, 1, size, size, device=draws.device)
    for number, knots in enumerate(KNOTS):
        rows = torch.from_numpy((groups == number).nonzero()[0])
        rows = rows.to(draws.device, non_blocking=True)
        if len(rows):
            result[rows] = draws.field(len(rows), knots, size)
    return result


def _near_ventricles(image: Tensor, brain: Tensor) -> Tensor:
    """How near each pixel is to fluid inside the brain, at most 1."""
    near = blur(inner_fluid(image, brain).float(), 3.0)
    return near / near.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-3)


def _upper_quantile(values: Tensor, region: Tensor, share: Tensor) -> Tensor:
    """The value that a share of a region exceeds (by every second pixel), ``(batch, 1, 1, 1)``."""
    few, inside = (part[..., ::_EVERY, ::_EVERY].flatten(1) for part in (values, region))
    ordered = few.sort(dim=1, descending=True).values
    place = (share.flatten() * inside.sum(1)).long().clamp_min(1)
    return ordered.gather(1, place[:, None]).clamp_min(-1e6)[..., None, None]
