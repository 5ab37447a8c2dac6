"""Training slices of heads that nobody owns: label maps, and the scans of some healthy people,
under random contrasts, scanners and lesions.

After SynthSeg and SynthStrip (Billot et al., MedIA 2023; Hoopes et al., NeuroImage 2022): a network
that has seen every contrast depends on none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from mmccd.brain import LARGEST, intensity_scale
from mmccd.bundle import file_sha256, text_sha256
from mmccd.core import InputError
from mmccd.imaging import Grid
from mmccd.phantom import (
    anatomy_splits,
    find_anatomies,
    find_scans,
)
from mmccd.training.brain.contrasts import draw_contrast
from mmccd.training.brain.heads import (
    BRAIN_BIT,
    LOWER_BIT,
    Head,
    load_head,
    load_scan,
)

_SAMPLES = 6
"""Points at which a voxel is sampled: its partial volume."""
_LEVELS = np.array([[-1.0, -1.7, 0.6, -1.8], [1.0, -0.5, 1.2, 1.25]])
_LEVEL_SHARES = (0.33, 0.35, 0.22, 0.1)
"""Where slices lie, in halves of the brain's height from its middle: brain, skull base and neck,
crown, anywhere.
"""
_KNOTS_MM = 40.0
_DEFACED_SHARE = 0.1
_Entry = TypeVar("_Entry")


class SyntheticSlices(Dataset[dict[str, Tensor]]):
    """Items are scans: some slices of one head under one contrast. The same (seed, epoch, index)
    gives the same slices.

    Args:
        labels: folder of FreeSurfer label maps of whole heads.
        split: ``train``, ``val`` or ``test``: maps by their place in the order of names
            (:func:`~mmccd.phantom.write.anatomy_splits`).
        scans: items of an epoch.
        slices: slices of a scan.
        seed: first part of every seed.
        max_heads: only the first so many label maps, and scans, of the split.
        scan_images: folder of T1-weighted scans of whole heads (``NAME_T1.nii.gz``), where there
            are some.
        scan_labels: folder of the label maps of their brains (``NAME_labels.nii.gz``).
        scan_share: how many of the items are made of them.

    Attributes:
        place: the label maps, as they were given.
        fingerprint: hash of the content of all files.
    """

    def __init__(
        self,
        labels: str | Path,
        split: str,
        scans: int,
        slices: int = 6,
        seed: int = 0,
        max_heads: int | None = None,
        scan_images: str | Path | None = None,
        scan_labels: str | Path | None = None,
        scan_share: float = 0.4,
    ) -> None:
        files = [path for path in find_anatomies(labels) if path is not None]
        chosen = _of_split(files, split)[:max_heads]
        if not chosen:
            raise InputError(
                f"{labels}: {len(files)} label maps, none for the split {split}; expected at least"
                " 8 label maps of whole heads"
            )
        self.heads = [load_head(file) for file in chosen]
        self.people: list[Head] = []
        pairs: list[tuple[Path, Path]] = []
        if scan_images is not None and scan_labels is not None:
            pairs = _of_split(find_scans(scan_images, scan_labels), split)[:max_heads]
            self.people = [load_scan(*pair) for pair in pairs]
        self.place = str(labels)
        hashes = [file_sha256(file) for file in (*chosen, *chain(*pairs))]
        self.fingerprint = text_sha256(" ".join(hashes))
        self.scan_share = scan_share if self.people else 0.0
        self.scans = scans
        self.slices = slices
        self.seed = seed
        self.epoch = 0

    def set_random_state(self, seed: int) -> None:
        """Called at the start of an epoch (:class:`~mmccd.training.handlers.EpochSeed`) with a
        number that stands for it.
        """
        self.epoch = seed

    def __len__(self) -> int:
        return self.scans

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``image`` float32 ``(slices, 3, size, size)``, ``label`` float32 ``(slices, 2, size,
        size)``.
        """
        if index >= self.scans:
            raise IndexError(index)
        random = np.random.default_rng([self.seed, self.epoch, index])
        # Without scans the order of random numbers is as if there were none.
        real = self.scan_share > 0 and random.random() < self.scan_share
        heads = self.people if real else self.heads
        head = heads[int(random.integers(len(heads)))]
        image, label = synthesise(head, self.slices, random)
        return {"image": image, "label": label}


def _of_split(entries: Sequence[_Entry], split: str) -> list[_Entry]:
    """Those of the split, by their place in the order of names."""
    groups = anatomy_splits([str(entry) for entry in entries])
    return [entry for entry, group in zip(entries, groups, strict=True) if group == split]


