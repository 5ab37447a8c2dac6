"""Cases on disk: BraTS 2021, BraTS 2023 and later, and MONAI/MSD datalists; splits by patient."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmccd.core import InputError, OutputError, UnsuitableInputError

SUFFIXES: dict[str, tuple[str, ...]] = {
    "flair": ("_flair", "-t2f"),
    "t1": ("_t1", "-t1n"),
    "t2": ("_t2", "-t2w"),
    "label": ("_seg", "-seg"),
    "brain": ("_brain", "-brain"),
}
SPLITS = ("train", "val", "test")
_DATALIST_KEYS = {"train": "training", "val": "validation", "test": "test"}
_MODALITIES = ("flair", "t1", "t2")


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


def patient_of(name: str) -> str:
    """The patient of a case name: without the time point of BraTS 2023 (``BraTS-GLI-00002-001``),
    the date of TCGA, or the number of a phantom.

    Phantoms of one label map are one patient; each of the built-in anatomy is its own.
    """
    for pattern in (
        r"(BraTS-[A-Z]+-\d+)-\d{3}",
        r"(TCGA_\w{2}_\w{4})_\d{8}",
        r"(phantom_(?!builtin_).+)_\d+",
    ):
        match = re.fullmatch(pattern, name)
        if match:
            return match.group(1)
    return name


def find_cases(root: str | Path) -> list[Case]:
    """All cases in a folder of BraTS layout, or in a datalist JSON, sorted by name.

    Args:
        root: a folder that holds one folder per case (``CASE/CASE_flair.nii.gz``, ``_t1``, ``_t2``,
            ``_seg``, ``_brain``, or ``CASE-t2f``, ``-t1n``, ``-t2w``, ``-seg``, ``-brain``;
            ``.nii`` or ``.nii.gz``), or a JSON file with lists ``training``, ``validation`` and
            ``test`` of entries ``{"flair": file, ..., "label": file, "brain": file}``, paths
            relative to the JSON file.

    Raises:
        InputError: nothing there, or nothing that looks like a case.
    """
    root = Path(root)
    if root.is_file():
        cases = [case for group in _read_datalist(root).values() for case in group]
    elif root.is_dir():
        cases = [
            case
            for folder in sorted(root.iterdir())
            if folder.is_dir()
            for case in [read_case(folder)]
            if case.images
        ]
    else:
        raise InputError(
            f"{root}: no such file or folder; expected a data folder in BraTS layout or a datalist"
            " JSON"
        )
    if not cases:
        raise InputError(
            f"{root}: no case found; expected folders CASE/CASE_flair.nii.gz (BraTS) or a datalist"
            " JSON"
        )
    return sorted(cases, key=lambda case: case.name)


def split_cases(root: str | Path, split_file: str | Path | None = None) -> dict[str, list[Case]]:
    """Cases of each split.

    Args:
        root: see :func:`find_cases`.
        split_file: JSON ``{"train": [names], "val": [...], "test": [...]}``; where it is None the
            datalist's own lists, or ``split.json`` in the folder.

    Raises:
        InputError: no split file, a damaged one, or a name in it that is not there.
        UnsuitableInputError: a patient in two splits.
    """
    root = Path(root)
    if root.is_file() and split_file is None:
        groups = _read_datalist(root)
    else:
        path = Path(split_file) if split_file else root / "split.json"
        by_name = {case.name: case for case in find_cases(root)}
        groups = {
            split: [_named(by_name, name, path) for name in names]
            for split, names in _read_split(path).items()
        }
    check_patients(groups)
    return groups


def check_patients(groups: dict[str, list[Case]]) -> None:
    """Raise UnsuitableInputError where a patient is in two splits."""
    seen: dict[str, str] = {}
    for split, cases in groups.items():
        for case in cases:
            if seen.setdefault(case.patient, split) != split:
                raise UnsuitableInputError(
                    f"patient {case.patient} is in the splits {seen[case.patient]} and {split};"
                    " expected each patient in one split; make the split again"
                )


def refuse_test_patients(chosen: Iterable[Case], test: Iterable[Case]) -> None:
    """Raise UnsuitableInputError where a case on which a threshold is to be chosen is of a patient
    of the test split.
    """
    patients = {case.patient for case in test}
    for case in chosen:
        if case.patient in patients:
            raise UnsuitableInputError(
                f"case {case.name}: its patient {case.patient} is in the test split; a threshold is"
                " never chosen on the test split; use validation cases"
            )


def make_split(
    cases: Sequence[Case], fractions: Iterable[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> dict[str, list[str]]:
    """Random split by patient.

    Args:
        cases: all cases.
        fractions: shares of train, val and test; they sum to 1.
        seed: the same seed gives the same split.

    Returns:
        Names of the cases of each split.
    """
    shares = np.asarray(list(fractions), dtype=float)
    if shares.shape != (3,) or shares.min() < 0 or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"expected three fractions that sum to 1, got {shares.tolist()}")
    patients = sorted({case.patient for case in cases})
    order = np.random.default_rng(seed).permutation(len(patients))
    ends = np.round(np.cumsum(shares) * len(patients)).astype(int)
    group_of = {
        patients[p]: SPLITS[int(np.searchsorted(ends, rank, side="right"))]
        for rank, p in enumerate(order)
    }
    return {
        split: [case.name for case in cases if group_of[case.patient] == split] for split in SPLITS
    }


def add_to_datalist(
    data: Path,
    output: Path,
    seed: int = 0,
    split: str | None = None,
    only: str | None = None,
    repeat: int = 1,
    append: bool = False,
) -> dict[str, int]:
    """Write the cases of a folder to a datalist, or add them to it.

    Args:
        data: see :func:`find_cases`.
        output: the datalist.
        seed: of the random split, where ``split`` is None.
        split: put all cases there.
        only: name of the only case that is taken.
        repeat: see :class:`Case`.
        append: keep what the datalist holds; a case of the same name is replaced.

    Returns:
        How many cases each split of the file now has.

    Raises:
        InputError: no case, or not the wanted one; a damaged datalist.
        UnsuitableInputError: a patient would be in two splits.
        OutputError: the file cannot be written.
    """
    cases = [replace(case, repeat=repeat) for case in find_cases(data) if only in (None, case.name)]
    if not cases:
        raise InputError(
            f"{data}: has no case {only}; found"
            f" {', '.join(case.name for case in find_cases(data))[:80]}; choose one of these"
        )
    chosen = (
        {name: [case.name for case in cases] if name == split else [] for name in SPLITS}
        if split
        else make_split(cases, seed=seed)
    )
    by_name = {case.name: case for case in cases}
    groups = {name: [by_name[case] for case in names] for name, names in chosen.items()}
    if append and output.is_file():
        groups = _added(split_cases(output), groups)
    check_patients(groups)
    everything = [case for group in groups.values() for case in group]
    write_datalist(
        everything, {name: [case.name for case in group] for name, group in groups.items()}, output
    )
    return {name: len(group) for name, group in groups.items()}


def _added(earlier: dict[str, list[Case]], new: dict[str, list[Case]]) -> dict[str, list[Case]]:
    """Both lists of cases by split; a new case takes the place of an earlier one of its name."""
    names = {case.name for group in new.values() for case in group}
    kept = {name: [case for case in earlier[name] if case.name not in names] for name in SPLITS}
    return {name: kept[name] + new[name] for name in SPLITS}


def write_datalist(cases: Sequence[Case], split: dict[str, list[str]], path: str | Path) -> None:
    """Write a MONAI/MSD datalist JSON with paths relative to its own folder.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    by_name = {case.name: case for case in cases}
    content: dict[str, Any] = {"description": "made by mmccd datalist"}
    for group, names in split.items():
        content[_DATALIST_KEYS[group]] = [
            _datalist_entry(by_name[name], path.parent) for name in names
        ]
    try:
        path.write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); choose another --output"
        ) from error


