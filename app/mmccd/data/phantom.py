"""A phantom: brain anatomy of the MNI152 atlas to FLAIR, T1w and T2w by the signal equations, with lesions on request.

The anatomy is the grey- and white-matter maps of MNI ICBM152 2009 that nilearn installs (Fonov et al., NeuroImage 2011); what is brain and
neither is cerebrospinal fluid. Relaxation times at 3 T: Wansapura et al. 1999 and Rooney et al. 2007 for healthy tissue, plausible values for lesions.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.data.cases import find_cases, make_split, write_datalist
from mmccd.errors import OutputError
from mmccd.io.nifti import write_nifti
from mmccd.volume import Volume

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """Relaxation times in ms and proton density relative to water."""

    t1: float
    t2: float
    pd: float


@dataclass(frozen=True)
class PulseSequence:
    """Spin-echo sequence in ms; ``ti`` 0 means no inversion."""

    tr: float
    te: float
    ti: float = 0.0


WHITE, GREY, FLUID = Tissue(850, 70, 0.70), Tissue(1400, 85, 0.80), Tissue(4300, 2000, 1.0)
OEDEMA, NECROSIS = Tissue(1500, 120, 0.86), Tissue(2800, 300, 0.93)
SEQUENCES = {"flair": PulseSequence(9000, 120, 2500), "t1": PulseSequence(600, 12), "t2": PulseSequence(5000, 95)}
WHITE_SIGNAL = 400.0
"""Intensity of white matter in the files."""


def signal(t1: Array | float, t2: Array | float, pd: Array | float, sequence: PulseSequence) -> Array:
    """Magnitude of a spin echo, with or without inversion.

    S = PD (1 - exp(-TR/T1)) exp(-TE/T2); FLAIR: S = PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2).

    Args:
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms.
        pd: proton density.
        sequence: timing.
    """
    recovery = 1 - np.exp(-sequence.tr / t1)
    if sequence.ti:
        recovery = np.abs(1 - 2 * np.exp(-sequence.ti / t1) + np.exp(-sequence.tr / t1))
    return np.asarray(pd * recovery * np.exp(-sequence.te / t2), dtype=np.float32)


def nulling_inversion_time(t1: float, tr: float) -> float:
    """TI at which a tissue of that T1 gives no signal: T1 (ln 2 - ln(1 + exp(-TR/T1))), in ms."""
    return float(t1 * (np.log(2) - np.log(1 + np.exp(-tr / t1))))


@dataclass(frozen=True)
class Phantom:
    """Images and lesion mask on one grid.

    Attributes:
        images: ``flair``, ``t1``, ``t2``; 0 outside the brain.
        lesion: uint8 mask.
    """

    images: dict[str, Volume]
    lesion: Volume


@dataclass(frozen=True)
class Lesion:
    """A rough ball of abnormal tissue.

    Attributes:
        centre_mm: position in MNI coordinates (right, anterior, superior), in mm.
        radius_mm: mean radius.
        tissue: relaxation values inside.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    tissue: Tissue


DEMO_LESIONS = (Lesion((30.0, 18.0, 30.0), 13.0, OEDEMA), Lesion((-28.0, -42.0, 26.0), 11.0, NECROSIS))
"""One bright on FLAIR, one grey-matter-like there (no threshold finds it)."""


DEMO_SEED = 7


