"""One subject: an anatomy, deformed and scanned, with lesions on request.

The scan samples the deformed anatomy on a grid as fine as 1 mm along the slices' normal, averages
it over each slice, and adds up the signals of the tissues in a voxel (partial volume: signals add,
relaxation times do not).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from mmccd.core import UnsuitableInputError, Volume
from mmccd.phantom.acquisition import Acquisition
from mmccd.phantom.anatomy import Anatomy, load_anatomy
from mmccd.phantom.fields import smooth_field
from mmccd.phantom.lesions import KINDS, Lesion, Sites
from mmccd.phantom.physics import TISSUES, PulseSequence, Tissue, signal, t2_for_contrast

WHITE_SIGNAL = 400.0
"""Intensity of white matter in the files."""
_PARENCHYMA = ("white", "grey", "deep", "pallidum", "brainstem")
_SOFT_BORDER_MM = 2.0


@dataclass(frozen=True)
class Phantom:
    """Images and masks on one grid.

    Attributes:
        images: ``flair``, ``t1``, ``t2``; 0 outside the brain unless the head was kept.
        lesion: uint8 mask: more than half of the voxel is lesion.
        brain: uint8 mask of the brain with its fluid.
        field_strength: tesla.
    """

    images: dict[str, Volume]
    lesion: Volume
    brain: Volume
    field_strength: float


@dataclass(frozen=True)
class _Grid:
    """Voxels in mm, axes right, anterior, superior; each slice is averaged over ``layers`` thinner
    ones.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: NDArray[np.float64]
    layers: int

    @property
    def affine(self) -> NDArray[np.float64]:
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = self.origin
        return affine

    @property
    def fine_shape(self) -> tuple[int, int, int]:
        return self.shape[0], self.shape[1], self.shape[2] * self.layers

    @property
    def fine_spacing(self) -> tuple[float, float, float]:
        return self.spacing[0], self.spacing[1], self.spacing[2] / self.layers

    def fine_axes(self) -> list[Tensor]:
        """Coordinates in mm of the fine voxels along each axis."""
        origin = self.origin.copy()
        origin[2] += (self.fine_spacing[2] - self.spacing[2]) / 2
        pairs = zip(origin, self.fine_shape, self.fine_spacing, strict=True)
        return [
            torch.tensor(start + mm * np.arange(n), dtype=torch.float32) for start, n, mm in pairs
        ]

    def average(self, data: Tensor) -> Tensor:
        """``(..., X, Y, Z * layers)`` to ``(..., X, Y, Z)``."""
        layers: Tensor = data.unflatten(-1, (self.shape[2], self.layers))
        return layers.mean(-1)


def make_phantom(
    seed: int = 0,
    lesions: Sequence[Lesion] | str | None = None,
    acquisition: Acquisition | None = None,
    anatomy: Anatomy | None = None,
    head: bool = False,
) -> Phantom:
    """Make one subject.

    Args:
        seed: the same seed and arguments give the same phantom.
        lesions: lesions at given places, or a kind (see :data:`~mmccd.phantom.lesions.KINDS`) whose
            places are drawn; cut to the brain.
        acquisition: the scan; the usual one at 3 T with slices of 5 mm where it is None.
        anatomy: what the head is made of; the built-in one where it is None.
        head: keep skull and scalp.

    Returns:
        FLAIR, T1w and T2w, the mask of the lesions and that of the brain, all on one grid.

    Raises:
        UnsuitableInputError: a head asked of an anatomy without one.
        ValueError: an unknown kind of lesion.
    """
    acquisition, anatomy = acquisition or Acquisition(), anatomy or load_anatomy()
    _check_head(anatomy, head)
    random = np.random.default_rng(seed)
    grid = _fit_grid(anatomy, acquisition, head)
    points = _points(anatomy, grid, acquisition, random)
    shares, depth = _sample(anatomy, points)
    chosen = _chosen(lesions, grid, shares, depth, random)
    if any(lesion.push_mm for lesion in chosen):
        shares, depth = _sample(anatomy, _pushed(points, grid, chosen))
    inside = _inside(shares, depth)
    lesion_shares = _lesion_shares(chosen, grid, shares, inside, random)
    covered = sum(lesion_shares, torch.zeros_like(inside)).clamp(0, 1)
    shares = {name: grid.average(share * (1 - covered)) for name, share in shares.items()}
    brain = grid.average((depth > -acquisition.strip_mm).float()) >= 0.5
    scan = _Scan(acquisition, grid, brain, head, random)
    parts = _healthy_parts(shares, scan) + _lesion_parts(
        chosen, [grid.average(share) for share in lesion_shares], shares, scan
    )
    mask = (grid.average(covered) >= 0.5) & brain
    images = {
        name: _image_volume(scan.image(parts, sequence), grid, name)
        for name, sequence in acquisition.sequences.items()
    }
    return Phantom(
        images, _mask_volume(mask, grid), _mask_volume(brain, grid), acquisition.field_strength
    )


