"""The demonstration's figures: what was found of a phantom whose lesions are known, beside the
plain FLAIR intensity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Result
from mmccd.evaluation import auprc, best_dice, dice
from mmccd.phantom import DEMO_LESIONS, Lesion, Phantom

Mask = NDArray[np.bool_]


def demo_table(phantom: Phantom, result: Result) -> str:
    """AUPRC, best possible Dice, and, at equal false alarms, Dice and the share found of each kind
    of lesion; one row a score.

    The anomaly rows are cut at the calibrated threshold (the smoothed map), the intensity row where
    it marks as many healthy voxels as the segmentation does: nobody has calibrated it.
    """
    truth, brain = phantom.lesion.data > 0, result.brain_mask.data > 0
    intensity = phantom.images["flair"].data
    segmentation = result.segmentation.data > 0
    alarms = int((segmentation & ~truth & brain).sum())
    by_intensity = (intensity > equal_alarms_threshold(intensity[brain & ~truth], alarms)) & brain
    groups = lesion_groups(phantom)
    rows = [
        _row("anomaly map, smoothed", result.smoothed_map.data, segmentation, truth, brain, groups),
        _row("FLAIR intensity", intensity, by_intensity, truth, brain, groups),
    ]
    head = f"{'':24}AUPRC  best Dice  Dice*  " + "  ".join(f"{name}*" for name in groups)
    millilitres = truth.sum() * phantom.lesion.voxel_ml
    wrong = alarms * phantom.lesion.voxel_ml
    return (
        f"phantom with {len(DEMO_LESIONS)} lesions, {millilitres:.1f} mL\n{head}\n"
        + "\n".join(rows)
        + f"\n* with {wrong:.1f} mL of healthy tissue marked by either"
    )


def equal_alarms_threshold(healthy: NDArray[Any], alarms: int) -> float:
    """The threshold above which ``alarms`` of the healthy values lie (fewer where values are
    equal).
    """
    if alarms >= healthy.size:
        return float(healthy.min()) - 1.0
    return float(np.partition(healthy, healthy.size - 1 - alarms)[healthy.size - 1 - alarms])


def lesion_groups(phantom: Phantom, lesions: Sequence[Lesion] = DEMO_LESIONS) -> dict[str, Mask]:
    """The mask's voxels by the lesion whose surface is nearest: the bright one, the
    grey-matter-like one, and the small ones.
    """
    indices = np.argwhere(phantom.lesion.data > 0)
    places = indices @ phantom.lesion.affine[:3, :3].T + phantom.lesion.affine[:3, 3]
    distances = [
        np.linalg.norm(places - lesion.centre_mm, axis=1) / lesion.radius_mm for lesion in lesions
    ]
    nearest = np.argmin(distances, axis=0)
    groups = {}
    for name, numbers in (
        ("bright", [0]),
        ("grey-like", [1]),
        ("small", list(range(2, len(lesions)))),
    ):
        groups[name] = np.zeros(phantom.lesion.shape, dtype=bool)
        groups[name][tuple(indices[np.isin(nearest, numbers)].T)] = True
    return groups


def _row(
    name: str, score: NDArray[Any], found: Mask, truth: Mask, brain: Mask, groups: dict[str, Mask]
) -> str:
    shares = "  ".join(
        f"{found[group].mean() if group.any() else float('nan'):>{len(title) + 1}.0%}"
        for title, group in groups.items()
    )
    figures = (
        f"{auprc(truth[brain], score[brain]):5.3f}  {best_dice(truth[brain], score[brain])[0]:9.3f}"
        f"  {dice(truth[brain], found[brain]):5.3f}"
    )
    return f"{name:24}{figures}  {shares}"
