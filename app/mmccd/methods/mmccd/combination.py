"""The final map: intensity, error and decision in one score."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from mmccd.methods.brain_range import brain_range

INTENSITY_RANGE = (-1.0, 3.0)
MOST_ERROR = 6.0


@dataclass(frozen=True)
class Combination:
    """Weights of the sum w * intensity + a * error + p * decision; chosen on validation data.

    Attributes:
        intensity: of w, the image between the 2nd and the 90th percentile of the brain.
        error: of a, the cycle's anomaly on the sides that its settings count, in units of the
            normalised image, limited to 6: what is farther away is not more anomalous.
        decision: of p, the probability that d gives.
        blind: whether d does without the cycle: what x' is worth for it.
    """

    intensity: float = 1.0
    error: float = 0.3
    decision: float = 1.0
    blind: bool = False

    def as_dict(self) -> dict[str, float | bool]:
        """Plain values for JSON."""
        return asdict(self)

    def __post_init__(self) -> None:
        weights = (self.intensity, self.error, self.decision)
        if min(weights) < 0 or not sum(weights) > 0:
            raise ValueError(
                f"intensity, error and decision must be 0 or more and not all 0, got {weights}"
            )


def brightness(image: Tensor, whole: Tensor) -> Tensor:
    """w = (v - P2) / (P90 - P2) of the brain, limited to -1 to 3: what is brighter still is not
    more anomalous (fat, an artefact).

    Args:
        image: ``(slices, 1, height, width)``.
        whole: bool of the same shape; the brain that the percentiles are taken of.
    """
    if not whole.any():
        return torch.zeros_like(image)
    low, high = brain_range(image, whole)
    share: Tensor = (image - low) / max(high - low, 1e-6)
    return share.clamp(*INTENSITY_RANGE)
