"""How data sets lie on disk: BraTS of all years, and BIDS."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mmccd.core import InputError, entries_of, is_broken_link
from mmccd.data.patients import is_visit_alone, patient_of
from mmccd.io import is_nifti_name, is_volume_name, read_nifti

SUFFIXES: dict[str, tuple[str, ...]] = {
    "flair": ("_flair", "-flair", "-t2f", "_t2f"),
    "t1": ("_t1", "-t1", "-t1n", "_t1n", "_t1w", "-t1w"),
    "t2": ("_t2", "-t2", "-t2w", "_t2w"),
    "label": ("_seg", "-seg", "_segm", "-segm"),
    "brain": ("_brain", "-brain", "_brainmask", "_brain_mask", "-brain_mask"),
}
"""What stands behind a case's name, in small letters; capitals do not count."""
_MASKS = ("_mask", "-mask")
_BRAIN_ML = 300.0
"""A mask ``CASE_mask`` of this volume or more is the brain; lesions are smaller."""
_MASK_NAME = re.compile(
    r"(mask|seg|segm|segmentation|parcellation|[-_. ](labels?|lesions?|roi|gt|consensus"
    r"|ground[-_]?truth|manual\d?))(\.(nii(\.(gz|bz2|xz))?|nrrd|nhdr|mha|mhd|mgz|mgh))?$",
    re.IGNORECASE,
)
OTHER_FOLDERS = frozenset({"derivatives", "sourcedata", "code", "labelstr", "labelsts", "__macosx"})
"""Folders that hold something else than the images of a data set, in small letters."""
_MOST_LEVELS = 4
_ANATOMY = ("anat", "ses-*/anat", "sub-*/anat", "sub-*/ses-*/anat")
_RAW = "rawdata"
_BIDS_SUFFIXES = {"flair": "FLAIR", "t1": "T1w", "t2": "T2w"}


@dataclass(frozen=True)
class Case:
    """One examination.

    Attributes:
        name: name of its folder, or of its first file in a datalist.
        images: file of each modality (``flair``, ``t1``, ``t2``) that is there.
        label: file of the lesion mask, or None.
        patient: whom the examination belongs to; examinations of one patient are never in two
            splits.
        brain: file of the brain mask, or None: then the images have to be skull-stripped.
        repeat: how often its slices are visited in an epoch of training (a rare kind of data may
            count for more).
    """

    name: str
    images: dict[str, Path]
    label: Path | None
    patient: str
    repeat: int = 1
    brain: Path | None = None


def cases_in(root: Path) -> list[Case]:
    """The cases in a folder, sorted by name; none where it has no layout that is known.

    Folders of BraTS layout right below it; where there is none, those of a BIDS data set (its
    derivatives are left alone), or folders of BraTS layout further below, whose names get that of
    the folder above where they say the visit alone or occur twice.

    Raises:
        InputError: a link to a folder that is not there; a mask that cannot be read.
    """
    _refuse_broken_folders(root)
    cases = [case for folder in _folders(root) for case in [read_case(folder)] if case.images]
    cases = cases or bids_cases(root) or _cases_below(root)
    return sorted(cases, key=lambda case: case.name)


def read_case(folder: Path) -> Case:
    """A folder as a case of BraTS layout: ``CASE/CASE_flair.nii.gz`` and so on; without images
    where it is none. ``CASE_mask.nii.gz`` is the brain's mask where it is as large as a brain, or
    where there is a label beside it, else the label.

    Files are found by their names; a link whose file is not there is found, too, and refused by who
    reads it.
    """
    files = _images_of(folder)
    found = {key: file for key, suffixes in SUFFIXES.items() if (file := _first(files, suffixes))}
    label, brain = found.pop("label", None), found.pop("brain", None)
    mask = _first(files, _MASKS) if found and not (label and brain) else None
    if mask is not None:
        if label is None and (brain is not None or not _is_brain(mask)):
            label = mask
        else:
            brain = brain or mask
    return Case(folder.name, found, label, patient_of(folder.name), brain=brain)


def is_mask_name(file: Path) -> bool:
    """Whether a file is called as masks and labels are (``a_mask.nii.gz``, ``a_seg``,
    ``a_dseg``).
    """
    return _MASK_NAME.search(file.name) is not None