def _check_head(anatomy: Anatomy, head: bool) -> None:
    if head and not anatomy.has_head:
        raise UnsuitableInputError(
            f"anatomy {anatomy.name}: is a brain without skull and scalp; expected a label map of a"
            " whole head"
        )


def _fit_grid(anatomy: Anatomy, acquisition: Acquisition, head: bool) -> _Grid:
    """A grid round the brain, or round the head, with room for the deformation."""
    low, high = anatomy.head_box if head else anatomy.brain_box
    room = (
        4
        + 2.5 * acquisition.warp_mm
        + (high - low).max()
        * (1.5 * acquisition.scaling + 0.5 * math.radians(1.5 * acquisition.tilt_degrees))
    )
    low, high = low - room, high + room
    spacing = (acquisition.pixel_mm, acquisition.pixel_mm, acquisition.slice_mm)
    shape = np.ceil((high - low) / spacing).astype(int)
    origin = (low + high) / 2 - (shape - 1) * np.asarray(spacing) / 2
    return _Grid(
        (int(shape[0]), int(shape[1]), int(shape[2])),
        spacing,
        origin,
        max(1, math.ceil(acquisition.slice_mm - 0.25)),
    )


def _points(
    anatomy: Anatomy, grid: _Grid, acquisition: Acquisition, random: np.random.Generator
) -> Tensor:
    """Where in the anatomy each fine voxel's tissue comes from, in mm, ``(3, X, Y, Z)``."""
    centre = torch.tensor(anatomy.brain_box.mean(0), dtype=torch.float32)
    angles = np.clip(
        random.normal(0, acquisition.tilt_degrees, 3),
        -2 * acquisition.tilt_degrees,
        2 * acquisition.tilt_degrees,
    )
    scale = np.exp(
        np.clip(
            random.normal(0, acquisition.scaling, 3),
            -1.5 * acquisition.scaling,
            1.5 * acquisition.scaling,
        )
    )
    matrix = torch.tensor(_rotation(np.radians(angles)) @ np.diag(scale), dtype=torch.float32)
    x, y, z = (axis - middle for axis, middle in zip(grid.fine_axes(), centre, strict=True))
    planes = [
        matrix[row, 0] * x[:, None, None] + matrix[row, 1] * y[None, :, None] + matrix[row, 2] * z
        for row in range(3)
    ]
    for row in range(3):
        planes[row] = planes[row] + centre[row]
        for width, share in ((45.0, 0.8), (18.0, 0.35)):
            planes[row] += (
                share
                * acquisition.warp_mm
                * smooth_field(grid.fine_shape, grid.fine_spacing, width, random)
            )
    return torch.stack(planes)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations about the three axes, one after the other; angles in radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        result = turn @ result
    return result


def _pushed(points: Tensor, grid: _Grid, lesions: Sequence[Lesion]) -> Tensor:
    """Mass effect: the tissue round a lesion comes from nearer its centre, by ``push_mm`` at its
    surface and less and less beyond.
    """
    for lesion in lesions:
        if lesion.push_mm:
            offset = torch.stack(
                torch.meshgrid(
                    *[axis - c for axis, c in zip(grid.fine_axes(), lesion.centre_mm, strict=True)],
                    indexing="ij",
                )
            )
            distance = offset.norm(dim=0).clamp_min(1e-3)
            beyond = (distance - lesion.radius_mm).clamp_min(0) / lesion.radius_mm
            points = points - offset / distance * lesion.push_mm * (
                distance / lesion.radius_mm
            ).clamp_max(1) * torch.exp(-(beyond**2))
    return points


