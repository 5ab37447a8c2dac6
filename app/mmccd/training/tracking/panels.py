"""The picture of a validation: what goes in, what comes back, and the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 4
"""Slices of a picture."""
_LOW, _HIGH = -3.0, 3.0
"""Black and white of an image, in normalised units."""
_MAP_HIGH = 2.0
"""White of a map of errors, likewise."""


def panels(output: dict[str, Any]) -> dict[str, Tensor]:
    """The columns of the picture of a validated batch, each ``(batch, 1, height, width)`` from 0
    (black) to 1 (white), 0 outside the brain.

    Args:
        output: of MONAI's ``SupervisedEvaluator``: ``image``, ``pred`` and ``label`` as the
            validation batches of f, g, d and the baselines make them.

    Returns:
        f: the input, the translated image, the returned one where g is there, the map |x - x'|
        (without g: |f(x) - y|). g and baselines: input, returned image, map. d: input, returned
        image, the probability, and what it should be.
    """
    image, prediction = output["image"].float(), output["pred"].float()
    truth = output["label"]
    if "source" in truth:
        found = _of_cycle(image, prediction, truth)
    elif image.shape[1] > 1:
        found = {
            "input": _grey(image[:, :1]),
            "returned": _grey(image[:, 3:4]),
            "map": prediction.sigmoid(),
            "truth": truth["target"].float(),
        }
    else:
        found = {
            "input": _grey(image),
            "returned": _grey(prediction[:, :1]),
            "map": _error(prediction[:, :1], truth["target"]),
        }
    return {name: torch.where(truth["brain"], column, 0) for name, column in found.items()}


def _of_cycle(image: Tensor, prediction: Tensor, truth: dict[str, Tensor]) -> dict[str, Tensor]:
    imagined, returned = prediction[:, :1], prediction[:, 1:]
    found = {"input": _grey(image), "translated": _grey(imagined)}
    if not returned.isfinite().all():
        return {**found, "map": _error(imagined, truth["target"])}
    return {**found, "returned": _grey(returned), "map": _error(returned, image)}


def picture(columns: dict[str, Tensor]) -> NDArray[np.uint8]:
    """Columns side by side, slices below each other: at most :data:`ROWS`, evenly spread.

    Args:
        columns: see :func:`panels`.

    Returns:
        Grey values ``(rows * height, columns * width)``.
    """
    count = len(next(iter(columns.values())))
    chosen = np.unique(np.linspace(0, count - 1, min(ROWS, count)).round().astype(int))
    rows = torch.cat([column[chosen, 0].cpu() for column in columns.values()], dim=-1)
    grey: NDArray[np.uint8] = (rows.clamp(0, 1) * 255).round().byte().numpy()
    return grey.reshape(-1, grey.shape[-1])


def _grey(image: Tensor) -> Tensor:
    return (image - _LOW) / (_HIGH - _LOW)


def _error(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs() / _MAP_HIGH
