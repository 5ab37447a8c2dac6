"""Bias-field correction: N4 (Tustison et al., IEEE TMI 2010) as ITK has it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Volume

_WORKING_MM = 4.0
_ITERATIONS = (30, 20, 10)
_ORDER = 3
"""Order of the field's B-splines."""


def correct_bias(volume: Volume, brain: NDArray[np.bool_], zero: float = 0.0) -> Volume:
    """The volume divided by a smooth field that N4 finds in the brain.

    The field is estimated on voxels of about 4 mm and evaluated on the volume's own grid; its mean
    over the brain is 1.

    Args:
        volume: any MR image.
        brain: its brain mask.
        zero: the intensity of nothing: a field multiplies what lies above it.
    """
    above = np.asarray(volume.data, dtype=np.float32) - np.float32(zero)
    data = np.clip(np.nan_to_num(above, posinf=0.0, neginf=0.0), 0, None)
    coarse = tuple(
        _centred_samples(voxels, max(1, round(_WORKING_MM / mm)))
        for voxels, mm in zip(data.shape, volume.spacing, strict=True)
    )
    field = np.exp(_evaluated(_log_field(data[coarse], brain[coarse]), data.shape))
    field /= field[brain].mean()
    return volume.with_data((above / field + np.float32(zero)).astype(np.float32))


def _centred_samples(voxels: int, factor: int) -> slice:
    """Every so-manyth voxel of an axis, as far from one end as from the other."""
    count = max(1, voxels // factor)
    first = max(0, int(((voxels - 1) - factor * (count - 1) + 1) // 2))
    return slice(first, first + factor * (count - 1) + 1, factor)


def _log_field(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The logarithm of the field that N4 finds: B-spline coefficients over the whole image, one
    axis each for the image's axes.
    """
    # By the name of its own module: asked for as itk.N4BiasFieldCorrectionImageFilter, ITK loads
    # 370 extension modules first, which takes 10 s.
    import itk
    import itk.itkN4BiasFieldCorrectionImageFilterPython

    n4 = itk.itkN4BiasFieldCorrectionImageFilterPython
    corrector = n4.itkN4BiasFieldCorrectionImageFilterIF3IUC3IF3.New()
    corrector.SetInput(itk.image_from_array(np.ascontiguousarray(image)))
    corrector.SetMaskImage(itk.image_from_array(np.ascontiguousarray(mask, dtype=np.uint8)))
    corrector.SetSplineOrder(_ORDER)
    corrector.SetNumberOfFittingLevels(len(_ITERATIONS))
    corrector.SetMaximumNumberOfIterations(list(_ITERATIONS))
    corrector.Update()
    return _coefficients(corrector.GetLogBiasFieldControlPointLattice())


def _coefficients(lattice: Any) -> NDArray[np.float64]:
    """ITK counts axes from the one that runs fastest: the last one here."""
    size = tuple(lattice.GetLargestPossibleRegion().GetSize())
    values = np.zeros(size[::-1])
    for index in itertools.product(*map(range, size)):
        values[index[::-1]] = lattice.GetPixel(index)[0]
    return values


def _evaluated(coefficients: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Cubic B-splines over a grid whose corners are the corners of their domain."""
    field = coefficients
    for axis, voxels in enumerate(shape):
        weights = _spline_weights(coefficients.shape[axis], voxels)
        field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
    return field.astype(np.float32)


def _spline_weights(count: int, voxels: int) -> NDArray[np.float64]:
    """What each of the uniform cubic B-splines contributes to each voxel, ``(voxels, count)``."""
    place = np.linspace(0.0, count - _ORDER, voxels)
    span = np.minimum(place.astype(int), count - _ORDER - 1)
    u = place - span
    basis = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1
    )
    weights = np.zeros((voxels, count))
    np.put_along_axis(weights, span[:, None] + np.arange(_ORDER + 1), basis / 6, axis=1)
    return weights
