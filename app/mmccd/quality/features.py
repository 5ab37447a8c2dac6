"""What a brain looks like in numbers: contrast, brightness over the head, detail. Used to tell
FLAIR from T1 and T2, and the usual from the unusual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.core import Volume
from mmccd.imaging import GridTransform, brain_values, mni_tissues

PERCENTILES = (2, 5, 10, 25, 75, 90, 95, 98)
CONTRAST = (
    "white_to_grey",
    "fluid_to_grey",
    "white_correlation",
    "grey_correlation",
    *(f"p{p}" for p in PERCENTILES),
)
"""Numbers that tell contrasts apart; all are free of the intensities' scale."""
QUALITY = ("bias", "jump", "detail")
UPPER_MM = 90.0
"""Only so much of the brain is measured, from the crown down: there extraction is sure, and scans
that end early have it, too.
"""
_CROWN_SHARE = 0.05
_TISSUE_PERCENTILES = (20.0, 97.0)
_MOST_SAMPLES = 48
_DETAIL_PIXELS = 1.5


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
    rows, columns = _box(upper(slices).mask)[1:]
    return float(
        (columns.stop - columns.start)
        * slices.spacing[2]
        / ((rows.stop - rows.start) * slices.spacing[1])
    )


def measure(slices: BrainSlices) -> dict[str, float]:
    """All of :data:`CONTRAST` and :data:`QUALITY`, of the upper brain (:func:`upper`).

    - ``white_to_grey``, ``fluid_to_grey``: log ratio, and ratio, of the mean intensities at the
      places where MNI152 has white matter, grey matter and fluid (least squares on its tissue maps,
      fitted to the brain's box)
    - ``white_correlation``, ``grey_correlation``: of intensity with these maps, over voxels between
      the 20th and the 97th percentile (neither fluid nor the brightest)
    - ``p2`` to ``p98``: percentiles relative to the median
    - ``bias``: standard deviation over the brain of a quadratic surface fitted to the logarithm of
      the intensities between these percentiles
    - ``jump``: median over slices of how far the logarithm of a slice's median lies from the mean
      of its neighbours'
    - ``detail``: standard deviation of what a Gaussian of 1.5 pixels removes, relative to that of
      the brain
    """
    slices = upper(slices)
    values = slices.image[slices.mask]
    percentiles = np.percentile(values, PERCENTILES)
    middle = max(float(np.median(values)), 1e-6 * max(float(np.abs(values).max()), 1e-30))
    result = _anatomical(slices, percentiles[0], percentiles[-1])
    result |= {
        f"p{p}": float(value / middle) for p, value in zip(PERCENTILES, percentiles, strict=True)
    }
    return result | {"bias": _bias(slices), "jump": _jump(slices), "detail": _detail(slices)}


@lru_cache(maxsize=1)
def _templates() -> NDArray[np.float32]:
    """White matter, grey matter and fluid of MNI152 within the upper brain's box, ``(3, slices,
    rows, columns)`` in the model's orientation.
    """
    tissues = mni_tissues()
    inside = tissues.brain.copy()
    top = _box(inside)[2].stop
    inside[:, :, : top - round(UPPER_MM / abs(tissues.affine[2, 2]))] = False
    box = _box(inside)
    maps = np.stack([share[box] for share in (tissues.white, tissues.grey, tissues.fluid)])
    return np.ascontiguousarray(maps.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1])


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    ends = [
        np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[[0, -1]]
        for axis in range(3)
    ]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def _samples(
    slices: BrainSlices,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Some voxels of the brain: intensities ``(n,)``, places within its box from 0 to 1 ``(3, n)``,
    and which of them are tissue.
    """
    box = _box(slices.mask)
    steps = tuple(
        slice(None, None, max(1, (part.stop - part.start) // _MOST_SAMPLES)) for part in box
    )
    mask = slices.mask[box][steps]
    values = slices.image[box][steps][mask].astype(np.float64)
    places = [
        ((np.arange(p.stop - p.start) + 0.5) / (p.stop - p.start))[s]
        for p, s in zip(box, steps, strict=True)
    ]
    grid = np.stack(np.meshgrid(*places, indexing="ij"))[:, mask]
    low, high = np.percentile(values, _TISSUE_PERCENTILES)
    return values, grid, (values > low) & (values < high)


def _anatomical(slices: BrainSlices, low: float, high: float) -> dict[str, float]:
    values, places, tissue = _samples(slices)
    templates = _templates()
    index = places * np.array(templates.shape[1:])[:, None] - 0.5
    maps = np.stack(
        [ndimage.map_coordinates(layer, index, order=1, mode="nearest") for layer in templates]
    ).astype(np.float64)
    white, grey, fluid = np.linalg.lstsq(maps.T, np.clip(values, low, high), rcond=None)[0]
    grey = max(float(grey), 1e-6 * max(abs(high), 1e-30))
    return {
        "white_to_grey": float(np.log(max(white / grey, 1e-2))),
        "fluid_to_grey": float(np.clip(fluid / grey, -5, 5)),
        "white_correlation": _correlation(values[tissue], maps[0][tissue]),
        "grey_correlation": _correlation(values[tissue], maps[1][tissue]),
    }


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if a.size < 10 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _bias(slices: BrainSlices) -> float:
    values, places, tissue = _samples(slices)
    tissue = tissue & (values > 0)
    if tissue.sum() < 100:
        return 0.0
    centred = places - 0.5
    columns = [
        np.ones(values.size),
        *centred,
        *(centred[a] * centred[b] for a in range(3) for b in range(a, 3)),
    ]
    design = np.stack(columns, axis=1)
    fitted = np.linalg.lstsq(design[tissue], np.log(values[tissue]), rcond=None)[0]
    return float((design @ fitted).std())


def _jump(slices: BrainSlices) -> float:
    areas = slices.mask.sum(axis=(1, 2))
    chosen = np.flatnonzero(areas > 0.4 * areas.max())
    medians = np.array(
        [
            np.median(slices.image[k][slices.mask[k]])
            for k in range(chosen[0], chosen[-1] + 1)
            if areas[k]
        ]
    )
    if len(medians) < 5 or (medians <= 0).any():
        return 0.0
    logs = np.log(medians)
    return float(np.median(np.abs(logs[1:-1] - (logs[:-2] + logs[2:]) / 2)))


def _detail(slices: BrainSlices) -> float:
    inside = ndimage.binary_erosion(
        slices.mask, ndimage.generate_binary_structure(2, 1)[None], iterations=3
    )
    values = slices.image[slices.mask]
    spread = float(np.subtract(*np.percentile(values, [90, 10])))
    if not inside.any() or spread <= 0:
        return 0.0
    smooth = ndimage.gaussian_filter(slices.image, (0, _DETAIL_PIXELS, _DETAIL_PIXELS))
    return float((slices.image - smooth)[inside].std() / spread)
