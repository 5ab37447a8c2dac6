"""From the words of a command line, or a folder that is mounted, to the images to be judged."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmccd.core import InputError, entries_of, is_broken_link
from mmccd.jobs.flairs import (
    flairs_below,
    flairs_of,
    refuse_broken_links,
    refuse_channels,
    told_apart,
    without_masks,
)
from mmccd.jobs.inputs import DICOM, NIFTI, Input, each_once, stem
from mmccd.jobs.studies import sort_by_study, visits_below, without_patient

logger = logging.getLogger(__name__)

DATALIST_ENDING = ".json"
RESERVED = ("cohort", "index.html", "index_files")
"""Names of our own files beside the folders of a cohort."""
UNREADABLE, ARCHIVE = "study-unreadable", "archive"
_ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


def find_inputs(words: Sequence[str], modality: str) -> tuple[list[Input], bool]:
    """The images that a command line means.

    A word is a volume file (NIfTI, NRRD, MetaImage, MGH), a DICOM file, a folder with one DICOM
    study, a folder that is one case of BraTS layout, a subject or session of BIDS with one FLAIR, a
    pattern such as ``*.nii.gz``, or a cohort: a datalist JSON, a folder of cases (BraTS layout), a
    BIDS data set, a folder of DICOM studies (each in a folder of its own), or of NIfTI files. A
    folder whose subfolders hold files of one patient and one visit only is one study.

    Args:
        words: at least one.
        modality: which image of a case is taken.

    Returns:
        The images, each once and with a name of its own, and whether they are a cohort: more than
        one, or a word that means one.

    Raises:
        InputError: a pattern that nothing fits, a cohort without that modality, a folder that
            cannot be read, links whose files are not there.
        UnsuitableInputError: files whose names end in the numbers of channels.
    """
    found: list[Input] = []
    paths = [path for word in words for path in _expand(word)]
    is_cohort = len(paths) > 1
    for path in paths:
        members = None if _is_one(path, modality) else cohort_members(path, modality)
        is_cohort = is_cohort or members is not None
        found += [one_input(path, modality)] if members is None else members
    place = words[0] if len(words) == 1 else f"{len(words)} inputs"
    named = [one.path for one in found if one.kind == NIFTI]
    refuse_channels(Path(place), named, are_named=True)
    refuse_broken_links(place, found)
    return each_once(told_apart(found), RESERVED), is_cohort


def one_input(path: Path, modality: str) -> Input:
    """A path that is one image: of a folder that is a case, its image of the modality with its
    brain mask.
    """
    from mmccd.io import archive_of

    if not path.is_dir():
        if path.is_file() and _is_dicom(path):
            return Input(path, without_patient(stem(path), path), DICOM)
        packed = path.is_file() and archive_of(path) is not None
        return Input(path, stem(path), DICOM if packed else NIFTI)
    from mmccd.data import bids_cases, read_case

    for case in (read_case(path), *bids_cases(path)):
        if modality in case.images:
            return Input(case.images[modality], case.name, brain=case.brain)
    return Input(path, without_patient(path.resolve().name, path), DICOM)


def cohort_members(root: Path, modality: str) -> list[Input]:
    """The images of a data folder or a datalist, sorted by name.

    Of a folder: its cases (BraTS layout or BIDS), and the studies in subfolders that hold DICOM;
    where it has neither, its volume files without masks (where some are named as FLAIR, only
    those), or those further below that are named as FLAIR, or its archives.

    Raises:
        InputError: nothing of the kind, no case with that modality.
        UnsuitableInputError: files whose names end in the numbers of channels.
    """
    from mmccd.data import cases_in, find_cases

    is_list = root.is_file()
    cases = find_cases(root) if is_list else cases_in(root)
    images = [
        Input(case.images[modality], case.name, brain=case.brain)
        for case in cases
        if modality in case.images
    ]
    names = {one.name for one in images}
    studies = [one for one in _studies_below(root) if one.name not in names]
    found = [*studies, *images]
    if cases and not found:
        raise InputError(
            f"{root}: no case has {modality}; expected CASE/CASE_{modality}.nii.gz, or a DICOM"
            " study in each subfolder"
        )
    if cases and len(images) < len(cases):
        logger.warning(
            "%s: %d of %d cases have no %s and are left out",
            root,
            len(cases) - len(images),
            len(cases),
            modality,
        )
    if found and not is_list:
        _say_empty_folders(root, found, modality)
    return sorted(found or _loose_files(root), key=lambda one: one.name)


def _say_empty_folders(root: Path, found: Sequence[Input], modality: str) -> None:
    """Log how many folders have no part in a cohort of folders."""
    from mmccd.data import OTHER_FOLDERS

    paths = (path for one in found for path in (one.files or (one.path,)))
    used = {path.relative_to(root).parts[0] for path in paths if path.is_relative_to(root)}
    empty = sum(
        entry.is_dir()
        and entry.name not in used
        and entry.name.lower() not in OTHER_FOLDERS
        and not entry.name.startswith(".")
        for entry in entries_of(root)
    )
    if empty:
        logger.warning("%s: %d folders in it hold no %s and are left out", root, empty, modality)


def _loose_files(root: Path) -> list[Input]:
    """The NIfTI files of a folder, or else the FLAIRs of its folders; raises as
    :func:`cohort_members`.
    """
    from mmccd.data import files_with_images, find_cases

    own = _nifti_files(root)
    if own:
        return [Input(file, stem(file)) for file in flairs_of(root, own)]
    below = [file for file in files_with_images(root) if not file.name.startswith(".")]
    if below:
        return flairs_below(root, below)
    if packed := _packed(root):
        return [Input(file, stem(file), DICOM) for file in packed]
    find_cases(root)  # says what was expected
    return []


def find_studies(path: Path) -> list[Input]:
    """All studies of a mounted input, in the order of their names, which say nothing of a patient.

    A NIfTI file is a study; where some are named as FLAIR, only those; masks are none. DICOM files
    belong together by their StudyInstanceUID, in whatever folders they lie. Of one study alone the
    whole folder is the input, as for ``mmccd predict``.

    An archive (zip, tar) is one study, too; beside others only by its ending, because documents are
    archives as well.

    Args:
        path: a NIfTI file, a DICOM file, an archive, or a folder with such files at any depth.

    Raises:
        InputError: missing, not readable, or nothing in it that could be a study.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; expected NIfTI files or DICOM studies; mount the"
            " input or give it with -i",
            code="input.missing",
        )
    dicom, nifti, others = _sort_files(path)
    packed = _archives(others, by_ending=bool(dicom or nifti))
    if dicom or nifti or packed:
        studies = _dicom_studies(path, dicom, alone=not nifti and not packed)
        images = [Input(file, stem(file)) for file in _mounted_images(path, nifti, bool(dicom))]
        unpacked = [Input(file, ARCHIVE, DICOM) for file in packed]
        return sorted([*studies, *each_once([*images, *unpacked])], key=lambda one: one.name)
    if path.is_file():
        return each_once([Input(path, stem(path))])  # the reader will say what is wrong with it
    raise InputError(
        f"{path}: holds no NIfTI and no DICOM file and no archive ({len(others)} others); expected"
        " studies; check what is mounted there"
    )


