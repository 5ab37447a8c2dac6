"""Random changes that MR images of the same head may show."""

from __future__ import annotations

import math
from typing import Any

from monai.transforms import Compose, RandAffined, RandFlipd, Randomizable, Transform


class RandomBrainIntensity(Randomizable, Transform):
    """Scale and shift the input's intensities inside the brain; the background keeps its value and
    the target stays as it is.

    Args:
        scale: largest relative change of the contrast.
        shift: largest shift, in normalised units.
        prob: probability of a change.
    """

    def __init__(self, scale: float = 0.1, shift: float = 0.1, prob: float = 0.5) -> None:
        self.scale = scale
        self.shift = shift
        self.prob = prob
        self._drawn: tuple[float, float] | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw whether to change, the factor and the shift."""
        wanted = self.R.random() < self.prob
        factor, shift = (
            1 + self.R.uniform(-self.scale, self.scale),
            self.R.uniform(-self.shift, self.shift),
        )
        self._drawn = (factor, shift) if wanted else None

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Change ``image`` where ``brain`` is."""
        self.randomize()
        if self._drawn is None:
            return data
        factor, shift = self._drawn
        image, inside = data["image"], data["brain"] > 0.5
        return {**data, "image": image.where(~inside, image * factor + shift)}


def augmentation(
    rotation_degrees: float = 10.0,
    scaling: float = 0.1,
    shift_pixels: float = 4.0,
    intensity: float = 0.1,
) -> Compose:
    """Left-right flips, small rotations, scalings and shifts of all images alike, intensity changes
    of the input.

    Args:
        rotation_degrees: largest rotation.
        scaling: largest relative scaling.
        shift_pixels: largest shift in model pixels.
        intensity: largest relative scaling and shift of the input's intensities.
    """
    keys = ("image", "label", "brain")
    angle = math.radians(rotation_degrees)
    affine = RandAffined(
        keys=keys,
        prob=0.8,
        rotate_range=[angle],
        scale_range=[scaling, scaling],
        translate_range=[shift_pixels, shift_pixels],
        mode=("bilinear", "bilinear", "nearest"),
        padding_mode="border",
    )
    return Compose(
        [
            RandFlipd(keys, prob=0.5, spatial_axis=1),
            affine,
            RandomBrainIntensity(intensity, intensity),
        ]
    )
