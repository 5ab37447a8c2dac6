"""Phantoms on disk: BraTS layout with a datalist, split so that one anatomy never serves two
splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmccd.core import InputError, make_folder
from mmccd.data import SPLITS, find_cases, split_cases, write_datalist
from mmccd.io import write_nifti
from mmccd.phantom.acquisition import random_acquisition, with_thickness
from mmccd.phantom.anatomy import BUILT_IN, find_anatomies, load_anatomy
from mmccd.phantom.lesions import KINDS
from mmccd.phantom.names import HEALTHY, MIXED
from mmccd.phantom.subject import Phantom, make_phantom

SHARES = (0.75, 0.125, 0.125)
"""Of the anatomies for training, validation and test, in the order of their names: 12, 2 and 2 of
16.
"""
LIST = "datalist.json"
SUBJECT_SPLITS = ("train", "train", "train", "val", "test")
"""Splits of the built-in anatomy's subjects, by their seed."""


def write_phantom(phantom: Phantom, folder: Path, name: str) -> dict[str, Path]:
    """Write one subject in BraTS layout (``folder/name/name_flair.nii.gz``, ..., ``_seg``,
    ``_brain``).

    Returns:
        The files by modality, ``label`` and ``brain``.

    Raises:
        OutputError: a file cannot be written.
    """
    case = folder / name
    make_folder(case)
    paths = {modality: case / f"{name}_{modality}.nii.gz" for modality in phantom.images}
    for modality, path in paths.items():
        write_nifti(phantom.images[modality], path, "int16")
    for key, ending, mask in (("label", "seg", phantom.lesion), ("brain", "brain", phantom.brain)):
        paths[key] = case / f"{name}_{ending}.nii.gz"
        write_nifti(mask, paths[key], "uint8")
    return paths


def write_phantoms(
    folder: Path,
    subjects: int,
    seed: int = 0,
    anatomy: str | Path = BUILT_IN,
    split: str | None = None,
    lesions: str = HEALTHY,
    head: bool = False,
    slice_mm: float | None = None,
    pixel_mm: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write several subjects of random scanners, and a datalist of all phantoms in the folder
    (earlier ones too).

    Args:
        folder: where; made if it is not there.
        subjects: how many.
        seed: seed of the first subject; the next ones count up. The same arguments give the same
            files.
        anatomy: label map, folder of label maps (each for as many subjects), or ``builtin``.
        split: only the anatomies of that split (``train``, ``val`` or ``test``); for the built-in
            one all subjects go there.
        lesions: ``none``, ``mixed``, or a kind.
        head: keep skull and scalp.
        slice_mm: slice thickness; random where it is None.
        pixel_mm: pixel size; random where it is None.
        progress: called with the subjects made, and how many there will be.

    Returns:
        The datalist.

    Raises:
        InputError, UnsuitableInputError: see :func:`~mmccd.phantom.anatomy.load_anatomy`.
        OutputError: the folder cannot be written.
    """
    sources = _of_split(find_anatomies(anatomy), split)
    groups = _earlier(folder)
    for number in range(subjects):
        source, group = sources[number * len(sources) // subjects]
        case_seed = seed + number
        name = f"phantom_{_anatomy_name(source)}_{case_seed:04d}"
        case = _subject(case_seed, source, lesions, head, (slice_mm, pixel_mm))
        write_phantom(case, folder, name)
        groups[name] = group or split or SUBJECT_SPLITS[case_seed % len(SUBJECT_SPLITS)]
        progress(number + 1, subjects)
    return _write_list(folder, groups)


def _subject(
    seed: int, source: Path | None, lesions: str, head: bool, mm: tuple[float | None, float | None]
) -> Phantom:
    """A subject of a random scanner; ``mm``: slice thickness and pixel size, random where None."""
    random = np.random.default_rng([seed, 1])
    acquisition = with_thickness(random_acquisition(random), *mm)
    return make_phantom(seed, _kind(lesions, random), acquisition, load_anatomy(source, head), head)


def anatomy_splits(names: Sequence[str]) -> list[str]:
    """The split of each anatomy, by its place in the order of the names: the first three quarters
    train, the next eighth validates, the rest tests.
    """
    ends = np.round(np.cumsum(SHARES) * len(names))
    return [SPLITS[int(np.searchsorted(ends, place, side="right"))] for place in range(len(names))]


def _of_split(
    sources: Sequence[Path | None], split: str | None
) -> list[tuple[Path | None, str | None]]:
    """Label maps with their split (the built-in anatomy has none: each subject is an individual),
    only those of the wanted split.
    """
    if list(sources) == [None]:
        return [(None, None)]
    pairs = list(zip(sources, anatomy_splits([str(source) for source in sources]), strict=True))
    if len(pairs) == 1:
        return [(pairs[0][0], split or "train")]
    chosen = [pair for pair in pairs if split in (None, pair[1])]
    if not chosen:
        raise InputError(
            f"--split {split}: none of {len(pairs)} label maps belongs to it; expected 8 or more"
            " for all splits; give --anatomy FILE"
        )
    return list(chosen)


def _kind(lesions: str, random: np.random.Generator) -> str | None:
    if lesions == HEALTHY:
        return None
    return str(random.choice(sorted(KINDS))) if lesions == MIXED else lesions


def _anatomy_name(source: Path | None) -> str:
    return source.name.split(".")[0] if source else BUILT_IN


def _earlier(folder: Path) -> dict[str, str]:
    """Split of each phantom that the folder's datalist already names."""
    path = folder / LIST
    if not path.is_file():
        return {}
    return {case.name: split for split, cases in split_cases(path).items() for case in cases}


def _write_list(folder: Path, groups: dict[str, str]) -> Path:
    cases = [case for case in find_cases(folder) if case.name in groups]
    split = {name: [case.name for case in cases if groups[case.name] == name] for name in SPLITS}
    write_datalist(cases, split, folder / LIST)
    return folder / LIST
