"""The strip masks M = {m_1 .. m_R} that hide a part of the slice from f."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ORIENTATIONS = ("horizontal", "vertical")


def strip_starts(size: int, width: int, stride: int, border: str) -> list[int]:
    """First row (or column) of every strip.

    Args:
        size: number of rows.
        width: thickness of a strip in pixels.
        stride: distance of neighbouring strips in pixels.
        border: ``"full"``: only positions where the whole strip fits, and the last one is added
            where the stride misses it (the paper: 57 for size 128, width 16, stride 2); ``"cut"``:
            every multiple of the stride, the last strips are cut by the border (the
            public code: 64).

    Raises:
        ValueError: a width or stride that leaves voxels uncovered or does not fit.
    """
    if not 1 <= width <= size:
        raise ValueError(f"strip width must be between 1 and the size {size}, got {width}")
    if not 1 <= stride <= width:
        raise ValueError(
            f"stride must be between 1 and the strip width {width}, so that every voxel is covered;"
            f" got {stride}"
        )
    if border == "cut":
        return list(range(0, size, stride))
    if border != "full":
        raise ValueError(f"border must be 'full' or 'cut', got {border!r}")
    starts = list(range(0, size - width + 1, stride))
    return starts if starts[-1] == size - width else [*starts, size - width]


def strip_masks(
    size: tuple[int, int],
    width: int = 16,
    stride: int = 2,
    border: str = "full",
    orientations: Sequence[str] = ORIENTATIONS,
) -> Tensor:
    """All strip masks of a slice: first the horizontal ones from top to bottom, then the vertical
    ones from left to right.

    Args:
        size: (height, width) of a slice in pixels.
        width: thickness of a strip in pixels.
        stride: distance of neighbouring strips in pixels.
        border: see :func:`strip_starts`.
        orientations: which of ``"horizontal"`` and ``"vertical"`` to make.

    Returns:
        bool tensor ``(masks, height, width)``, True = masked. Every voxel is in at least one mask
        of each orientation.

    Raises:
        ValueError: unknown orientation, or none; see also :func:`strip_starts`.
    """
    if not orientations or any(name not in ORIENTATIONS for name in orientations):
        raise ValueError(
            f"orientations must be one or both of {ORIENTATIONS}, got {tuple(orientations)}"
        )
    height, breadth = size
    rows, columns = torch.arange(height), torch.arange(breadth)
    masks = []
    if "horizontal" in orientations:
        for start in strip_starts(height, width, stride, border):
            masks.append(
                ((rows >= start) & (rows < start + width))[:, None].expand(height, breadth)
            )
    if "vertical" in orientations:
        for start in strip_starts(breadth, width, stride, border):
            masks.append(
                ((columns >= start) & (columns < start + width))[None, :].expand(height, breadth)
            )
    return torch.stack(masks)


def width_range(width: int | Sequence[int]) -> tuple[int, int]:
    """The smallest and the largest strip width in pixels of a setting that is one width, or two of
    them.

    Raises:
        ValueError: anything else, widths below 1, or the larger one first.
    """
    widths = [width, width] if isinstance(width, int) else list(width)
    if (
        len(widths) != 2
        or not all(isinstance(value, int) for value in widths)
        or not 1 <= widths[0] <= widths[1]
    ):
        raise ValueError(
            "strip width must be a number of pixels, or the smallest and the largest one; got"
            f" {width!r}"
        )
    return widths[0], widths[1]


def random_strip_masks(
    batch: int,
    size: tuple[int, int],
    width: int | Sequence[int] = 16,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One strip per image, horizontal or vertical with equal chance, at any position where it fits
    (Alg. 1).

    Args:
        batch: number of masks.
        size: (height, width) of a slice in pixels.
        width: thickness of a strip in pixels, or the smallest and the largest one, between which
            each strip's is drawn.
        generator: source of random numbers on the CPU; torch's global one where it is None.

    Returns:
        bool tensor ``(batch, 1, height, width)``, True = masked.

    Raises:
        ValueError: see :func:`width_range`; a strip that does not fit into the slice.
    """
    least, most = width_range(width)
    if most > min(size):
        raise ValueError(
            f"strip width must be at most the size {min(size)} of the slice, got {most}"
        )
    masks = torch.zeros(batch, 1, *size, dtype=torch.bool)
    for mask in masks[:, 0]:
        axis = int(torch.randint(2, (1,), generator=generator))
        # One width draws nothing, so that runs from before there were ranges can be repeated to the
        # bit.
        thick = (
            least
            if least == most
            else int(torch.randint(least, most + 1, (1,), generator=generator))
        )
        start = int(torch.randint(size[axis] - thick + 1, (1,), generator=generator))
        mask.narrow(axis, start, thick).fill_(True)
    return masks