def _mounted_images(path: Path, files: list[Path], beside_dicom: bool) -> list[Path]:
    """Those of the NIfTI files of a mounted input that are to be judged."""
    from mmccd.data import files_with_images

    if not path.is_dir():
        return files
    there = set(files)
    found = (file for file in files_with_images(path) if file in there or is_broken_link(file))
    everything = sorted(found) or files
    if beside_dicom and not without_masks(everything):
        return []
    flairs = flairs_of(path, everything)
    refuse_broken_links(str(path), [Input(file, "") for file in flairs])
    return flairs


def _archives(files: list[Path], by_ending: bool) -> list[Path]:
    """The zip and tar archives among files."""
    from mmccd.io import archive_of

    return [
        file
        for file in files
        if (not by_ending or file.name.lower().endswith(_ARCHIVE_ENDINGS))
        and archive_of(file) is not None
    ]


def _sort_files(path: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """DICOM files, NIfTI files, and others."""
    # pydicom takes a while to load.
    from mmccd.io import (
        DICOM_ENDINGS,
        broken_links,
        files_below,
        is_absent,
        is_volume_name,
        looks_like_dicom,
    )

    try:
        # What a broken link stands for may have been a slice: the reader refuses it.
        gone = {file for file in broken_links(path) if is_absent(file)}
        files = [*files_below(path), *sorted(gone)]
        dicom = [
            file
            for file in files
            if file.name.upper() != "DICOMDIR"
            and (
                file in gone
                or file.name.lower().endswith(DICOM_ENDINGS)
                or looks_like_dicom(file)
                or is_absent(file)
            )
        ]
    except OSError as error:
        raise InputError(
            f"{path}: a file in it cannot be read ({error.strerror}); check permissions"
        ) from error
    there = set(dicom)
    nifti = [file for file in files if is_volume_name(file) and file not in there]
    there.update(nifti)
    return dicom, nifti, [file for file in files if file not in there]


def _dicom_studies(path: Path, files: list[Path], alone: bool) -> list[Input]:
    """Files by study. Files that do not say where they belong go to the studies that have files in
    the same folder, which then are refused as damaged.
    """
    sorted_files, lost = sort_by_study(files)
    if len(sorted_files) <= 1 and alone:
        names = [study.name for study in sorted_files] or [UNREADABLE] * bool(lost)
        return [Input(path, name, DICOM) for name in names]
    orphans = set(lost)
    studies = []
    for study in sorted_files:
        folders = {file.parent for file in study.files}
        near = [file for file in lost if file.parent in folders]
        orphans -= set(near)
        studies.append(Input(path, study.name, DICOM, files=(*study.files, *near)))
    if orphans:
        studies.append(Input(path, UNREADABLE, DICOM, files=tuple(sorted(orphans))))
    return studies


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
    from mmccd.data import cases_in, files_with_images, is_one_of_bids, read_case

    if modality in read_case(path).images or any(_is_dicom(file) for file in _files(path)):
        return True
    cases = cases_in(path)
    having = sum(modality in case.images for case in cases)
    if having:
        return having == 1 and is_one_of_bids(path)
    studies = _study_folders(path)
    if studies:
        from mmccd.io import by_visit

        return len(by_visit(one for folder in studies for one in visits_below(folder)[:1])) <= 1
    return not cases and next(files_with_images(path), None) is None and not _packed(path)


def _studies_below(root: Path) -> list[Input]:
    """The studies in subfolders. A subfolder is one, with its name, where it holds one, and no
    other subfolder holds files of it; else the files are sorted by study.
    """
    from mmccd.io import by_visit

    below = {folder: visits_below(folder) for folder in _study_folders(root)}
    visits = by_visit(origin for origins in below.values() for origin in origins)
    held = {
        folder: [number for number, visit in enumerate(visits) if visit & set(origins)]
        for folder, origins in below.items()
    }
    shared = {
        number
        for numbers in held.values()
        for number in numbers
        if len(numbers) > 1 or sum(number in other for other in held.values()) > 1
    }
    mixed = [folder for folder, numbers in held.items() if shared & set(numbers)]
    whole = [
        Input(folder, without_patient(folder.name, folder), DICOM)
        for folder in below
        if folder not in mixed
    ]
    files = [file for folder in mixed for file in _sort_files(folder)[0]]
    apart = _dicom_studies(root, files, alone=False)
    return [*whole, *(replace(one, name=_folder_name(root, one)) for one in apart)]


def _folder_name(root: Path, one: Input) -> str:
    """A study's name with that of the subfolder in which its first file lies."""
    first = root / one.files[0].relative_to(root).parts[0]
    name = without_patient(first.name, one.files[0])
    return f"{name}_{one.name}" if name == first.name else one.name


def _study_folders(root: Path) -> list[Path]:
    """Folders right below that hold DICOM files; none of a BIDS data set, whose ``sourcedata`` are
    what its images were made of.
    """
    from mmccd.data import bids_cases
    from mmccd.io import holds_dicom

    if not root.is_dir() or bids_cases(root):
        return []
    return [entry for entry in entries_of(root) if entry.is_dir() and holds_dicom(entry)]


def _nifti_files(root: Path) -> list[Path]:
    """Volume files right in a folder, links that lead nowhere among them."""
    from mmccd.io import is_volume_name

    return [
        file
        for file in entries_of(root)
        if is_volume_name(file) and not file.name.startswith(".") and not file.is_dir()
    ]


def _packed(root: Path) -> list[Path]:
    """The archives right in a folder that is not one archive alone."""
    from mmccd.io import archive_of

    if archive_of(root) is not None:
        return []
    return _archives([file for file in _files(root) if not file.name.startswith(".")], True)


def _files(root: Path) -> list[Path]:
    """Files, and links to nothing, which their reader says."""
    return [entry for entry in entries_of(root) if entry.is_file() or is_broken_link(entry)]


def _is_dicom(file: Path) -> bool:
    from mmccd.io import looks_like_dicom

    try:
        return looks_like_dicom(file)
    except OSError:
        return False
