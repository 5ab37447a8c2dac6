"""A volume as normalised slices on the model grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmccd.core import UnsuitableInputError, Volume
from mmccd.imaging.grid import GridTransform
from mmccd.imaging.normalisation import Normalisation, brain_values


@dataclass(frozen=True)
class ModelSlices:
    """What a scorer sees of a volume.

    Attributes:
        image: normalised slices, float32 ``(slices, 1, size, size)``; outside the brain the
            normalisation's background.
        brain: bool of the same shape.
        transform: the way back to the native grid.
    """

    image: Tensor
    brain: Tensor
    transform: GridTransform


def to_model_slices(
    volume: Volume,
    brain: NDArray[np.bool_],
    normalisation: Normalisation,
    transform: GridTransform | None = None,
) -> ModelSlices:
    """Normalise a volume within its brain and bring it to the model grid.

    Args:
        volume: native volume.
        brain: brain mask on its grid.
        normalisation: that of the weights that will see the slices.
        transform: the model grid's place; fitted to the brain where it is None (give it for a
            second contrast of the same head).

    Raises:
        UnsuitableInputError: see :meth:`GridTransform.fit` and :meth:`Normalisation.fit`; NaN or
            Inf inside the brain; a brain of fewer than 100 voxels.
    """
    try:
        return _to_model_slices(volume, brain, normalisation, transform)
    except UnsuitableInputError as error:
        raise UnsuitableInputError(
            f"{volume.provenance.get('file', 'the volume')}: {error}", error.code
        ) from error


def _to_model_slices(
    volume: Volume,
    brain: NDArray[np.bool_],
    normalisation: Normalisation,
    transform: GridTransform | None,
) -> ModelSlices:
    values = brain_values(volume, brain)
    transform = transform or GridTransform.fit(volume, brain)
    scale, shift = normalisation.fit(values)
    background = normalisation.background
    normalised = np.where(brain, scale * np.where(brain, volume.data, 0.0) + shift, background)
    mask = transform.to_model(brain, 0.0) >= 0.5
    image = np.where(mask, transform.to_model(normalised, background), background)
    return ModelSlices(
        torch.from_numpy(image.astype(np.float32))[:, None],
        torch.from_numpy(mask)[:, None],
        transform,
    )
