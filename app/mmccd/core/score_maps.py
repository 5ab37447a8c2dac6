"""What a method says about slices."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ScoreMaps:
    """A method's maps on the model grid, float32 on the CPU, each ``(slices, 1, height, width)``;
    NaN where the method says nothing.

    The cycle's are means over the masks that cover a voxel (sum_r m_r v_r / sum_r m_r, Eq. 10), or
    over draws that hide the whole slice.

    Attributes:
        anomaly: the score, larger = more anomalous; of a method that reconstructs, the error
            between x and x'.
        signed: x - x': positive where the input is brighter than the reconstructed image, without
            its smooth offset where the cycle is set to level it; the score itself where a method
            reconstructs nothing.
        translated: the translated image y_0 (the reconstructed one where a method has no second
            contrast); NaN where there is none.
        reconstructed: the reconstructed image x'; NaN where there is none.
        coverage: number of masks and draws over each voxel; 1 where a method without masks scored
            it, 0 where nothing was scored.
    """

    anomaly: Tensor
    signed: Tensor
    translated: Tensor
    reconstructed: Tensor
    coverage: Tensor
