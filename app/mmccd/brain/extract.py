"""Brain extraction: any head, any contrast, any orientation to a brain mask on the head's own
grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nibabel.orientations as orientations
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mmccd.brain.background import find_background
from mmccd.brain.slices import LARGEST, intensity_scale, triples
from mmccd.core import UnsuitableInputError, Volume
from mmccd.imaging import MODEL_ORIENTATION, Grid, resampling_weights

Network = Callable[[Tensor], Tensor]

THINNEST_MM, THIN_TO_MM = 2.5, 3.0
"""Slices thinner than the first are averaged to the second: the network was trained on neighbours
2.5 to 7 mm apart.
"""
THICKEST_MM = 7.0
COARSE_MM, COARSE_TO_MM = 5.0, 6.0
"""The same where only the place of the cerebellum is asked for."""
SMALLEST_ML = 50.0
_CAUTION = 0.85
"""By this the logits of the brain are lowered: what counts as brain has a probability of .70 and
more. A margin of fat and muscle looks anomalous later; one of brain that is lost does not.
"""
_BATCH = 16
_HEAD_SHARE = 0.15
_UPPER_HEAD_MM = 140.0
_MOVE_MM = 8.0
_CLOSING_MM = 4.0
_LEAN = 0.36
"""How far a brain's outline may lie outside that of its neighbour nearer to the widest slice, in
slice spacings: a stack tilted by 20 degrees.
"""
_NECK_AREA, _NECK_SHARE = 0.3, 0.25
"""A neck: an end slice smaller than this share of the widest, more of which than this share is as
dark or bright as 2 % of the brain's middle.
"""
_BALL = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class Extraction:
    """What the network found, on the volume's own grid.

    Attributes:
        mask: bool, brain with its fluid.
        lower: bool, of that the cerebellum and brainstem.
        doubt: share of the mask's volume in which the network was unsure (probability 0.2 to 0.8,
            in or next to the mask).
    """

    mask: NDArray[np.bool_]
    lower: NDArray[np.bool_]
    doubt: float


@dataclass(frozen=True)
class AxialGrid:
    """Axial slices of 128 x 128 pixels of 1.875 mm round a point of the head, and the way back. All
    axes are resampled.

    Attributes:
        native_shape: shape of the volume.
        to_lps: orientation transform (nibabel's) from its axes to L, P, S.
        weights: matrices that resample the L, P and S axes, ``(new, old)``.
        back: matrices of the way back, ``(old, new)``.
        spacing: of the slices along L, P, S in mm.
    """

    native_shape: tuple[int, int, int]
    to_lps: NDArray[np.float64]
    weights: tuple[NDArray[np.float32], ...]
    back: tuple[NDArray[np.float32], ...]
    spacing: tuple[float, float, float]

    @classmethod
    def fit(
        cls,
        volume: Volume,
        centre_mm: tuple[float, float],
        grid: Grid | None = None,
        thinnest_mm: float = THINNEST_MM,
        thin_to_mm: float = THIN_TO_MM,
    ) -> AxialGrid:
        """A grid whose middle lies ``centre_mm`` along L and P from the centre of the volume's
        first voxel (in the L, P, S order of axes); slices thinner than ``thinnest_mm`` are averaged
        to ``thin_to_mm``.
        """
        grid = grid or Grid()
        to_lps, shape, spacing = axes_in_lps(volume)
        step = spacing[2] if thinnest_mm <= spacing[2] <= THICKEST_MM else thin_to_mm
        slices = max(1, round(shape[2] * spacing[2] / step))
        middle = (shape[2] - 1) / 2 * spacing[2]
        starts = [value - (grid.size - 1) / 2 * grid.spacing for value in centre_mm] + [
            middle - (slices - 1) / 2 * step
        ]
        new = list(
            zip(
                (grid.size, grid.size, slices),
                (grid.spacing, grid.spacing, step),
                starts,
                strict=True,
            )
        )
        old = [(count, mm, 0.0) for count, mm in zip(shape, spacing, strict=True)]
        weights = tuple(resampling_weights(*a, *b) for a, b in zip(old, new, strict=True))
        back = tuple(resampling_weights(*b, *a) for a, b in zip(old, new, strict=True))
        return cls(volume.shape, to_lps, weights, back, (grid.spacing, grid.spacing, step))

    def to_model(self, data: NDArray[np.floating]) -> NDArray[np.float32]:
        """Native array to slices ``(slices, rows, columns)``, 0 outside the native field of
        view.
        """
        lps = orientations.apply_orientation(np.asarray(data, dtype=np.float32), self.to_lps)
        return np.ascontiguousarray(_resample(lps, self.weights).transpose(2, 1, 0))

    def to_native(self, slices: NDArray[np.floating]) -> NDArray[np.float32]:
        """Slices back to the native grid, by linear interpolation; 0 outside the slices."""
        lps = _resample(np.asarray(slices, dtype=np.float32).transpose(2, 1, 0), self.back)
        identity = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
        return np.ascontiguousarray(
            orientations.apply_orientation(lps, orientations.ornt_transform(identity, self.to_lps))
        )


def axes_in_lps(
    volume: Volume,
) -> tuple[NDArray[np.float64], tuple[int, int, int], tuple[float, float, float]]:
    """Orientation transform of a volume to L, P, S, and its shape and spacing in that order."""
    to_lps = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt(MODEL_ORIENTATION)
    )
    x, y, z = (int(axis) for axis in np.argsort(to_lps[:, 0]))
    shape, spacing = volume.shape, volume.spacing
    return to_lps, (shape[x], shape[y], shape[z]), (spacing[x], spacing[y], spacing[z])


def _resample(
    lps: NDArray[np.float32], matrices: tuple[NDArray[np.float32], ...]
) -> NDArray[np.float32]:
    for axis, matrix in enumerate(matrices):
        lps = np.moveaxis(np.tensordot(matrix, lps, axes=(1, axis)), 0, axis)
    return np.asarray(lps, dtype=np.float32)


def extract_brain(
    volume: Volume, network: Network, device: torch.device | None = None
) -> Extraction:
    """Find the brain in a head (or in what is left of one).

    The field of view is put round the upper head, and once more round the brain where that lies
    elsewhere.

    Args:
        volume: FLAIR, T1 or T2 as scanned; padding and NaN count as air.
        network: three slices to logits of brain and infratentorial part, see
            :class:`~mmccd.brain.network.BrainUNet`.
        device: where the network is.

    Raises:
        UnsuitableInputError: no brain is found.
    """
    name = volume.provenance.get("file", "the volume")
    data = find_background(volume).above(volume.data)
    centre = _upper_head(volume, data)
    for _ in range(2):
        grid = AxialGrid.fit(volume, centre)
        slices = grid.to_model(data)
        probability = _run(slices, network, device or torch.device("cpu"))
        mask = without_neck(_clean(probability[0], grid.spacing), slices, probability[1])
        if mask.sum() * np.prod(grid.spacing) / 1000 < SMALLEST_ML:
            raise UnsuitableInputError(
                f"{name}: no brain was found in it ({mask.sum() * np.prod(grid.spacing) / 1000:.0f}"
                " mL); expected an MRI of a head; check the image and its orientation, or give the"
                " brain's mask with --brain-mask",
                code="brain.not_found",
            )
        moved = _middle(mask, grid)
        if max(abs(moved[0]), abs(moved[1])) <= _MOVE_MM:
            break
        centre = (centre[0] + moved[0], centre[1] + moved[1])
    sure = np.where(mask, np.maximum(probability[0], 0.51), np.minimum(probability[0], 0.49))
    sure[~ndimage.binary_dilation(mask, _BALL, iterations=2)] = 0.0
    near = (probability[0] > 0.2) & (probability[0] < 0.8) & (sure > 0)
    native = grid.to_native(sure) >= 0.5
    lower = (grid.to_native(np.where(mask, probability[1], 0.0)) >= 0.5) & native
    return Extraction(native, lower, float(near.sum() / mask.sum()))


def find_lower(
    volume: Volume, network: Network, device: torch.device | None = None
) -> NDArray[np.bool_]:
    """Roughly where cerebellum and brainstem of a brain lie, whose mask is known: bool on the
    volume's own grid, empty where the network finds none. Slices are at least 5 mm thick and seen
    once, which takes a fraction of the time of :func:`extract_brain`.

    Args:
        volume: a brain, or a head.
        network: as for :func:`extract_brain`.
        device: where the network is.
    """
    data = find_background(volume).above(volume.data)
    centre = _upper_head(volume, data)
    grid = AxialGrid.fit(volume, centre, thinnest_mm=COARSE_MM, thin_to_mm=COARSE_TO_MM)
    probability = _run(grid.to_model(data), network, device or torch.device("cpu"), False)
    brain = _largest(probability[0] >= 0.5)
    return np.asarray(grid.to_native(np.where(brain, probability[1], 0.0)) >= 0.5)


def _upper_head(volume: Volume, data: NDArray[np.float32]) -> tuple[float, float]:
    """Middle of the upper 140 mm of the head along L and P, in mm from the first voxel."""
    to_lps, _, spacing = axes_in_lps(volume)
    steps = [max(1, round(4.0 / mm)) for mm in spacing]
    lps = orientations.apply_orientation(data, to_lps)[
        tuple(slice(None, None, step) for step in steps)
    ]
    head = lps > _HEAD_SHARE * intensity_scale(lps)
    labels, count = ndimage.label(head)
    if count > 1:
        head = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    if not head.any():
        return tuple(
            (n - 1) / 2 * s * mm for n, s, mm in zip(lps.shape[:2], steps, spacing, strict=False)
        )
    top = int(np.flatnonzero(head.any(axis=(0, 1)))[-1])
    upper = head[:, :, max(0, top - int(_UPPER_HEAD_MM / (spacing[2] * steps[2]))) : top + 1]
    middle = []
    for axis in (0, 1):
        places = np.nonzero(upper)[axis] * steps[axis] * spacing[axis]
        middle.append(float(np.quantile(places, [0.01, 0.99]).mean()))
    return middle[0], middle[1]


def _run(
    slices: NDArray[np.float32], network: Network, device: torch.device, mirrored: bool = True
) -> NDArray[np.float32]:
    """Probabilities ``(2, slices, rows, columns)``, that of the brain lowered: mean of those of the
    slices and, where they are asked for, of their mirror images.
    """
    scaled = np.clip(slices / intensity_scale(slices), 0, LARGEST).astype(np.float32)
    stack = torch.from_numpy(triples(scaled))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(stack), _BATCH):
            batch = stack[start : start + _BATCH].to(device)
            logits = network(torch.cat([batch, batch.flip(-1)]) if mirrored else batch).float()
            logits[:, 0] -= _CAUTION
            found = torch.sigmoid(logits)
            if mirrored:
                found = (found[: len(batch)] + found[len(batch) :].flip(-1)) / 2
            parts.append(found.cpu())
    return np.asarray(torch.cat(parts).movedim(1, 0).numpy())


def _clean(
    probability: NDArray[np.float32], spacing: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Largest component, closed by 4 mm in the slice, without holes; bridges of one voxel and what
    spreads again below the skull base are cut.
    """
    mask = _largest(probability >= 0.5)
    core = _largest(ndimage.binary_erosion(mask, ndimage.generate_binary_structure(2, 1)[None]))
    mask = _largest(
        mask
        & ndimage.binary_dilation(core, ndimage.generate_binary_structure(2, 2)[None], iterations=2)
    )
    mask = _largest(_narrowing(mask, max(1, round(_LEAN * spacing[2] / spacing[0]))))
    steps = max(1, round(_CLOSING_MM / spacing[0]))
    padded = np.pad(mask, ((0, 0), (steps, steps), (steps, steps)))
    closed = ndimage.binary_closing(
        padded, ndimage.generate_binary_structure(2, 1)[None], iterations=steps
    )
    filled = np.stack(
        [ndimage.binary_fill_holes(layer) for layer in closed[:, steps:-steps, steps:-steps]]
    )
    return np.asarray(ndimage.binary_fill_holes(filled))


def _narrowing(mask: NDArray[np.bool_], lean: int) -> NDArray[np.bool_]:
    """Away from its widest slice a brain narrows; the neck below it spreads again. Slices of two
    thirds of the widest and more stay as they are.

    Args:
        mask: ``(slices, rows, columns)``.
        lean: pixels by which a slice may exceed its neighbour nearer to the widest one.
    """
    result = mask.copy()
    areas = mask.sum(axis=(1, 2))
    widest = int(np.argmax(areas))
    disc = ndimage.generate_binary_structure(2, 1)
    for order in (range(widest + 1, len(mask)), range(widest - 1, -1, -1)):
        last = result[widest]
        for index in order:
            if 3 * areas[index] < 2 * areas[widest]:
                result[index] &= ndimage.binary_dilation(last, disc, iterations=lean)
            last = result[index]
    return result


def without_neck(
    mask: NDArray[np.bool_], image: NDArray[np.float32], lower: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Take away small slices at the lower end that hold fat and bone: much that is darker or
    brighter than nearly all of the middle of the brain.

    Args:
        mask: ``(slices, rows, columns)``, the brain as found.
        image: likewise, the intensities.
        lower: likewise, probability of cerebellum and brainstem: it tells which end is the lower
            one.
    """
    areas = mask.sum(axis=(1, 2))
    widest = int(areas.max(initial=0))
    infratentorial = np.where(mask, lower, 0).sum(axis=(1, 2))
    if not infratentorial.any():
        return mask
    places = np.arange(len(mask))
    below = np.average(places, weights=infratentorial) < np.average(places, weights=areas)
    middle = areas > 0.6 * widest
    dark, bright = np.quantile(image[middle][mask[middle]], (0.02, 0.98))
    result = mask.copy()
    ends = np.flatnonzero(areas)
    for index in ends if below else ends[::-1]:
        values = image[index][mask[index]]
        if (
            areas[index] > _NECK_AREA * widest
            or ((values < dark) | (values > bright)).mean() <= _NECK_SHARE
        ):
            break
        result[index] = False
    return result


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, _BALL)
    return (
        np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))
        if count > 1
        else np.asarray(mask)
    )


def _middle(mask: NDArray[np.bool_], grid: AxialGrid) -> tuple[float, float]:
    """Middle of the mask's box against that of the grid, along L and P, in mm."""
    middles = []
    for axis in (2, 1):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        middles.append(
            float((inside[0] + inside[-1]) / 2 - (mask.shape[axis] - 1) / 2) * grid.spacing[0]
        )
    return middles[0], middles[1]
