"""What tells FLAIR from T1 and T2, in numbers that do not change where intensities are scaled or
shifted: a * I + b gives what I gives, for a > 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.imaging import mni_tissues

UPPER_MM = 90.0
"""Only so much of the brain is measured, from the crown down: there extraction is sure, and scans
that end early have it, too.
"""
RIM_MM = 3.8
"""The brain's outermost pixels in a slice, where a mask that slips holds fat, bone or background.
"""
PERCENTILES = (1, 2, 5, 10, 25, 75, 90, 95, 98, 99)
BINS = (0, 2, 5, 10, 20, 35, 50, 65, 80, 90, 95, 98, 100)
"""Percentiles between which voxels are taken together."""
DEPTHS_MM = (0, 2, 4, 7, 11, 16, 24, 200)
EDGE_PERCENTILES = (2, 10, 90, 98)
CONTRAST = (
    "white_to_grey",
    "fluid_to_grey",
    "ventricles_to_grey",
    "white_correlation",
    "grey_correlation",
    "fluid_correlation",
    *(f"p{p}" for p in PERCENTILES),
    *(f"{what}_to_p{p}" for what in ("white", "fluid", "depth") for p in BINS[1:]),
    *(f"depth_to_{mm}_mm" for mm in DEPTHS_MM[1:]),
    *(f"edge_p{p}" for p in EDGE_PERCENTILES),
    "edge_skewness",
    "edge_correlation",
    "edge_white_correlation",
    "edge_grey_correlation",
)
"""The numbers of :func:`measure_contrast`, in their order."""

_TISSUE_PERCENTILES = (20.0, 97.0)
_VENTRICLE_DEPTH_MM = 20.0
_DEEP_MM = 30.0
_SLICES_MM = 3.0
_MOST_SAMPLES = 40
_EDGE_MM = 4.0
_FEWEST = 1000
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StandardBrain:
    """The box of a brain with intensities in robust units.

    Attributes:
        values: ``(slices, rows, columns)``; below the rim the median is 0 and the distance from the
            10th to the 90th percentile is 1; cut off at the 1st and 99th percentile, 0 outside.
        mask: bool of the same shape.
        depth: distance from the outside within the slice in mm, of the same shape.
        inner: the mask without its rim.
        pixel_mm: edge of a pixel.
    """

    values: _Floats
    mask: NDArray[np.bool_]
    depth: _Floats
    inner: NDArray[np.bool_]
    pixel_mm: float

    @classmethod
    def of(
        cls, image: NDArray[np.float32], mask: NDArray[np.bool_], spacing: Sequence[float]
    ) -> StandardBrain:
        """Of a brain whose mask is not empty; thin slices are passed over, so that what is left is
        up to 3 mm apart.
        """
        box = box_of(mask)
        box = (slice(box[0].start, box[0].stop, max(1, int(_SLICES_MM / spacing[0]))), *box[1:])
        mask = mask[box]
        depth = _depth(mask, spacing[1])
        inner = mask & (depth > RIM_MM)
        if inner.sum() < _FEWEST:
            inner = mask
        found = image[box].astype(np.float64)
        low, tenth, middle, ninetieth, high = np.percentile(found[inner], (1, 10, 50, 90, 99))
        spread = ninetieth - tenth
        values = np.where(mask, np.clip(found, low, high) - middle, 0.0)
        values = values / spread if spread > 0 else np.zeros_like(values)
        return cls(values, mask, depth, inner, spacing[1])


def measure_contrast(
    image: NDArray[np.float32], mask: NDArray[np.bool_], spacing: Sequence[float]
) -> dict[str, float]:
    """All of :data:`CONTRAST`, of the upper brain; only below the rim, but for ``depth_to_..._mm``.

    - ``white_to_grey``, ``fluid_to_grey``, ``ventricles_to_grey``: differences of the mean
      intensities at the places where MNI152 has white matter, grey matter, fluid in the sulci and
      in the ventricles (least squares on its tissue maps, fitted to the brain's box)
    - ``..._correlation``: of intensity with these maps; white and grey matter over voxels between
      the 20th and the 97th percentile (neither fluid nor the brightest)
    - ``p1`` to ``p99``: percentiles
    - ``white_to_p...``, ``fluid_to_p...``, ``depth_to_p...``: mean of the maps of white matter and
      of fluid, and of the depth, over the voxels from one percentile to the next, less that of all:
      where in the brain the dark, the middle and the bright is; free of any growing function of the
      intensities
    - ``depth_to_..._mm``: mean intensity from one depth below the brain's outline to the next
    - ``edge_...``: what a Gaussian of 4 mm removes, relative to its standard deviation:
      percentiles, skewness (dark sulci against bright cortex), and its correlation with intensity
      and the maps

    Args:
        image: ``(slices, rows, columns)`` in the model's orientation, in any unit.
        mask: the upper brain, of the same shape.
        spacing: of slices, rows and columns in mm.
    """
    brain = StandardBrain.of(image, mask, spacing)
    steps = tuple(slice(None, None, max(1, n // _MOST_SAMPLES)) for n in brain.mask.shape)
    chosen = brain.mask[steps]
    below = brain.inner[steps][chosen]
    values, depth = brain.values[steps][chosen], brain.depth[steps][chosen]
    edges = _edges(brain)[steps][chosen][below]
    maps = _maps_at(brain.mask.shape, steps, chosen)[:, below]
    inside, deep = values[below], depth[below]
    numbers = [
        *_tissues(inside, maps),
        *np.percentile(inside, PERCENTILES),
        *_places(inside, np.stack([maps[0], maps[2] + maps[3], _relative(deep)])),
        *_layers(values, depth),
        *_edge_numbers(edges, inside, maps),
    ]
    return {name: float(number) for name, number in zip(CONTRAST, numbers, strict=True)}


def box_of(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Bounding box of a mask that is not empty."""
    ends = [
        np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[[0, -1]]
        for axis in range(3)
    ]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def places_in(shape: Sequence[int], steps: Sequence[slice]) -> _Floats:
    """Centres of some voxels of a box along each axis, from 0 to 1, ``(3, ...)``."""
    axes = [((np.arange(n) + 0.5) / n)[step] for n, step in zip(shape, steps, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def correlation(a: _Floats, b: _Floats) -> float:
    """Pearson's; 0 where there is nothing to correlate."""
    if a.size < 10 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


@lru_cache(maxsize=1)
def begin_templates() -> Future[NDArray[np.float32]]:
    """Begin to make what :func:`measure_contrast` compares with, beside whatever comes next: it
    takes about a second, and PyTorch, whose import takes longer, is not needed for it.
    """
    return ThreadPoolExecutor(1, "templates").submit(_make_templates)


def _templates() -> NDArray[np.float32]:
    """As :func:`_make_templates`; made once. Not to be changed."""
    return begin_templates().result()


def _make_templates() -> NDArray[np.float32]:
    """White matter, grey matter, fluid in the sulci and in the ventricles of MNI152 within the
    upper brain's box, a little blurred, ``(4, slices, rows, columns)`` in the model's orientation.
    """
    tissues = mni_tissues()
    spacing = abs(float(tissues.affine[2, 2]))
    inside = tissues.brain.copy()
    top = box_of(inside)[2].stop
    inside[:, :, : top - round(UPPER_MM / spacing)] = False
    box = box_of(inside)
    white, grey, fluid = (
        share[box].transpose(2, 1, 0)[:, ::-1, ::-1]
        for share in (tissues.white, tissues.grey, tissues.fluid)
    )
    ventricles = _depth(white + grey + fluid > 0.5, spacing) > _VENTRICLE_DEPTH_MM
    maps = (white, grey, fluid * ~ventricles, fluid * ventricles)
    return np.stack([ndimage.gaussian_filter(layer, 1.0 / spacing) for layer in maps])


def _depth(mask: NDArray[np.bool_], pixel_mm: float) -> _Floats:
    """Distance from the outside of each slice in mm."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    found = np.stack([ndimage.distance_transform_edt(layer) for layer in padded])
    return np.asarray(found[:, 1:-1, 1:-1] * pixel_mm)


def _maps_at(
    shape: Sequence[int], steps: Sequence[slice], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The maps of MNI152 at some voxels of a brain's box, ``(4, n)``."""
    templates = _templates()
    index = places_in(shape, steps)[:, chosen] * np.array(templates.shape[1:])[:, None] - 0.5
    return np.stack(
        [ndimage.map_coordinates(layer, index, order=1, mode="nearest") for layer in templates]
    ).astype(np.float64)


def _tissues(values: _Floats, maps: _Floats) -> list[float]:
    white, grey, fluid, ventricles = np.linalg.lstsq(maps.T, values, rcond=None)[0]
    low, high = np.percentile(values, _TISSUE_PERCENTILES)
    tissue = (values > low) & (values < high)
    return [
        white - grey,
        fluid - grey,
        ventricles - grey,
        correlation(values[tissue], maps[0][tissue]),
        correlation(values[tissue], maps[1][tissue]),
        correlation(values, maps[2] + maps[3]),
    ]


def _relative(depth: _Floats) -> _Floats:
    return np.minimum(depth, _DEEP_MM) / _DEEP_MM


def _places(values: _Floats, maps: _Floats) -> list[float]:
    order = np.argsort(values, kind="stable")
    edges = [round(share * len(values) / 100) for share in BINS]
    around = maps - maps.mean(axis=1, keepdims=True)
    return [
        _mean(layer[order[first:last]])
        for layer in around
        for first, last in zip(edges, edges[1:], strict=False)
    ]


def _layers(values: _Floats, depth: _Floats) -> list[float]:
    return [
        _mean(values[(depth >= first) & (depth < last)])
        for first, last in zip(DEPTHS_MM, DEPTHS_MM[1:], strict=False)
    ]


def _mean(values: _Floats) -> float:
    return float(values.mean()) if values.size else 0.0


def _edges(brain: StandardBrain) -> _Floats:
    """What a blur within the brain removes, of the shape of the box."""
    sigma = (0, _EDGE_MM / brain.pixel_mm, _EDGE_MM / brain.pixel_mm)
    return brain.values - blurred_inside(brain.values, brain.mask, sigma)


def blurred_inside(
    values: _Floats, mask: NDArray[np.bool_], sigma: tuple[float, float, float]
) -> _Floats:
    """Gaussian blur to which nothing outside the mask contributes."""
    weight = ndimage.gaussian_filter(mask.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(np.where(mask, values, 0.0), sigma)
    return np.asarray(total / np.maximum(weight, 1e-3))


def _edge_numbers(edges: _Floats, values: _Floats, maps: _Floats) -> list[float]:
    scaled = edges / max(float(edges.std()), 1e-9)
    return [
        *(float(value) for value in np.percentile(scaled, EDGE_PERCENTILES)),
        float((np.clip(scaled, -4, 4) ** 3).mean()),
        correlation(edges, values),
        correlation(edges, maps[0]),
        correlation(edges, maps[1]),
    ]