def make_phantom(
    seed: int = 0, lesions: tuple[Lesion, ...] = (), slice_mm: float = 5.0, pixel_mm: float = 1.0, noise: float = 0.015
) -> Phantom:
    """Make one subject.

    Args:
        seed: the same seed gives the same phantom.
        lesions: see :class:`Lesion`; cut to the brain.
        slice_mm: slice thickness and distance.
        pixel_mm: in-plane pixel size.
        noise: standard deviation of the Rician noise relative to white matter.

    Returns:
        Skull-stripped FLAIR, T1w and T2w, and the mask of the lesions.
    """
    random = np.random.default_rng(seed)
    grey, white, fluid, affine = _anatomy()
    share, mask = _lesion_shares(lesions, grey.shape, affine, random)
    brain = (grey + white + fluid) > 0.5
    parts = _shares(grey, white, fluid, lesions, share)
    texture = _texture(grey.shape, random)
    zoom = (1 / pixel_mm, 1 / pixel_mm, 1 / slice_mm)
    small_brain = _resample(brain.astype(np.float32), zoom) >= 0.5
    new_affine = _rescaled(affine, brain.shape, small_brain.shape)
    bias = 1 + 0.12 * _smooth_noise(grey.shape, 45.0, random)
    images = {}
    for name, sequence in SEQUENCES.items():
        white_matter = float(signal(WHITE.t1, WHITE.t2, WHITE.pd, sequence))
        clean = _resample(_mixed_signal(parts, texture, sequence) / white_matter * bias * brain, zoom)
        images[name] = Volume(_noisy(clean, noise, random, small_brain), new_affine, name, {"file": f"phantom_{name}"})
    lesion = (_resample((mask & brain).astype(np.float32), zoom) >= 0.5) & small_brain
    return Phantom(images, Volume(lesion.astype(np.uint8), new_affine, "mask"))


def _anatomy() -> tuple[Array, Array, Array, NDArray[np.float64]]:
    """Shares of grey matter, white matter and fluid on the 1 mm atlas grid, and its affine."""
    grey, affine = _atlas("gm")
    white, _ = _atlas("wm")
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(grey + white > 0.4, iterations=4))
    total = np.maximum(grey + white, 1.0)
    grey, white = grey / total * brain, white / total * brain
    fluid = np.clip(brain - grey - white, 0, 1)
    return grey.astype(np.float32), white.astype(np.float32), fluid.astype(np.float32), affine


def _atlas(tissue: str) -> tuple[Array, NDArray[np.float64]]:
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    file = resources.files("nilearn.datasets") / "data" / name
    image = nib.Nifti1Image.from_bytes(gzip.decompress(file.read_bytes()))
    data = np.asarray(image.get_fdata(dtype=np.float32))
    return np.asarray(data / max(float(data.max()), 1.0), dtype=np.float32), np.asarray(image.affine, dtype=np.float64)


def _texture(shape: tuple[int, ...], random: np.random.Generator) -> dict[str, Array]:
    """Slow variation of T1, T2 and PD within tissues (5, 5 and 2 %), so that translation is no lookup table."""
    return {name: 1 + spread * _smooth_noise(shape, 6.0, random) for name, spread in (("t1", 0.05), ("t2", 0.05), ("pd", 0.02))}


def _shares(grey: Array, white: Array, fluid: Array, lesions: tuple[Lesion, ...], share: Array) -> list[tuple[Array, Tissue]]:
    """How much of each tissue a voxel holds; a lesion displaces what is there."""
    parts = [(grey, GREY), (white, WHITE), (fluid, FLUID)]
    for number, lesion in enumerate(lesions):
        parts = [(part * (1 - share[number]), tissue) for part, tissue in parts] + [(share[number], lesion.tissue)]
    return parts


def _mixed_signal(parts: list[tuple[Array, Tissue]], texture: dict[str, Array], sequence: PulseSequence) -> Array:
    """Partial volume: the signals of the tissues in a voxel add up (their relaxation times do not)."""
    total = np.zeros_like(parts[0][0])
    for part, tissue in parts:
        total += part * signal(tissue.t1 * texture["t1"], tissue.t2 * texture["t2"], tissue.pd * texture["pd"], sequence)
    return total