def synthesise(
    head: Head, slices: int, random: Generator, grid: Grid | None = None
) -> tuple[Tensor, Tensor]:
    """Random slices of one head: one contrast, one scanner.

    Returns:
        Images float32 ``(slices, 3, size, size)`` and targets ``(slices, 2, size, size)``.
    """
    grid = grid or Grid()
    geometry = _Geometry.draw(head, slices, random, grid)
    table = draw_contrast(head, random)
    image, brain, lower, centres = geometry.sample(head, table, random)
    if random.random() < 0.5:
        image = _add_lesions(image, brain, centres, head, float(table.max()), random)
    stripped = random.random() < 0.12
    if stripped:
        image = image * (brain >= random.uniform(0.3, 0.7))
    elif random.random() < _DEFACED_SHARE:
        image = _deface(image, brain, centres, head, random)
    image = _acquire(image, centres, stripped, random)
    image, brain, lower = _orient([image, brain, lower], random)
    image, keep = _crop(image, random)
    scale = intensity_scale(image) * math.exp(random.normal(0, 0.15))
    image = np.clip(image / scale, 0, LARGEST).astype(np.float32)
    size = grid.size
    label = np.stack([(brain >= 0.5) & keep, (lower >= 0.5) & keep], axis=1).reshape(
        slices, 3, 2, size, size
    )[:, 1]
    return torch.from_numpy(image.reshape(slices, 3, size, size)), torch.from_numpy(
        label.astype(np.float32)
    )


@dataclass(frozen=True)
class _Geometry:
    """Where the voxels of ``3 * slices`` slices lie in the head.

    Attributes:
        points: float32 ``(3 * slices, size, size, 3)`` in voxels of the label map.
        steps: columns: one model voxel along columns, rows and slices, in voxels of the label map.
    """

    points: NDArray[np.float32]
    steps: NDArray[np.float32]

    @classmethod
    def draw(cls, head: Head, slices: int, random: Generator, grid: Grid) -> _Geometry:
        angles = np.radians(np.clip(random.normal(0, [9.0, 4.0, 8.0]), -25, 25))
        turn = Rotation.from_euler("XYZ", angles).as_matrix() @ np.diag(
            np.exp(random.normal(0, 0.07, 3))
        )
        spacing = random.uniform(2.5, 7.0)
        thickness = spacing * random.uniform(0.7, 1.0)
        offset = np.array([*random.normal(0, 9.0, 2), 0.0])
        reach = head.half[2] / max(turn[2, 2], 0.3)
        middles = (
            random.uniform(*_LEVELS[:, random.choice(len(_LEVELS.T), slices, p=_LEVEL_SHARES)])
            * reach
        )
        heights = (middles[:, None] + spacing * np.arange(-1, 2)).reshape(-1)
        axis = (np.arange(grid.size) - (grid.size - 1) / 2) * grid.spacing
        # Columns run to the patient's left, rows to posterior: against the label map's axes.
        frame = turn @ np.diag([-1.0, -1.0, 1.0])
        columns, rows = (
            np.multiply.outer(axis + offset[0], frame[:, 0]),
            np.multiply.outer(axis + offset[1], frame[:, 1]),
        )
        up = np.multiply.outer(heights, turn[:, 2])
        points = (
            up[:, None, None] + rows[None, :, None] + columns[None, None] + head.centre
        ).astype(np.float32)
        points += _warp(points, head.codes.shape, random.uniform(0.5, 3.5), random)
        voxel = np.array([grid.spacing, grid.spacing, thickness])
        if random.random() < 0.2:  # a sagittal or coronal scan that was resampled
            voxel = np.array([grid.spacing, grid.spacing, spacing])
            voxel[int(random.integers(2))] = random.uniform(2.5, 6.0)
        return cls(points, (frame * voxel).astype(np.float32))

    def sample(
        self, head: Head, table: NDArray[np.float32], random: Generator
    ) -> tuple[NDArray[np.float32], ...]:
        """Mean value, share of brain, share of its infratentorial part, and the points themselves
        in mm from the brain's middle.
        """
        image, brain, lower = (np.zeros(self.points.shape[:3], dtype=np.float32) for _ in range(3))
        strides = np.array(head.codes.strides, dtype=np.int64)
        flat = head.codes.reshape(-1)
        heights = (np.arange(_SAMPLES) + random.random(_SAMPLES)) / _SAMPLES - 0.5
        for height in heights:
            shift = self.steps @ np.array([*random.uniform(-0.5, 0.5, 2), height], dtype=np.float32)
            place = np.zeros(self.points.shape[:3], dtype=np.int64)
            for axis in range(3):
                index = np.rint(self.points[..., axis] + shift[axis]).astype(np.int32)
                np.clip(index, 0, head.codes.shape[axis] - 1, out=index)
                place += index * strides[axis]
            codes = flat[place]
            image += table[codes]
            brain += (codes & BRAIN_BIT) > 0
            lower += (codes & LOWER_BIT) > 0
        middle = head.centre.astype(np.float32)
        image, brain, lower = (layer * np.float32(1 / _SAMPLES) for layer in (image, brain, lower))
        return image, brain, lower, np.asarray(self.points - middle, dtype=np.float32)


