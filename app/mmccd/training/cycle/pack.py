"""Training data in small files: slices of label maps, and real slices on the model grid in 8 bit.

A pack is a NumPy archive, differences of neighbouring pixels, compressed with LZMA: about 4 kB a
label slice and 6 kB a real pair, so that a whole training fits into what can be carried to another
machine.
"""

from __future__ import annotations

import io
import lzma
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmccd.core import InputError, UnsuitableInputError, first_line, make_folder, replacing
from mmccd.data import Case, load_case, say_doubtful_labels
from mmccd.imaging import Normalisation
from mmccd.phantom import cut_label_slices, cut_scan_slices

LOWEST, HIGHEST = -4.0, 8.0
"""Normalised intensities that a byte can hold: 1 to 255; 0 is outside the brain."""
MIN_BRAIN_PIXELS = 75
WAY_OUT = "choose another output folder or free some space"

Bytes = NDArray[np.uint8]
_DAMAGE = (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, lzma.LZMAError)


def pack_labels(files: Sequence[Path], per_map: int, seed: int, processes: int = 1) -> Bytes:
    """Slices of many label maps, classes ``(slices, 2, 256, 256)``; see
    :func:`~mmccd.phantom.cut_label_slices`.
    """
    jobs = [(file, per_map, [seed, number]) for number, file in enumerate(files)]
    return _cut(cut_label_slices, jobs, processes)


def pack_scans(
    scans: Sequence[tuple[Path, Path]], per_scan: int, seed: int, processes: int = 1
) -> Bytes:
    """Slices of many scans with their label maps, levels and kinds ``(slices, 2, 128, 128)``; see
    :func:`~mmccd.phantom.cut_scan_slices`.
    """
    jobs = [(*pair, per_scan, [seed, number]) for number, pair in enumerate(scans)]
    return _cut(cut_scan_slices, jobs, processes)


def _cut(cut: Callable[..., Bytes], jobs: Sequence[tuple[Any, ...]], processes: int) -> Bytes:
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            parts = list(pool.map(cut, *zip(*jobs, strict=True)))
    else:
        parts = [cut(*job) for job in jobs]
    return np.concatenate(parts)


def pack_cases(cases: Sequence[Case], source: str, target: str) -> dict[str, NDArray[Any]]:
    """The lesion-free slices with brain of some cases.

    Returns:
        ``source`` and ``target`` as bytes ``(slices, 128, 128)``, and ``case``, the index of each
        slice's case.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.data.load_case`; no slice
            without lesions.
    """
    say_doubtful_labels(cases)
    normalisations = {name: Normalisation.for_modality(name) for name in (source, target)}
    found: dict[str, list[Bytes]] = {"source": [], "target": []}
    numbers = []
    for number, case in enumerate(cases):
        slices = load_case(case, normalisations)
        large = slices.brain.flatten(1).sum(1) >= MIN_BRAIN_PIXELS
        wanted = torch.nonzero(large & ~slices.has_lesion).flatten()
        for key, name in (("source", source), ("target", target)):
            found[key].append(to_bytes(slices.images[name][wanted], slices.brain[wanted]))
        numbers += [number] * len(wanted)
    if not numbers:
        raise UnsuitableInputError(
            f"{len(cases)} cases: no slice with brain and without lesions; expected at least one;"
            " choose other cases"
        )
    return {key: np.concatenate(parts) for key, parts in found.items()} | {
        "case": np.array(numbers, dtype=np.int32)
    }


def to_bytes(images: Tensor, brain: Tensor) -> Bytes:
    """Normalised slices ``(slices, 1, size, size)`` as bytes ``(slices, size, size)``."""
    share = (images.float().clamp(LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    values: Bytes = torch.where(brain, share * 254 + 1, 0).round().byte()[:, 0].numpy()
    return values


def from_bytes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes ``(batch, size, size)`` as normalised slices ``(batch, 1, size, size)`` and their
    brain.
    """
    brain = (values > 0)[:, None]
    images = (values[:, None].float() - 1) / 254 * (HIGHEST - LOWEST) + LOWEST
    return torch.where(brain, images, 0), brain


def save_pack(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a pack in one step.

    Raises:
        OutputError: it cannot be written.
    """
    make_folder(path.parent, WAY_OUT)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: _differences(a) for name, a in arrays.items()})
    with replacing(path, WAY_OUT) as staged:
        staged.write_bytes(lzma.compress(buffer.getvalue(), preset=4))


def load_pack(path: Path) -> dict[str, NDArray[Any]]:
    """Read a pack.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with np.load(io.BytesIO(lzma.decompress(path.read_bytes())), allow_pickle=False) as arrays:
            return {name: _sums(arrays[name]) for name in arrays.files}
    except _DAMAGE as error:
        raise InputError(
            f"{path}: is no pack of training slices ({first_line(error)}); make it with"
            " 'python -m mmccd.training.cycle pack'",
            code="pack.unreadable",
        ) from error


def _differences(array: NDArray[Any]) -> NDArray[Any]:
    """Of bytes, each pixel less its neighbours: small numbers where the image is smooth."""
    if array.dtype != np.uint8 or array.ndim < 3:
        return array
    rows = np.diff(array, axis=-1, prepend=np.uint8(0))
    return np.diff(rows, axis=-2, prepend=np.uint8(0))


def _sums(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != np.uint8 or array.ndim < 3:
        return array
    rows = np.cumsum(array, axis=-2, dtype=np.uint8)
    return np.cumsum(rows, axis=-1, dtype=np.uint8)
