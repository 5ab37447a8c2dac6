"""The demonstration's figures: what was found of a phantom whose lesions are known, beside a plain
rule and the plain FLAIR intensity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Result, Volume
from mmccd.evaluation import auprc, best_dice, dice
from mmccd.imaging import Normalisation, to_model_slices
from mmccd.methods import RULE_THRESHOLD, RuleScorer, Slices
from mmccd.phantom import DEMO_LESIONS, Lesion, Phantom

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Truth:
    """Where the lesions are, where a brain is at all, and the lesions by kind."""

    lesion: Mask
    brain: Mask
    groups: dict[str, Mask]
    voxel_ml: float


def demo_table(phantom: Phantom, result: Result) -> str:
    """AUPRC, best possible Dice, and at a threshold Dice, mL marked, mL of them wrong and the share
    found of each kind of lesion; one row a score.

    The anomaly map is cut at its calibrated threshold (the smoothed map), the rule at its own, and
    the intensity where it marks as many healthy voxels as the segmentation does: nobody has
    calibrated it.
    """
    volume = phantom.lesion
    brain = result.brain_mask.data > 0
    truth = _Truth(volume.data > 0, brain, lesion_groups(phantom), volume.voxel_ml)
    intensity = phantom.images["flair"].data
    segmentation = result.segmentation.data > 0
    alarms = int((segmentation & ~truth.lesion & brain).sum())
    cut = equal_alarms_threshold(intensity[brain & ~truth.lesion], alarms)
    rule = rule_map(phantom.images["flair"], brain)
    rows = [
        _row("anomaly map, smoothed", result.smoothed_map.data, segmentation, truth),
        _row(f"FLAIR above {RULE_THRESHOLD} of its range", rule, rule > RULE_THRESHOLD, truth),
        _row("FLAIR intensity*", intensity, (intensity > cut) & brain, truth),
    ]
    head = f"{'':{_NAME}}AUPRC  best Dice   Dice  marked   wrong  " + "  ".join(truth.groups)
    millilitres = truth.lesion.sum() * volume.voxel_ml
    return (
        f"phantom with {len(DEMO_LESIONS)} lesions, {millilitres:.1f} mL\n{head}\n"
        + "\n".join(rows)
        + "\n* cut where it marks as much healthy tissue as the anomaly map does"
    )


def rule_map(flair: Volume, brain: Mask) -> NDArray[np.float32]:
    """The score of :class:`~mmccd.methods.rule.RuleScorer` on the volume's own grid; free of the
    intensities' scale, 0 outside the brain.
    """
    slices = to_model_slices(flair, brain, Normalisation())
    given = Slices(slices.image, slices.brain, slices.transform.spacing[2])
    score = RuleScorer().score(given).anomaly[:, 0].numpy()
    native = slices.transform.to_native(score, slices.brain[:, 0].numpy())
    return np.where(brain, native, 0.0).astype(np.float32)


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


_NAME = 30


def _row(name: str, score: NDArray[Any], found: Mask, truth: _Truth) -> str:
    brain, lesion = truth.brain, truth.lesion
    marked = found & brain
    figures = (
        f"{auprc(lesion[brain], score[brain]):5.3f}"
        f"  {best_dice(lesion[brain], score[brain])[0]:9.3f}"
        f"  {dice(lesion[brain], found[brain]):5.3f}"
        f"  {marked.sum() * truth.voxel_ml:6.1f}"
        f"  {(marked & ~lesion).sum() * truth.voxel_ml:6.1f}"
    )
    shares = "  ".join(
        f"{found[group].mean() if group.any() else float('nan'):>{len(title)}.0%}"
        for title, group in truth.groups.items()
    )
    return f"{name:{_NAME}}{figures}  {shares}"
