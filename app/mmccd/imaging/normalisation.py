"""How intensities are brought to the range that the networks know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import UnsuitableInputError, Volume

CODE_PERCENTILE = 90.0
MIN_BRAIN_VOXELS = 100


@dataclass(frozen=True)
class Normalisation:
    """Intensity normalisation: a property of the weights, not of the cycle.

    Attributes:
        kind: ``"paper"``: (v - mean) / std, both over the brain voxels between the two percentiles;
            ``"code"``: 6 v / P90 - 3, as the paper's public code; ``"range"``: (v - P_lower) /
            (P_upper - P_lower), what plain intensity is scored with. None clips.
        lower: lower percentile (not for ``code``).
        upper: upper percentile (not for ``code``).
        background: value of everything outside the brain, in normalised units.
    """

    kind: str = "paper"
    lower: float = 2.0
    upper: float = 98.0
    background: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("paper", "code", "range"):
            raise ValueError(
                f"normalisation kind must be 'paper', 'code' or 'range', got {self.kind!r}"
            )
        if not 0 <= self.lower < self.upper <= 100:
            raise ValueError(
                f"percentiles must satisfy 0 <= lower < upper <= 100, got {self.lower} and"
                f" {self.upper}"
            )

    @classmethod
    def for_modality(cls, modality: str, kind: str = "paper") -> Normalisation:
        """The published settings: 2-90 % for FLAIR, 2-98 % for T1 and T2; background 0 (paper) or
        -3 (code, where v = 0).
        """
        return cls(
            kind, 2.0, 90.0 if modality == "flair" else 98.0, -3.0 if kind == "code" else 0.0
        )

    def fit(self, values: NDArray[Any]) -> tuple[float, float]:
        """Scale and shift such that ``scale * v + shift`` is normalised.

        Args:
            values: intensities of the brain's voxels, any shape.

        Raises:
            UnsuitableInputError: the intensities are constant or not positive where they must be.
        """
        if self.kind == "code":
            reference = float(np.percentile(values, CODE_PERCENTILE))
            if reference <= 0:
                raise UnsuitableInputError(
                    f"the 90th percentile of the brain's intensities is {reference:g}; expected a"
                    " positive value; check the input",
                    code="image.constant",
                )
            return 6.0 / reference, -3.0
        low, high = (float(value) for value in np.percentile(values, [self.lower, self.upper]))
        if self.kind == "range":
            if not high > low:
                raise UnsuitableInputError(
                    f"the brain's intensities are constant ({low:g}); expected an image with"
                    " contrast; check the input",
                    code="image.constant",
                )
            return 1.0 / (high - low), -low / (high - low)
        inner = values[(values >= low) & (values <= high)].astype(np.float64)
        mean, std = float(inner.mean()), float(inner.std())
        if not std > 1e-6 * max(abs(mean), 1e-30):
            raise UnsuitableInputError(
                f"the brain's intensities are constant ({mean:g}); expected an image with contrast;"
                " check the input",
                code="image.constant",
            )
        return 1.0 / std, -mean / std

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def brain_values(volume: Volume, brain: NDArray[np.bool_]) -> NDArray[Any]:
    """The intensities inside the brain, ``(voxels,)``.

    Raises:
        UnsuitableInputError: fewer than 100, or NaN or Inf among them.
    """
    if np.count_nonzero(brain) < MIN_BRAIN_VOXELS:
        raise UnsuitableInputError(
            f"the brain has {np.count_nonzero(brain)} voxels; expected at least {MIN_BRAIN_VOXELS};"
            " check the input and its brain mask",
            code="brain.too_small",
        )
    values = volume.data[brain]
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise UnsuitableInputError(
            f"{bad} voxels inside the brain are NaN or Inf; expected finite intensities; repair the"
            " image first",
            code="image.not_finite",
        )
    return values