def _lesion_shares(
    lesions: tuple[Lesion, ...], shape: tuple[int, ...], affine: NDArray[np.float64], random: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """Share of each lesion in every voxel (soft border of about 2 mm), and their union's mask."""
    world = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    shares = np.zeros((len(lesions), *shape), dtype=np.float32)
    for number, lesion in enumerate(lesions):
        radius = lesion.radius_mm * (1 + 0.25 * _smooth_noise(shape, 6.0, random))
        distance = np.linalg.norm(world - np.asarray(lesion.centre_mm), axis=-1)
        shares[number] = np.clip((radius - distance) / 2.0 + 0.5, 0, 1)
    return shares, np.asarray((shares >= 0.5).any(axis=0))


def _smooth_noise(shape: tuple[int, ...], width_mm: float, random: np.random.Generator) -> Array:
    """Gaussian random field of unit variance with the given correlation width, made on a coarse grid."""
    step = max(1.0, width_mm / 2)
    coarse = ndimage.gaussian_filter(random.standard_normal([int(np.ceil(n / step)) + 4 for n in shape]), 1.5)
    fine = ndimage.zoom(coarse, step, order=1)[tuple(slice(0, n) for n in shape)]
    return np.asarray((fine - fine.mean()) / fine.std(), dtype=np.float32)


def _resample(data: Array, zoom: tuple[float, float, float]) -> Array:
    """Slice thickness and pixel size as a scanner has them: average over the new voxel, then sample."""
    blurred = ndimage.uniform_filter(data, [max(1, round(1 / z)) for z in zoom])
    return np.asarray(ndimage.zoom(blurred, zoom, order=1, grid_mode=True, mode="nearest"), dtype=np.float32)


def _rescaled(affine: NDArray[np.float64], old: tuple[int, ...], new: tuple[int, ...]) -> NDArray[np.float64]:
    """Affine of the resampled grid: equal outer edges."""
    scale = np.asarray(old) / np.asarray(new)
    result = affine.copy()
    result[:3, :3] = affine[:3, :3] * scale
    result[:3, 3] = affine[:3, 3] + affine[:3, :3] @ ((scale - 1) / 2)
    return result


def _noisy(clean: Array, noise: float, random: np.random.Generator, brain: NDArray[np.bool_]) -> Array:
    """Rician noise, scaled to :data:`WHITE_SIGNAL`, at least 1 inside the brain and 0 outside."""
    real = clean + noise * random.standard_normal(clean.shape)
    imaginary = noise * random.standard_normal(clean.shape)
    magnitude = np.maximum(np.round(np.hypot(real, imaginary) * WHITE_SIGNAL), 1.0)
    return np.where(brain, magnitude, 0.0).astype(np.float32)


def write_phantom(phantom: Phantom, folder: Path, name: str) -> dict[str, Path]:
    """Write one subject in BraTS layout (``folder/name/name_flair.nii.gz``, ...).

    Returns:
        The files by modality, and ``label``.

    Raises:
        OutputError: a file cannot be written.
    """
    case = folder / name
    try:
        case.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{case}: cannot be made ({error.strerror}); choose another --output") from error
    paths = {modality: case / f"{name}_{modality}.nii.gz" for modality in phantom.images}
    for modality, path in paths.items():
        write_nifti(phantom.images[modality], path, "int16")
    paths["label"] = case / f"{name}_seg.nii.gz"
    write_nifti(phantom.lesion, paths["label"], "uint8")
    return paths


def write_phantoms(folder: Path, subjects: int, seed: int, lesions: bool) -> Path:
    """Write several subjects, split 60/20/20, with a datalist.

    Args:
        folder: where; made if it is not there.
        subjects: how many.
        seed: seed of the first subject; the next ones count up.
        lesions: with :data:`DEMO_LESIONS`.

    Returns:
        The datalist.
    """
    for number in range(seed, seed + subjects):
        write_phantom(make_phantom(number, DEMO_LESIONS if lesions else ()), folder, f"phantom_{number:04d}")
    cases = [case for case in find_cases(folder) if case.name.startswith("phantom_")]
    path = folder / "datalist.json"
    write_datalist(cases, make_split(cases, seed=0), path)
    return path
