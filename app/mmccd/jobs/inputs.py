"""From the words of a command line, or a data folder, to the images that are to be judged."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmccd.core import InputError
from mmccd.data import Case, find_cases, read_case
from mmccd.io import holds_dicom, is_nifti_name, looks_like_dicom

DATALIST_ENDING = ".json"
RESERVED = ("cohort",)
_FLAIR_NAME = re.compile(r"(_flair|-t2f)\.nii(\.gz)?$", re.IGNORECASE)
_VOLUME_ENDING = re.compile(r"\.(nii(\.gz)?|nrrd|nhdr|mha|mhd|mgz|mgh)$", re.IGNORECASE)
_NAME_LENGTH = 100


@dataclass(frozen=True)
class Source:
    """One image to be judged.

    Attributes:
        path: volume file, DICOM file, or folder with a DICOM study.
        name: of its output folder.
        brain: NIfTI brain mask, or None.
        is_study: whether it is a folder with DICOM, whose name may be the patient's.
    """

    path: Path
    name: str
    brain: Path | None = None
    is_study: bool = False


def find_sources(words: Sequence[str], modality: str) -> tuple[list[Source], bool]:
    """The images that a command line means.

    A word is a volume file (NIfTI, NRRD, MetaImage, MGH), a DICOM file, a folder with one DICOM
    study, a folder that is one case of BraTS layout, a pattern such as ``*.nii.gz``, or a cohort: a
    datalist JSON, a folder of cases (BraTS layout), of DICOM studies (each in a folder of its own),
    or of NIfTI files. A folder whose subfolders hold files of one StudyInstanceUID only is one
    study.

    Args:
        words: at least one.
        modality: which image of a case is taken.

    Returns:
        The images, each once and with a name of its own, and whether they are a cohort: more than
        one, or a word that means one.

    Raises:
        InputError: a pattern that nothing fits, a cohort without that modality, a folder that
            cannot be read.
    """
    found: list[Source] = []
    paths = [path for word in words for path in _expand(word)]
    is_cohort = len(paths) > 1
    for path in paths:
        members = None if _is_one(path, modality) else cohort_members(path, modality)
        is_cohort = is_cohort or members is not None
        found += [one_source(path, modality)] if members is None else members
    return unique(found), is_cohort


def one_source(path: Path, modality: str) -> Source:
    """A path that is one image: of a folder that is a case, its image of the modality with its
    brain mask.
    """
    if path.is_dir():
        case = read_case(path)
        if modality in case.images:
            return Source(case.images[modality], case.name, case.brain)
        return Source(path, path.resolve().name, None, True)
    return Source(path, _stem(path))


def cohort_members(root: Path, modality: str) -> list[Source]:
    """The images of a data folder or a datalist, sorted by name.

    Of a folder: its cases of BraTS layout, and the subfolders that hold DICOM, one study each;
    where it has neither, its NIfTI files (where some are named ``*_flair`` or ``*-t2f``, only
    those).

    Raises:
        InputError: nothing of the kind, no case with that modality.
    """
    studies = {
        folder.name: Source(folder, folder.name, None, True) for folder in _study_folders(root)
    }
    files = [] if studies else _nifti_files(root)
    try:
        cases = find_cases(root)
    except InputError:
        if not studies and not files:
            raise
        cases = []
    images = {
        case.name: Source(case.images[modality], case.name, case.brain)
        for case in cases
        if modality in case.images
    }
    found = {**studies, **images} or (
        {} if cases else {str(file): Source(file, _stem(file)) for file in files}
    )
    if not found:
        raise InputError(
            f"{root}: no case has {modality}; expected CASE/CASE_{modality}.nii.gz, or a DICOM"
            " study in each subfolder"
        )
    return sorted(found.values(), key=lambda source: source.name)


def unique(sources: Iterable[Source]) -> list[Source]:
    """Each image once, with names that can be folders and differ even where capitals do not count:
    ``a``, ``a-2``.
    """
    found: dict[Path, Source] = {}
    taken = set(RESERVED)
    for source in sources:
        if source.path.resolve() in found:
            continue
        plain = safe_name(source.name)
        numbered = (f"{plain}-{number}" for number in range(2, len(taken) + 3))
        name = next(word for word in (plain, *numbered) if word.lower() not in taken)
        taken.add(name.lower())
        found[source.path.resolve()] = replace(source, name=name)
    return list(found.values())


def safe_name(name: str) -> str:
    """Letters, digits, dots, hyphens and underscores; not hidden, not like a flag, not longer than
    100.
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("._-")[:_NAME_LENGTH] or "case"


def _expand(word: str) -> list[Path]:
    """The path itself, or what a pattern fits."""
    if Path(word).exists() or not glob.has_magic(word):
        return [Path(word)]
    found = [Path(name) for name in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207 (a pattern may be absolute)
    if not found:
        raise InputError(
            f"{word}: nothing fits this pattern; expected NIfTI files, DICOM folders or a data"
            " folder; check it with 'ls'"
        )
    return found


def _is_one(path: Path, modality: str) -> bool:
    if not path.is_dir():
        return not (path.is_file() and path.name.lower().endswith(DATALIST_ENDING))
    if modality in read_case(path).images or any(_is_dicom(file) for file in _files(path)):
        return True
    cases = _cases(path)
    if any(modality in case.images for case in cases):
        return False
    studies = _study_folders(path)
    if studies:
        return len({_study_uid(folder) for folder in studies}) == 1
    return not _nifti_files(path) and not cases


def _cases(root: Path) -> list[Case]:
    try:
        return find_cases(root)
    except InputError:
        return []


def _study_folders(root: Path) -> list[Path]:
    return (
        [folder for folder in _entries(root) if folder.is_dir() and holds_dicom(folder)]
        if root.is_dir()
        else []
    )


def _nifti_files(root: Path) -> list[Path]:
    files = (
        [file for file in _files(root) if is_nifti_name(file) and not file.name.startswith(".")]
        if root.is_dir()
        else []
    )
    return [file for file in files if _FLAIR_NAME.search(file.name)] or files


def _files(root: Path) -> list[Path]:
    return [entry for entry in _entries(root) if entry.is_file()]


def _entries(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError as error:
        raise InputError(
            f"{root}: cannot be read ({error.strerror}); expected a readable folder; check"
            " permissions"
        ) from error


def _is_dicom(file: Path) -> bool:
    try:
        return looks_like_dicom(file)
    except OSError:
        return False


def _study_uid(folder: Path) -> str:
    """The StudyInstanceUID of the first DICOM file in a folder; "" where it has none."""
    import pydicom

    from mmccd.io import READ_ERRORS, files_below, quiet

    first = next(file for file in files_below(folder) if looks_like_dicom(file))
    try:
        with quiet():
            return str(
                pydicom.dcmread(
                    first, stop_before_pixels=True, force=True, specific_tags=["StudyInstanceUID"]
                ).get("StudyInstanceUID")
            )
    except READ_ERRORS:
        return ""


def _stem(file: Path) -> str:
    return _VOLUME_ENDING.sub("", file.name)
