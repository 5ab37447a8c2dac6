"""Bias-field correction: N4 (Tustison et al., IEEE TMI 2010) as SimpleITK has it."""

from __future__ import annotations

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from mmccd.core import Volume

_WORKING_MM = 4.0
_ITERATIONS = (30, 20, 10)


def correct_bias(volume: Volume, brain: NDArray[np.bool_]) -> Volume:
    """The volume divided by a smooth field that N4 finds in the brain.

    The field is estimated on voxels of about 4 mm and evaluated on the volume's own grid; its mean
    over the brain is 1.

    Args:
        volume: any MR image.
        brain: its brain mask.
    """
    data = np.clip(
        np.nan_to_num(np.asarray(volume.data, dtype=np.float32), posinf=0.0, neginf=0.0), 0, None
    )
    image, mask = (
        SimpleITK.GetImageFromArray(data),
        SimpleITK.GetImageFromArray(brain.astype(np.uint8)),
    )
    for item in (image, mask):
        item.SetSpacing(volume.spacing[::-1])
    factors = [max(1, round(_WORKING_MM / mm)) for mm in volume.spacing[::-1]]
    corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(_ITERATIONS)
    corrector.Execute(SimpleITK.Shrink(image, factors), SimpleITK.Shrink(mask, factors))
    field = np.exp(
        SimpleITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)).astype(np.float32)
    )
    field /= field[brain].mean()
    return volume.with_data((volume.data / field).astype(np.float32))
