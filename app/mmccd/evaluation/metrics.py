"""Figures of merit: scores and truth in, numbers out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
)


def auprc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the precision-recall curve as average precision.

    Args:
        truth: 0/1 or bool, any shape.
        score: larger = more anomalous, same shape.

    Returns:
        0 to 1; NaN where ``truth`` has one class only.
    """
    flat = _checked(truth, score)
    return float(average_precision_score(*flat)) if _both_classes(flat[0]) else float("nan")


def auroc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the receiver operating characteristic; arguments and NaN as in :func:`auprc`."""
    flat = _checked(truth, score)
    return float(roc_auc_score(*flat)) if _both_classes(flat[0]) else float("nan")


def dice(truth: NDArray[Any], segmentation: NDArray[Any]) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    first, second = as_masks(truth, segmentation)
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else 1.0


def best_dice(truth: NDArray[Any], score: NDArray[Any]) -> tuple[float, float]:
    """The best Dice over all thresholds, and the threshold (``score > threshold`` is positive).

    Only a description of the data it is computed on: a threshold that is to be reported comes from
    other data.
    """
    flat_truth, flat_score = _checked(truth, score)
    if not flat_truth.any():
        return 1.0, float(flat_score.max())
    order = np.argsort(-flat_score, kind="stable")
    ranked, values = flat_truth[order], flat_score[order]
    hits = np.cumsum(ranked)
    dices = 2.0 * hits / (np.arange(1, ranked.size + 1) + ranked.sum())
    # A threshold lies between two different values only.
    dices[:-1] = np.where(values[1:] < values[:-1], dices[:-1], -1.0)
    best = int(dices.argmax())
    lower = values[best + 1] if best + 1 < values.size else values[best] - 1.0
    return float(dices[best]), float((values[best] + lower) / 2)


def jaccard(truth: NDArray[Any], segmentation: NDArray[Any]) -> float:
    """|A and B| / |A or B|; 1 where both are empty."""
    return float(jaccard_score(*_flat_masks(truth, segmentation), zero_division=1.0))


def precision(truth: NDArray[Any], segmentation: NDArray[Any]) -> float:
    """Share of the segmentation that is true; NaN where the segmentation is empty."""
    return float(precision_score(*_flat_masks(truth, segmentation), zero_division=np.nan))


def recall(truth: NDArray[Any], segmentation: NDArray[Any]) -> float:
    """Share of the truth that is segmented; NaN where the truth is empty."""
    return float(recall_score(*_flat_masks(truth, segmentation), zero_division=np.nan))


def surface_distance(
    truth: NDArray[Any], segmentation: NDArray[Any], spacing: Sequence[float]
) -> float:
    """Average symmetric surface distance (ASSD) in mm.

    Args:
        truth: 0/1 or bool, 2-D or 3-D.
        segmentation: the same shape.
        spacing: distance of neighbouring voxels along each axis in mm.

    Returns:
        NaN where one of them is empty: there is no surface to measure from.
    """
    first, second = as_masks(truth, segmentation)
    if not first.any() or not second.any():
        return math.nan
    masks = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (second, first)]
    # Here, because it takes seconds, and the demonstration asks for other figures only.
    from monai.metrics import compute_average_surface_distance

    with warnings.catch_warnings():
        # MONAI 1.6 warns about an argument that it sets itself.
        warnings.simplefilter("ignore", FutureWarning)
        return float(
            compute_average_surface_distance(
                *masks, include_background=True, symmetric=True, spacing=list(spacing)
            )
        )


def as_masks(
    truth: NDArray[Any], segmentation: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both as bool.

    Raises:
        ValueError: their shapes differ.
    """
    first, second = np.asarray(truth, dtype=bool), np.asarray(segmentation, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"expected equal shapes, got {first.shape} and {second.shape}")
    return first, second


def _flat_masks(
    truth: NDArray[Any], segmentation: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first, second = as_masks(truth, segmentation)
    return first.ravel(), second.ravel()


def _checked(
    truth: NDArray[Any], score: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    first, second = np.asarray(truth), np.asarray(score)
    if first.shape != second.shape:
        raise ValueError(f"expected equal shapes, got {first.shape} and {second.shape}")
    return first.astype(bool).ravel(), second.astype(np.float64).ravel()


def _both_classes(truth: NDArray[np.bool_]) -> bool:
    return bool(truth.any()) and not bool(truth.all())
