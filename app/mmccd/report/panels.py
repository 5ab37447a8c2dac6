"""The page's still pictures: the most anomalous slices, and what the models made of them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import ndimage
from torch import Tensor

from mmccd.preprocessing import GridTransform
from mmccd.report.view import MOST_OPAQUE, OUTLINE, RadiologicalView
from mmccd.result import Result

PIXELS_PER_MM = 2.0
_OUTLINE_PIXELS = 2
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Panels:
    """Pictures of one slice, PNG in base64, all of the same part of the head and of equal size; the image's left is the patient's right.

    Attributes:
        index: of the slice, from inferior to superior.
        input: with the segmentation's outline.
        anomaly: the smoothed map over the input.
        imagined: mean y, on the model grid; black where no strip was.
        returned: mean x', likewise, with the grey scale of the input.
    """

    index: int
    input: str
    anomaly: str
    imagined: str
    returned: str


def draw_panels(result: Result, view: RadiologicalView, transform: GridTransform, count: int) -> list[Panels]:
    """The most anomalous slices.

    Args:
        result: a finished run; the slices of its cycle are those of the input.
        view: the same, seen by a radiologist.
        transform: from the input's grid to that of the cycle.
        count: how many slices at the most.
    """
    pencil = _Pencil(view, transform)
    cycle = result.cycle
    imagined, returned = _layer(cycle.imagined), _layer(cycle.returned)
    windows = _window(imagined), _window(returned + _layer(cycle.signed))
    return [
        Panels(
            index,
            _png(pencil.outlined(index)),
            _png(pencil.coloured(index)),
            _png(pencil.model_slice(imagined[index], windows[0])),
            _png(pencil.model_slice(returned[index], windows[1])),
        )
        for index in view.chosen(count)
    ]


class _Pencil:
    """Slices to pixels; nothing is interpolated."""

    def __init__(self, view: RadiologicalView, transform: GridTransform) -> None:
        self.view = view
        self.transform = transform
        self.size = tuple(round(length * PIXELS_PER_MM) for length in view.size_mm)

    def outlined(self, index: int) -> Pixels:
        """The input, and the outline of the segmentation within its border."""
        picture = self._input(index)
        inside = self._enlarge(self.view.segmentation[(index, *self.view.box)].astype(np.uint8)) > 0
        picture[inside & ~ndimage.binary_erosion(inside, iterations=_OUTLINE_PIXELS)] = ImageColor.getrgb(OUTLINE)
        return picture

    def coloured(self, index: int) -> Pixels:
        """The map within the brain over the input."""
        here = (index, *self.view.box)
        colours = matplotlib.colormaps["inferno"](np.clip(self.view.anomaly[here] / self.view.top, 0.0, 1.0), bytes=True)[..., :3]
        colours, inside = self._enlarge(colours), self._enlarge(self.view.brain[here].astype(np.uint8)) > 0
        picture = self._input(index)
        picture[inside] = (MOST_OPAQUE * colours[inside] + (1.0 - MOST_OPAQUE) * picture[inside]).astype(np.uint8)
        return picture

    def model_slice(self, layer: NDArray[np.float32], window: tuple[float, float]) -> Pixels:
        """A slice of the model grid in the place where it lies in the view."""
        grid, spacing = self.transform.grid, self.view.spacing
        rows, columns = (
            np.floor(self._along(part.start, part.stop, step, centre, pixels)).astype(int)
            for part, step, centre, pixels in zip(
                self.view.box, (spacing[1], spacing[0]), self.transform.centre[::-1], self.size[::-1], strict=True
            )
        )
        inside = ((rows >= 0) & (rows < grid.size))[:, None] & ((columns >= 0) & (columns < grid.size))[None]
        found = layer[np.clip(rows, 0, grid.size - 1)[:, None], np.clip(columns, 0, grid.size - 1)[None]]
        return _grey(np.where(inside, found, np.nan), window)

    def _along(self, start: int, stop: int, step: float, centre: float, pixels: int) -> NDArray[np.float64]:
        """Model pixel, counted from the edge of the first one, under each pixel of the picture."""
        grid = self.transform.grid
        native = start - 0.5 + (np.arange(pixels) + 0.5) * (stop - start) / pixels
        return np.asarray((native - centre) * step / grid.spacing + grid.size / 2)

    def _input(self, index: int) -> Pixels:
        return self._enlarge(_grey(self.view.image[(index, *self.view.box)], self.view.window))

    def _enlarge(self, pixels: Pixels) -> Pixels:
        return np.array(Image.fromarray(pixels).resize(self.size, Image.Resampling.NEAREST))


def _layer(layer: Tensor) -> NDArray[np.float32]:
    return np.asarray(layer[:, 0].numpy(), dtype=np.float32)


def _window(layer: NDArray[np.float32]) -> tuple[float, float]:
    """Values that are drawn black and white."""
    known = layer[np.isfinite(layer)]
    low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 1.0)
    return float(low), float(high)


def _grey(values: NDArray[np.float32], window: tuple[float, float]) -> Pixels:
    low, high = window
    shares = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
    levels = np.nan_to_num(255.0 * shares, nan=0.0).round().astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _png(pixels: Pixels) -> str:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    grey = bool((pixels == pixels[..., :1]).all())
    (picture.convert("L") if grey else picture).save(buffer, "PNG", compress_level=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