def _datalist_entry(case: Case, folder: Path) -> dict[str, Any]:
    files = {
        **case.images,
        **{key: file for key, file in (("label", case.label), ("brain", case.brain)) if file},
    }
    entry = {key: _relative(file, folder) for key, file in files.items()}
    return {
        "name": case.name,
        "patient": case.patient,
        **entry,
        **({"repeat": case.repeat} if case.repeat > 1 else {}),
    }


def _relative(file: Path, folder: Path) -> str:
    file, folder = file.resolve(), folder.resolve()
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def read_case(folder: Path) -> Case:
    """A folder as a case of BraTS layout: ``CASE/CASE_flair.nii.gz`` and so on; without images
    where it is none.
    """
    found: dict[str, Path] = {}
    for key, suffixes in SUFFIXES.items():
        names = [
            f"{folder.name}{suffix}{ending}"
            for suffix in suffixes
            for ending in (".nii.gz", ".nii")
        ]
        files = [folder / name for name in names if (folder / name).is_file()]
        if files:
            found[key] = files[0]
    label, brain = found.pop("label", None), found.pop("brain", None)
    return Case(folder.name, found, label, patient_of(folder.name), brain=brain)


def _read_json(path: Path, expected: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; expected {expected}; make one with 'mmccd datalist'"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({error}); expected {expected}"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected {expected}")
    return content


def _read_split(path: Path) -> dict[str, list[str]]:
    content = _read_json(path, 'a split {"train": [...], "val": [...], "test": [...]}')
    return {split: _list_of(path, content, split, str) for split in SPLITS}


def _list_of(path: Path, content: dict[str, Any], key: str, kind: type) -> list[Any]:
    """The list at a key of a JSON object, empty where there is none; all of its members are of one
    type.
    """
    value = content.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise InputError(
            f"{path}: {key!r} is not a list of {'names' if kind is str else 'objects'}; found"
            f" {str(value)[:60]}; make the file again"
        )
    return value


def _named(by_name: dict[str, Case], name: str, path: Path) -> Case:
    if name not in by_name:
        raise InputError(
            f"{path}: names the case {name}, which is not in the data folder; make the split again"
        )
    return by_name[name]


def _read_datalist(path: Path) -> dict[str, list[Case]]:
    content = _read_json(path, 'a datalist {"training": [{"flair": ..., "t1": ...}], ...}')
    return {
        split: [_datalist_case(path, item) for item in _list_of(path, content, key, dict)]
        for split, key in _DATALIST_KEYS.items()
    }


def _datalist_case(path: Path, item: dict[str, Any]) -> Case:
    wrong = [
        key
        for key in (*_MODALITIES, "label", "brain", "name", "patient")
        if not isinstance(item.get(key, ""), str)
    ]
    if wrong:
        raise InputError(
            f"{path}: {wrong[0]!r} of an entry is {item[wrong[0]]!r}, expected text; make the file"
            " again"
        )
    repeat = item.get("repeat", 1)
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
        raise InputError(
            f"{path}: 'repeat' of an entry is {repeat!r}, expected a whole number from 1 on; make"
            " the file again"
        )
    images = {key: path.parent / item[key] for key in _MODALITIES if key in item}
    if not images:
        raise InputError(
            f"{path}: an entry has none of the keys {_MODALITIES}, found {sorted(item)}"
        )
    first = next(iter(images.values()))
    name = item.get("name") or re.sub(
        r"(_flair|_t1|_t2|-t2f|-t1n|-t2w)?\.nii(\.gz)?$", "", first.name
    )
    label, brain = (path.parent / item[key] if key in item else None for key in ("label", "brain"))
    return Case(name, images, label, item.get("patient", patient_of(name)), repeat, brain)