def _images_of(folder: Path) -> dict[str, Path]:
    """NIfTI files that are called as their folder, by what stands behind its name."""
    name, found = folder.name.lower(), {}
    for file in reversed(entries_of(folder)):
        if file.name.lower().startswith(name) and is_nifti_name(file):
            found[re.sub(r"\.nii(\.gz)?$", "", file.name.lower()[len(name) :])] = file
    return found


def _first(files: dict[str, Path], suffixes: tuple[str, ...]) -> Path | None:
    return next((files[suffix] for suffix in suffixes if suffix in files), None)


def _is_brain(mask: Path) -> bool:
    volume = read_nifti(mask, "mask")
    return float((volume.data > 0.5).sum()) * volume.voxel_ml >= _BRAIN_ML


def bids_cases(root: Path) -> list[Case]:
    """The cases of a BIDS data set, of one of its subjects or sessions, or of an ``anat`` folder.

    Each FLAIR is a case with the T1w and T2w of its session, where there is one of them alone or
    one with the same entities; without a FLAIR the session is a case of the others.
    """
    places = [root] if _is_anatomy(root) else []
    for start in (root, root / _RAW):
        places += [folder for pattern in _ANATOMY for folder in sorted(start.glob(pattern))]
    return [case for folder in places if folder.is_dir() for case in _session(folder)]


def is_one_of_bids(path: Path) -> bool:
    """Whether a folder is a subject, a session or an ``anat`` folder of a BIDS data set."""
    return path.name.startswith(("sub-", "ses-")) or _is_anatomy(path)


def _is_anatomy(path: Path) -> bool:
    return path.name == "anat" and path.parent.name.startswith(("sub-", "ses-"))


def _session(anatomy: Path) -> Iterator[Case]:
    files = {
        key: {
            name[: -len(suffix) - 1]: file
            for file in entries_of(anatomy)
            if is_nifti_name(file) and not file.name.startswith(".")
            for name in [re.sub(r"\.nii(\.gz)?$", "", file.name, flags=re.IGNORECASE)]
            if name.endswith(f"_{suffix}") and "_part-phase" not in name
        }
        for key, suffix in _BIDS_SUFFIXES.items()
    }
    flairs = files.pop("flair")
    for name, flair in flairs.items():
        yield _of_session(name, {"flair": flair}, files)
    if not flairs and any(files.values()):
        first = min(name for found in files.values() for name in found)
        yield _of_session(re.sub(r"_(?!ses-).*", "", first), {}, files)


def _of_session(name: str, images: dict[str, Path], others: dict[str, dict[str, Path]]) -> Case:
    for key, found in others.items():
        plain = {own: file for own, file in found.items() if "_ce-" not in own}
        if name in found:
            images[key] = found[name]
        elif len(plain) == 1:
            images[key] = next(iter(plain.values()))
    return Case(name, images, None, patient_of(name))


def _cases_below(root: Path) -> list[Case]:
    """Cases of BraTS layout in folders of folders."""
    found, level = [], _folders(root)
    for _ in range(_MOST_LEVELS):
        level = [folder for above in level for folder in _folders(above)]
        found += [case for folder in level for case in [read_case(folder)] if case.images]
    times = Counter(case.name for case in found)
    return [
        _named_by_path(case, root) if times[case.name] > 1 or is_visit_alone(case.name) else case
        for case in found
    ]


def _named_by_path(case: Case, root: Path) -> Case:
    folder = next(iter(case.images.values())).parent
    name = "_".join(folder.relative_to(root).parts)
    return replace(case, name=name, patient=patient_of(name))


def _folders(root: Path) -> list[Path]:
    return [
        entry
        for entry in entries_of(root)
        if not entry.name.startswith(".")
        and entry.name.lower() not in OTHER_FOLDERS
        and entry.is_dir()
    ]


def _refuse_broken_folders(root: Path) -> None:
    broken = sum(not entry.suffix and is_broken_link(entry) for entry in entries_of(root))
    if broken:
        raise InputError(
            f"{root}: holds {broken} link{'s' if broken > 1 else ''} to what is not there; expected"
            " folders; copy or mount what they point to",
            code="input.missing",
        )


def files_with_images(root: Path) -> Iterator[Path]:
    """Volume files (NIfTI, NRRD, MetaImage, MGH) at any depth, sorted, links that lead nowhere
    among them; without shadow files of macOS (``._name``), hidden folders and those in
    :data:`OTHER_FOLDERS`.
    """
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name.lower() not in OTHER_FOLDERS
        )
        for name in sorted(names):
            if not name.startswith("._") and is_volume_name(Path(name)):
                yield Path(folder) / name
