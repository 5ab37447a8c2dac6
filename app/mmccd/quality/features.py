"""What a brain looks like in numbers: contrast, brightness over the head, detail. Used to tell
FLAIR from T1 and T2, and the usual from the unusual. None depends on scale or zero point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import Volume
from mmccd.imaging import GridTransform, brain_values
from mmccd.quality.contrast import UPPER_MM, blurred_inside, box_of, measure_contrast, places_in

QUALITY = ("bias", "jump", "detail")
REFERENCE = (
    "white_to_grey",
    "fluid_to_grey",
    "white_correlation",
    "grey_correlation",
    "p2",
    "p5",
    "p25",
    "p75",
    "p95",
    "p98",
    "edge_skewness",
    *QUALITY,
)
"""Numbers in which a brain may be unlike those that the models know."""
_CROWN_SHARE = 0.05
_TISSUE_PERCENTILES = (20.0, 97.0)
_MOST_SAMPLES = 48
_DETAIL_PIXELS = 1.5
_FEWEST_TISSUE = 100


@dataclass(frozen=True)
class BrainSlices:
    """A brain on the model grid, not normalised.

    Attributes:
        image: float32 ``(slices, rows, columns)``: rows to posterior, columns to the left, slices
            to superior.
        mask: bool of the same shape.
        spacing: of the slices, rows and columns in mm.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, volume: Volume, brain: NDArray[np.bool_]) -> BrainSlices:
        """A volume's brain.

        Raises:
            UnsuitableInputError: a brain of fewer than 100 voxels, with NaN or Inf, or that does
                not fit into the model's field of view.
        """
        brain_values(volume, brain)
        transform = GridTransform.fit(volume, brain)
        inside = transform.to_model(brain, 0.0)
        values = np.where(brain, volume.data, 0.0).astype(np.float32)
        image = transform.to_model(values, 0.0) / np.maximum(inside, 0.5)
        return cls(
            image.astype(np.float32),
            inside >= 0.5,
            (transform.spacing[2], transform.grid.spacing, transform.grid.spacing),
        )


def upper(slices: BrainSlices) -> BrainSlices:
    """The upper 90 mm of a brain; nothing else counts as brain any more."""
    areas = slices.mask.sum(axis=(1, 2))
    top = int(np.flatnonzero(areas >= _CROWN_SHARE * areas.max())[-1])
    keep = np.zeros(len(areas), dtype=bool)
    keep[max(0, top + 1 - round(UPPER_MM / slices.spacing[0])) : top + 1] = True
    return replace(slices, mask=slices.mask & keep[:, None, None])


def width_to_length(slices: BrainSlices) -> float:
    """Extent from right to left over that from front to back, of the upper brain."""
    rows, columns = box_of(upper(slices).mask)[1:]
    return float(
        (columns.stop - columns.start)
        * slices.spacing[2]
        / ((rows.stop - rows.start) * slices.spacing[1])
    )


def measure(slices: BrainSlices) -> dict[str, float]:
    """All of :data:`~mmccd.quality.contrast.CONTRAST` and :data:`QUALITY`, of the upper brain
    (:func:`upper`). The intensities' scale and zero point have no influence.

    - ``bias``: standard deviation over the brain of a quadratic surface fitted to the intensities
      between the 20th and the 97th percentile, relative to that of what it leaves over there
    - ``jump``: median over slices of how far a slice's median lies from the mean of its
      neighbours', relative to the spread within slices (median over slices of the distance from
      the 10th to the 90th percentile)
    - ``detail``: standard deviation of what a Gaussian of 1.5 pixels removes, relative to the
      distance from the 10th to the 90th percentile of the brain
    """
    slices = upper(slices)
    box = box_of(slices.mask)
    slices = replace(slices, image=slices.image[box], mask=slices.mask[box])
    return measure_contrast(slices.image, slices.mask, slices.spacing) | {
        "bias": _bias(slices),
        "jump": _jump(slices),
        "detail": _detail(slices),
    }


def _samples(
    slices: BrainSlices,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Some voxels of a brain that fills its box: intensities ``(n,)``, places within the box from 0
    to 1 ``(3, n)``, and which of them are tissue.
    """
    steps = tuple(slice(None, None, max(1, n // _MOST_SAMPLES)) for n in slices.mask.shape)
    mask = slices.mask[steps]
    values = slices.image[steps][mask].astype(np.float64)
    low, high = np.percentile(values, _TISSUE_PERCENTILES)
    places = places_in(slices.mask.shape, steps)[:, mask]
    return values - low, places, (values > low) & (values < high)


def _bias(slices: BrainSlices) -> float:
    values, places, tissue = _samples(slices)
    if tissue.sum() < _FEWEST_TISSUE:
        return 0.0
    centred = places - 0.5
    columns = [
        np.ones(values.size),
        *centred,
        *(centred[a] * centred[b] for a in range(3) for b in range(a, 3)),
    ]
    design = np.stack(columns, axis=1)
    fitted = design @ np.linalg.lstsq(design[tissue], values[tissue], rcond=None)[0]
    left = float((values - fitted)[tissue].std())
    return float(fitted.std() / left) if left > 0 else 0.0


def _jump(slices: BrainSlices) -> float:
    areas = slices.mask.sum(axis=(1, 2))
    chosen = np.flatnonzero(areas > 0.4 * areas.max())
    found = np.array(
        [
            np.percentile(slices.image[k][slices.mask[k]].astype(np.float64), (10, 50, 90))
            for k in range(chosen[0], chosen[-1] + 1)
            if areas[k]
        ]
    )
    spread = float(np.median(found[:, 2] - found[:, 0]))
    if len(found) < 5 or spread <= 0:
        return 0.0
    medians = found[:, 1]
    return float(np.median(np.abs(medians[1:-1] - (medians[:-2] + medians[2:]) / 2)) / spread)


def _detail(slices: BrainSlices) -> float:
    inside = ndimage.binary_erosion(
        slices.mask, ndimage.generate_binary_structure(2, 1)[None], iterations=3
    )
    values = slices.image[slices.mask].astype(np.float64)
    low, middle, high = np.percentile(values, [10, 50, 90])
    if not inside.any() or high <= low:
        return 0.0
    image = slices.image - middle
    smooth = blurred_inside(image, slices.mask, (0, _DETAIL_PIXELS, _DETAIL_PIXELS))
    return float((image - smooth)[inside].std() / (high - low))
