"""Which of many NIfTI files are the FLAIRs, by their names alone."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mmccd.core import InputError, UnsuitableInputError, is_broken_link
from mmccd.jobs.inputs import NIFTI, Input, stem

logger = logging.getLogger(__name__)

_FLAIR = re.compile(r"(^|[-_. ])((t2[-_]?)?flair|t2f)$", re.IGNORECASE)
_CONTAINS_FLAIR = re.compile(r"flair|(^|[-_. ])t2f([-_. ]|$)", re.IGNORECASE)
_T1_FLAIR = re.compile(r"(^|[-_. ])t1w?[-_. ]?flair([-_. ]|$)", re.IGNORECASE)
_OURS = frozenset({"anomaly_map", "segmentation", "brain_mask", "percentile_map"})
_REPORT = "report.json"
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_MOST_CHANNELS = 9
_MOST_OF_ONE_CASE = 6
"""Numbers of a single case that may be channels; more are patients."""


def flairs_of(place: Path, files: Sequence[Path]) -> list[Path]:
    """Those of a folder's NIfTI files that are to be judged.

    Those whose names end in ``flair`` or ``t2f``; where there are none, those that have such a word
    in them; where there are none either, all. Masks and labels are left out.

    Args:
        place: folder, for messages.
        files: NIfTI files in it.

    Raises:
        UnsuitableInputError: names end in the numbers of channels.
        InputError: all are named as masks.
    """
    refuse_channels(place, files)
    found = named_as_flair(files) or without_masks(files)
    if files and not found:
        raise InputError(
            f"{place}: holds {_volumes(files)}, named as masks, labels or"
            " results of ours; expected FLAIRs; give another folder, or the files themselves"
        )
    if len(found) < len(files):
        logger.info(
            "%s: %d of %s are taken for FLAIRs, by their names",
            place,
            len(found),
            _volumes(files),
        )
    return found


def named_as_flair(files: Sequence[Path]) -> list[Path]:
    """The files whose names say FLAIR, and no mask."""
    plain = [file for file in without_masks(files) if not _T1_FLAIR.search(stem(file))]
    return [file for file in plain if _FLAIR.search(stem(file))] or [
        file for file in plain if _CONTAINS_FLAIR.search(stem(file))
    ]


def without_masks(files: Sequence[Path]) -> list[Path]:
    """Files that are not called as masks and labels; ``a_brain`` is a mask beside ``a``. Results of
    ours, beside their report, are no images either.
    """
    from mmccd.data import is_mask_name

    there = {(file.parent, stem(file)) for file in files}

    def is_mask(file: Path) -> bool:
        name = stem(file)
        whole = re.sub(r"[-_](brain|bet)$", "", name, flags=re.IGNORECASE)
        return is_mask_name(file) or (whole != name and (file.parent, whole) in there)

    return [file for file in files if not is_mask(file) and not is_result(file)]


def is_result(file: Path) -> bool:
    """Whether a file is one of a folder of our results."""
    return stem(file) in _OURS and (file.parent / _REPORT).is_file()


def refuse_channels(place: Path, files: Sequence[Path], are_named: bool = False) -> None:
    """Refuse files that are channels of one case (nnU-Net: ``case_0000`` to ``case_0003``).

    Args:
        place: what was given, for messages.
        files: NIfTI files.
        are_named: the files themselves were given, or a pattern: then numbers of one name alone
            may be patients.

    Raises:
        UnsuitableInputError: they are.
    """
    numbers: dict[tuple[Path, str], set[int]] = {}
    for file in files:
        found = _CHANNEL.fullmatch(stem(file))
        if found:
            numbers.setdefault((file.parent, found[1]), set()).add(int(found[2]))
    several = {key: found for key, found in numbers.items() if len(found) > 1}
    channels = {number for found in several.values() for number in found}
    limit = _MOST_CHANNELS if len(several) > 1 else -1 if are_named else _MOST_OF_ONE_CASE
    if not several or 0 not in channels or max(channels) > limit:
        return
    folder = next(iter(several))[0]
    known = _flair_channel(folder)
    number = max(channels) if known is None else known
    raise UnsuitableInputError(
        f"{place}: names end in the numbers of channels (_0000 to _{max(channels):04d}), expected"
        f" FLAIRs alone; give them by a pattern, such as"
        f" '{_shown(folder, place)}*_{number:04d}.nii.gz'"
        + (" where that is the FLAIR" if known is None else ""),
        code="input.channels",
    )


def _shown(folder: Path, place: Path) -> str:
    """A folder for a message: folders below the one that was given may be called after patients."""
    if not place.is_dir():
        return ""
    if folder == place or (folder.parent == place and folder.name.startswith("images")):
        return f"{folder}/"
    return f"{place}/**/"


def _shown_pattern(place: Path, files: Sequence[Path]) -> str:
    """A pattern for files in folders of folders: of one folder of images, not of labels beside
    it.
    """
    folders = {file.parent for file in files}
    return (
        f"{_shown(folders.pop(), place)}*.nii.gz" if len(folders) == 1 else f"{place}/**/*.nii.gz"
    )


def _flair_channel(folder: Path) -> int | None:
    """The channel that a ``dataset.json`` above a folder calls FLAIR."""
    try:
        content = json.loads((folder.parent / "dataset.json").read_text())
        names = dict(content.get("channel_names") or content["modality"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    found = [
        key for key, name in names.items() if _CONTAINS_FLAIR.search(str(name)) and key.isdigit()
    ]
    return int(found[0]) if len(found) == 1 else None


def flairs_below(place: Path, files: Sequence[Path]) -> list[Input]:
    """The FLAIRs among NIfTI files in folders of folders, each named after its file, or after its
    path where that says too little.

    Args:
        place: the folder above all of them.
        files: all NIfTI files at any depth.

    Raises:
        UnsuitableInputError: names end in the numbers of channels.
        InputError: none is named as FLAIR.
    """
    refuse_channels(place, files)
    found = named_as_flair(files)
    if not found:
        raise InputError(
            f"{place}: holds {_volumes(files)} in its folders, none of them named"
            " as FLAIR (such as *_FLAIR.nii.gz or *-t2f.nii.gz); expected FLAIRs; give them by a"
            f" pattern, such as '{_shown_pattern(place, files)}'"
        )
    logger.info(
        "%s: %d of %s in its folders are taken for FLAIRs, by their names",
        place,
        len(found),
        _volumes(files),
    )
    names = [stem(file) for file in found]
    return [
        Input(file, name if _is_enough(name, names) else _path_name(place, file))
        for file, name in zip(found, names, strict=True)
    ]


def _is_enough(name: str, names: list[str]) -> bool:
    return names.count(name) == 1 and _FLAIR.sub("", name) != ""


def told_apart(inputs: Iterable[Input]) -> list[Input]:
    """The same, but files of one name in several folders are called after these folders, too:
    ``p1_flair`` and ``p2_flair``.
    """
    found = list(inputs)
    places: dict[str, set[Path]] = {}
    for one in found:
        if one.kind == NIFTI and one.name == stem(one.path):
            places.setdefault(one.name.lower(), set()).add(one.path.parent.resolve())
    folders = {
        name: Path(os.path.commonpath(above)) for name, above in places.items() if len(above) > 1
    }
    return [
        replace(
            one,
            name=_path_name(folders[one.name.lower()], one.path.parent.resolve() / one.path.name),
        )
        if one.kind == NIFTI and one.name == stem(one.path) and one.name.lower() in folders
        else one
        for one in found
    ]


def _path_name(place: Path, file: Path) -> str:
    return "_".join((*file.parent.relative_to(place).parts, stem(file)))


def refuse_broken_links(place: str, inputs: Sequence[Input]) -> None:
    """Refuse links whose files are not there, as in a data set that was not fetched.

    Raises:
        InputError: there are some.
    """
    paths = [path for one in inputs for path in (one.path, one.brain) if path is not None]
    broken = sum(is_broken_link(path) for path in paths)
    if broken:
        raise InputError(
            f"{place}: {broken} of {_count(len(paths), 'file')}"
            f" {'is a link' if broken == 1 else 'are links'} to what is not there; expected the"
            " files themselves; fetch them (such as by 'datalad get'), or copy what they point to",
            code="input.missing",
        )


def _volumes(files: Sequence[Path]) -> str:
    from mmccd.io import is_nifti_name

    return _count(len(files), f"{'NIfTI' if all(map(is_nifti_name, files)) else 'volume'} file")


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