def _field(
    points: NDArray[np.float32],
    shape: Sequence[int],
    channels: int,
    knots_mm: float,
    random: Generator,
) -> NDArray[np.float32]:
    """Smooth random fields over the head, ``(..., channels)``, at points in voxels of 1 mm."""
    knots = [int(math.ceil(n / knots_mm)) + 1 for n in shape]
    coarse = torch.from_numpy(random.standard_normal((1, channels, *knots)).astype(np.float32))
    where = torch.from_numpy(points * (2 / (np.asarray(shape, dtype=np.float32) - 1)) - 1).flip(-1)[
        None
    ]
    sampled = functional.grid_sample(
        coarse, where, mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    return np.asarray(sampled.movedim(0, -1).numpy())


def _warp(
    points: NDArray[np.float32], shape: Sequence[int], strength_mm: float, random: Generator
) -> NDArray[np.float32]:
    return strength_mm * _field(points, shape, 3, _KNOTS_MM, random)


def _add_lesions(
    image: NDArray[np.float32],
    brain: NDArray[np.float32],
    points: NDArray[np.float32],
    head: Head,
    most: float,
    random: Generator,
) -> NDArray[np.float32]:
    """Up to three rough ellipsoids of abnormal tissue, dark or bright, inside the brain; some of
    them reach the skull.
    """
    for _ in range(int(random.integers(1, 4))):
        centre = head.inside[int(random.integers(len(head.inside)))] - head.centre
        radius = float(np.exp(random.uniform(np.log(4), np.log(38))))
        stretch = np.exp(random.normal(0, 0.2, 3))
        offset = (points - centre.astype(np.float32)) / stretch.astype(np.float32)
        rough = _field(
            points + head.centre.astype(np.float32),
            head.codes.shape,
            1,
            max(6.0, radius / 1.5),
            random,
        )[..., 0]
        distance = np.sqrt((offset**2).sum(-1))
        share = np.clip((radius * (1 + 0.15 * rough) - distance) / 2.5 + 0.5, 0, 1) * brain
        image = image * (1 - share) + share * random.uniform(0.02, 1.0) * min(most, 2.5)
    return image.astype(np.float32)


def _deface(
    image: NDArray[np.float32],
    brain: NDArray[np.float32],
    points: NDArray[np.float32],
    head: Head,
    random: Generator,
) -> NDArray[np.float32]:
    """Cut the face away, as data that were made public have it: nothing is left in front of a plane
    that leans on the brain.
    """
    lean = np.radians(random.uniform(15, 65))
    forwards = np.array([0.0, np.cos(lean), -np.sin(lean)])
    reach = ((head.inside - head.centre) @ forwards).max() + random.uniform(0, 20)
    face = (points @ forwards.astype(np.float32) > reach) & (brain == 0)
    return np.where(face, 0.0, image).astype(np.float32)


def _acquire(
    image: NDArray[np.float32],
    points: NDArray[np.float32],
    stripped: bool,
    random: Generator,
) -> NDArray[np.float32]:
    """Texture, bias field, gamma, blur, ghost, Rician noise, air set to zero."""
    air = image <= 0
    shape = [256, 256, 256]
    middle = points + 128
    fields = _field(middle, shape, 1, 70.0, random)[..., 0] * random.uniform(0.0, 0.35)
    texture = _field(middle, shape, 1, 10.0, random)[..., 0] * random.uniform(0.0, 0.12)
    image = image * np.exp(fields + texture)
    largest = max(float(np.quantile(image, 0.995)), 1e-3)
    image = largest * (image / largest) ** math.exp(random.normal(0, 0.2))
    if random.random() < 0.6:
        blur = random.uniform(0.2, 0.9)
        image = ndimage.gaussian_filter(image, (0, blur, blur))
    if random.random() < 0.1:
        image = image + random.uniform(0.02, 0.12) * np.roll(
            image, int(random.integers(20, 100)), axis=int(random.integers(1, 3))
        )
    level = largest * random.uniform(0.002, 0.05)
    noise = random.normal(0, level, (2, *image.shape)).astype(np.float32)
    image = np.hypot(image + noise[0], noise[1])
    if stripped or random.random() < 0.2:
        image = np.where(air, 0.0, image)
    return image.astype(np.float32)


def _orient(
    layers: Sequence[NDArray[np.float32]], random: Generator
) -> tuple[NDArray[np.float32], ...]:
    """Mirror left and right; turn the order of the slices round; more rarely mirror front and back,
    as wrong headers do.
    """
    sideways, upwards, frontwards = (
        random.random() < 0.5,
        random.random() < 0.5,
        random.random() < 0.12,
    )
    result = []
    for layer in layers:
        count = layer.shape[0] // 3
        turned = layer.reshape(count, 3, *layer.shape[1:])
        turned = turned[:, ::-1] if upwards else turned
        turned = turned[..., ::-1] if sideways else turned
        turned = turned[..., ::-1, :] if frontwards else turned
        result.append(np.ascontiguousarray(turned).reshape(layer.shape))
    return tuple(result)


def _crop(
    image: NDArray[np.float32], random: Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cut the field of view at one side, sometimes; what is kept, as a mask of a slice."""
    keep = np.ones(image.shape[1:], dtype=bool)
    if random.random() < 0.15:
        depth = int(random.integers(8, 60))
        side = int(random.integers(4))
        edge = (slice(0, depth), slice(-depth, None))[side % 2]
        keep[(edge, slice(None)) if side < 2 else (slice(None), edge)] = False
    return np.where(keep, image, 0).astype(np.float32), keep