def _sample(anatomy: Anatomy, points: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Tissue shares and depth at points in mm, by linear interpolation; nothing beyond the
    anatomy's edge.
    """
    inverse = np.linalg.inv(anatomy.affine)
    size = anatomy.depth.shape
    index = [
        (points[axis] * inverse[axis, axis] + inverse[axis, 3]) * (2 / (size[axis] - 1)) - 1
        for axis in range(3)
    ]
    where = torch.stack(index[::-1], dim=-1)[None]
    data = torch.stack([*anatomy.shares.values(), anatomy.depth + 20])[None]
    sampled = functional.grid_sample(
        data, where, mode="bilinear", padding_mode="zeros", align_corners=True
    )[0]
    return dict(zip(anatomy.shares, sampled[:-1], strict=True)), sampled[-1] - 20


def _inside(shares: dict[str, Tensor], depth: Tensor) -> Tensor:
    """How much of a voxel a lesion may take: brain with its fluid, no bone."""
    return (depth + 0.5).clamp(0, 1) * sum(
        share for name, share in shares.items() if name in (*_PARENCHYMA, "fluid")
    ).clamp(0, 1)  # type: ignore[union-attr]


def _chosen(
    lesions: Sequence[Lesion] | str | None,
    grid: _Grid,
    shares: dict[str, Tensor],
    depth: Tensor,
    random: np.random.Generator,
) -> tuple[Lesion, ...]:
    if lesions is None:
        return ()
    if not isinstance(lesions, str):
        return tuple(lesions)
    if lesions not in KINDS:
        raise ValueError(f"lesions must be one of {', '.join(KINDS)}, got {lesions!r}")
    return KINDS[lesions](_sites(grid, shares, depth), random)


def _sites(grid: _Grid, shares: dict[str, Tensor], depth: Tensor) -> Sites:
    """Places for lesions, on every fourth fine voxel."""
    step = (slice(None, None, 4), slice(None, None, 4), slice(None, None, max(1, grid.layers // 2)))
    x, y, z = (axis[part] for axis, part in zip(grid.fine_axes(), step, strict=True))
    places = torch.stack(torch.meshgrid(x, y, z, indexing="ij"), dim=-1).double().numpy()
    white, grey, fluid, deep = (
        share[step].numpy() for share in (shares["white"], shares["grey"], shares["fluid"], depth)
    )
    ventricle = (fluid > 0.6) & (deep > 19)
    spacing = [mm * (s.step or 1) for mm, s in zip(grid.fine_spacing, step, strict=True)]
    near = (
        ndimage.distance_transform_edt(~ventricle, sampling=spacing) < 12
        if ventricle.any()
        else np.zeros_like(ventricle)
    )
    in_white = (white > 0.8) & (deep > 8)
    return Sites(
        places[in_white], places[in_white & near], places[(grey > 0.5) & (deep > 2) & (deep < 12)]
    )


def _lesion_shares(
    lesions: Sequence[Lesion],
    grid: _Grid,
    shares: dict[str, Tensor],
    inside: Tensor,
    random: np.random.Generator,
) -> list[Tensor]:
    """Share of each lesion in every fine voxel; a later one takes the place of an earlier one."""
    result: list[Tensor] = []
    for lesion in lesions:
        offsets = [
            (axis - c) / s
            for axis, c, s in zip(grid.fine_axes(), lesion.centre_mm, lesion.stretch, strict=True)
        ]
        distance = (
            offsets[0][:, None, None] ** 2 + offsets[1][None, :, None] ** 2 + offsets[2] ** 2
        ).sqrt()
        radius = lesion.radius_mm * (
            1
            + lesion.roughness
            * smooth_field(
                grid.fine_shape, grid.fine_spacing, max(4.0, lesion.radius_mm / 1.5), random
            )
        )
        share = ((radius - distance) / _SOFT_BORDER_MM + 0.5).clamp(0, 1) * inside
        if lesion.white_only:
            share = share * (
                shares["white"]
                + shares.get("deep", torch.zeros(()))
                + shares.get("brainstem", torch.zeros(()))
            ).clamp(0, 1)
        result = [earlier * (1 - share) for earlier in result] + [share]
    return result


@dataclass(frozen=True)
class _Part:
    """Some tissue: its share in each scanned voxel, and its relaxation there; all ``(n,)``."""

    share: Tensor
    t1: Tensor
    t2: Tensor
    pd: Tensor


class _Scan:
    """The scanner: which voxels give signal, texture, field strength, noise and bias."""

    def __init__(
        self,
        acquisition: Acquisition,
        grid: _Grid,
        brain: Tensor,
        head: bool,
        random: np.random.Generator,
    ) -> None:
        self.acquisition = acquisition
        self.grid = grid
        self.random = random
        self.head = head
        self.where = torch.ones_like(brain) if head else brain
        self.texture = {
            name: self._texture(share) for name, share in (("t1", 1.0), ("t2", 1.0), ("pd", 0.4))
        }
        self.common_bias = self._field(70.0)

    def _field(self, width_mm: float) -> Tensor:
        return smooth_field(self.grid.shape, self.grid.spacing, width_mm, self.random)

    def _texture(self, share: float) -> Tensor:
        """Variation over a centimetre, and over the whole head."""
        field = 0.8 * self._field(7.0) + 0.6 * self._field(30.0)
        return (1 + self.acquisition.texture * share * field.clamp(-3, 3))[self.where]

    def relaxation(self, tissue: Tissue) -> tuple[Tensor, Tensor, Tensor]:
        """T1, T2 and PD of a tissue in every scanned voxel."""
        spread = self.acquisition.individual
        factors = np.exp(self.random.normal(0, [spread, spread, spread / 3]))
        here = tissue.at(self.acquisition.field_strength)
        calm = 0.2 if tissue.water_like else 1.0
        return (
            here.t1 * factors[0] ** calm * self.texture["t1"] ** calm,
            here.t2 * factors[1] * self.texture["t2"],
            (here.pd * factors[2] * self.texture["pd"]).clamp_max(1.05),
        )

    def image(self, parts: Sequence[_Part], sequence: PulseSequence) -> Tensor:
        """Magnitude image ``(X, Y, Z)``: whole numbers, at least 1 in the brain, 0 where nothing is
        kept.
        """
        white = TISSUES["white"].at(self.acquisition.field_strength)
        unit = signal(white.t1, white.t2, white.pd, sequence)
        clean = torch.zeros(int(self.where.sum()))
        for part in parts:
            clean += part.share * signal(part.t1, part.t2, part.pd, sequence) / unit
        bias = 1 + self.acquisition.bias * (0.7 * self.common_bias + 0.5 * self._field(70.0))[
            self.where
        ].clamp(-2.5, 2.5)
        noise = (
            torch.from_numpy(self.random.normal(0, 1, (2, len(clean))).astype(np.float32))
            * self.acquisition.noise
        )
        magnitude = torch.hypot(clean * bias + noise[0], noise[1]) * WHITE_SIGNAL
        result = torch.zeros(self.grid.shape)
        result[self.where] = magnitude.round().clamp_min(0.0 if self.head else 1.0)
        return result


def _healthy_parts(shares: dict[str, Tensor], scan: _Scan) -> list[_Part]:
    return [
        _Part(share[scan.where], *scan.relaxation(TISSUES[name])) for name, share in shares.items()
    ]


def _lesion_parts(
    lesions: Sequence[Lesion],
    lesion_shares: Sequence[Tensor],
    healthy: dict[str, Tensor],
    scan: _Scan,
) -> list[_Part]:
    """The tissue of each lesion, mixed with that of its host where the severity is below 1."""
    host = _host(healthy, scan)
    parts = []
    for lesion, share in zip(lesions, lesion_shares, strict=True):
        own = scan.relaxation(_tissue(lesion, scan.acquisition))
        mixed = [
            torch.exp(lesion.severity * torch.log(mine) + (1 - lesion.severity) * torch.log(theirs))
            for mine, theirs in zip(own, host, strict=True)
        ]
        parts.append(_Part(share[scan.where], *mixed))
    return parts


def _tissue(lesion: Lesion, acquisition: Acquisition) -> Tissue:
    if lesion.flair_contrast is None:
        return lesion.tissue
    here, white = (
        lesion.tissue.at(acquisition.field_strength),
        TISSUES["white"].at(acquisition.field_strength),
    )
    t2 = t2_for_contrast(here, white, lesion.flair_contrast, acquisition.sequences["flair"])
    return replace(lesion.tissue, t2=lesion.tissue.t2 * t2 / here.t2)


def _host(healthy: dict[str, Tensor], scan: _Scan) -> list[Tensor]:
    """Relaxation of the healthy brain tissue in a voxel (white matter where a lesion has taken all
    of it): logarithmic mean of T1, T2 and PD.
    """
    weights = {name: healthy[name][scan.where] for name in _PARENCHYMA if name in healthy}
    weights["white"] = weights["white"] + 1e-3
    total = sum(weights.values())
    tissues = {name: TISSUES[name].at(scan.acquisition.field_strength) for name in weights}

    def mean(key: str) -> Tensor:
        logarithms = {name: math.log(getattr(tissue, key)) for name, tissue in tissues.items()}
        return sum((part * logarithms[name] for name, part in weights.items()), torch.zeros(()))

    return [torch.exp(mean(key) / total) for key in ("t1", "t2", "pd")]


def _image_volume(image: Tensor, grid: _Grid, modality: str) -> Volume:
    return Volume(image.numpy(), grid.affine, modality, {"file": f"phantom_{modality}"})


def _mask_volume(mask: Tensor, grid: _Grid) -> Volume:
    return Volume(mask.numpy().astype(np.uint8), grid.affine, "mask")
