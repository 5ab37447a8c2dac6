"""The page's still pictures: the most anomalous slices, and what the models made of them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import ndimage
from torch import Tensor

from mmccd.core import Result
from mmccd.imaging import GridTransform
from mmccd.outputs.report.view import OUTLINE, RadiologicalView, opacity

PIXELS_PER_MM = 2.0
THUMBNAIL = 168
"""The longer side of the small picture, in pixels."""
_OUTLINE_PIXELS = 2
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Panels:
    """Pictures of one slice, PNG in base64, all of the same part of the head and of equal size; the
    image's left is the patient's right.

    Attributes:
        index: of the slice, from inferior to superior.
        input: with the segmentation's outline.
        anomaly: the smoothed map over the input.
        imagined: mean y, on the model grid; black outside the brain and where no strip was.
        returned: mean x', likewise, with the grey scale of the input.
    """

    index: int
    input: str
    anomaly: str
    imagined: str
    returned: str


def draw_panels(
    result: Result, view: RadiologicalView, transform: GridTransform, count: int
) -> list[Panels]:
    """The most anomalous slices.

    Args:
        result: a finished run; the slices of its cycle are those of the input.
        view: the same, seen by a radiologist.
        transform: from the input's grid to that of the cycle.
        count: how many slices at the most.
    """
    pencil = _Pencil(view, transform)
    chosen = view.chosen(count)
    imagined, returned, signed = (
        [pencil.model_slice(layer[index], index) for index in chosen]
        for layer in (
            _layer(result.maps.translated),
            _layer(result.maps.reconstructed),
            _layer(result.maps.signed),
        )
    )
    imagined_window = _window(imagined)
    # What returned plus the signed difference is the input, on the model grid.
    input_window = _window([x + difference for x, difference in zip(returned, signed, strict=True)])
    return [
        Panels(
            index,
            _png(pencil.outlined(index)),
            _png(pencil.coloured(index)),
            _png(_grey(imagined[number], imagined_window)),
            _png(_grey(returned[number], input_window)),
        )
        for number, index in enumerate(chosen)
    ]


def write_thumbnail(result: Result, path: str | Path) -> None:
    """Draw the most anomalous slice with the segmentation's outline, small: what lists of many
    results show.

    Args:
        result: a finished run.
        path: JPEG file to make.

    Raises:
        OSError: the file cannot be written.
    """
    view = RadiologicalView.of(result)
    pencil = _Pencil(view, GridTransform.fit(result.image, result.brain_mask.data > 0))
    picture = Image.fromarray(pencil.outlined(view.chosen(1)[0]))
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    picture.save(path, "JPEG", quality=80)


class _Pencil:
    """Slices to pixels; nothing is interpolated."""

    def __init__(self, view: RadiologicalView, transform: GridTransform) -> None:
        self.view, self.transform = view, transform
        self.box, self.window, self.top = view.box, view.window, view.top
        width, height = view.size_mm
        self.size = round(width * PIXELS_PER_MM), round(height * PIXELS_PER_MM)

    def outlined(self, index: int) -> Pixels:
        """The input, and the outline of the segmentation within its border."""
        picture = self._input(index)
        inside = self._enlarge(self.view.segmentation[(index, *self.box)].astype(np.uint8)) > 0
        picture[inside & ~ndimage.binary_erosion(inside, iterations=_OUTLINE_PIXELS)] = (
            ImageColor.getrgb(OUTLINE)
        )
        return picture

    def coloured(self, index: int) -> Pixels:
        """The map within the brain over the input."""
        here = (index, *self.box)
        colours = matplotlib.colormaps["inferno"](
            np.clip(self.view.anomaly[here] / self.top, 0.0, 1.0), bytes=True
        )[..., :3]
        share = self._enlarge_values(opacity(self.view.anomaly[here], self.top))[..., None]
        colours, inside = self._enlarge(colours), self._brain(index)
        picture = self._input(index)
        mixed = share * colours + (1.0 - share) * picture
        picture[inside] = mixed[inside].astype(np.uint8)
        return picture

    def model_slice(self, layer: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """Values of a slice of the model grid under the picture's pixels; NaN outside the brain."""
        grid, spacing = self.transform.grid, self.view.spacing
        ends = (
            (self.box[0], spacing[1], self.transform.centre[1], self.size[1]),
            (self.box[1], spacing[0], self.transform.centre[0], self.size[0]),
        )
        rows, columns = (np.floor(self._along(*end)).astype(int) for end in ends)
        inside = (
            ((rows >= 0) & (rows < grid.size))[:, None]
            & ((columns >= 0) & (columns < grid.size))[None]
            & self._brain(index)
        )
        found = layer[
            np.clip(rows, 0, grid.size - 1)[:, None], np.clip(columns, 0, grid.size - 1)[None]
        ]
        return np.where(inside, found, np.float32(np.nan))

    def _along(self, part: slice, step: float, centre: float, pixels: int) -> NDArray[np.float64]:
        """Model pixel, counted from the edge of the first one, under each pixel of the picture."""
        grid = self.transform.grid
        native = part.start - 0.5 + (np.arange(pixels) + 0.5) * (part.stop - part.start) / pixels
        return np.asarray((native - centre) * step / grid.spacing + grid.size / 2)

    def _input(self, index: int) -> Pixels:
        return self._enlarge(_grey(self.view.image[(index, *self.box)], self.window))

    def _brain(self, index: int) -> NDArray[np.bool_]:
        return self._enlarge(self.view.brain[(index, *self.box)].astype(np.uint8)) > 0

    def _enlarge(self, pixels: Pixels) -> Pixels:
        return np.array(Image.fromarray(pixels).resize(self.size, Image.Resampling.NEAREST))

    def _enlarge_values(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        image = Image.fromarray(values)  # 32-bit floating point
        return np.array(image.resize(self.size, Image.Resampling.NEAREST))


def _layer(layer: Tensor) -> NDArray[np.float32]:
    return np.asarray(layer[:, 0].numpy(), dtype=np.float32)


def _window(layers: list[NDArray[np.float32]]) -> tuple[float, float]:
    """Values that are drawn black and white."""
    known = np.concatenate([layer[np.isfinite(layer)] for layer in layers])
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
