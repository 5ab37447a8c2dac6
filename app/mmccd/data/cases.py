"""Datalists and folders of cases, and splits by patient."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmccd.core import InputError, UnsuitableInputError, write_text
from mmccd.data.layouts import Case, cases_in
from mmccd.data.patients import grouping, patient_by, patient_of

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
SPLIT_FILE = "split.json"
WAY_OUT = "; 'mmccd datalist --patient REGEX' says who is who where that is wrong"
_DATALIST_KEYS = {"train": "training", "val": "validation", "test": "test"}
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""How files of splits call them."""
_MODALITIES = ("flair", "t1", "t2")


def find_cases(root: str | Path) -> list[Case]:
    """All cases in a folder of BraTS layout or a BIDS data set, or in a datalist JSON, sorted by
    name.

    Args:
        root: a folder that holds one folder per case (``CASE/CASE_flair.nii.gz``, ``_t1``, ``_t2``,
            ``_seg``, ``_brain``, or ``CASE-t2f``, ``-t1n``, ``-t2w``, ``-seg``, ``-brain``;
            ``.nii`` or ``.nii.gz``, capitals or not), see :mod:`~mmccd.data.layouts`, or a JSON
            file with lists ``training``, ``validation`` and ``test`` of entries ``{"flair": file,
            ..., "label": file, "brain": file}``, paths relative to the JSON file.

    Raises:
        InputError: nothing there, or nothing that looks like a case; different cases of one name.
    """
    root = Path(root)
    if root.is_file():
        cases = [case for group in _read_datalist(root).values() for case in group]
    elif root.is_dir():
        cases = cases_in(root)
    else:
        raise InputError(
            f"{root}: no such file or folder; expected a data folder in BraTS layout or a datalist"
            " JSON"
        )
    if not cases:
        raise InputError(
            f"{root}: no case found; expected folders CASE/CASE_flair.nii.gz (BraTS), a BIDS data"
            " set or a datalist JSON"
        )
    _check_names(root, cases)
    return sorted(cases, key=lambda case: case.name)


def _check_names(root: Path, cases: Sequence[Case]) -> None:
    """Refuse two cases of one name: results, maps and splits know a case by its name."""
    by_name = {case.name: case for case in cases}
    twice = sum(by_name[case.name].images != case.images for case in cases)
    if twice:
        raise InputError(
            f"{root}: {twice} case{'s have' if twice > 1 else ' has'} the name of another one;"
            " expected a name for each; rename them"
        )


def split_cases(root: str | Path, split_file: str | Path | None = None) -> dict[str, list[Case]]:
    """Cases of each split.

    Args:
        root: see :func:`find_cases`.
        split_file: JSON ``{"train": [names], "val": [...], "test": [...]}`` or ``{name: split}``,
            of cases or of patients; where it is None the datalist's own lists, or ``split.json`` in
            the folder.

    Raises:
        InputError: no split file, a damaged one, or a name in it that is not there.
        UnsuitableInputError: a patient in two splits.
    """
    root = Path(root)
    if root.is_file() and split_file is None:
        groups = _read_datalist(root)
        _check_names(root, [case for group in groups.values() for case in group])
    else:
        path = Path(split_file) if split_file else root / SPLIT_FILE
        groups = _groups_of(path, find_cases(root))
    check_patients(groups)
    return groups


def _groups_of(path: Path, cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases in the order of a split file that names them or their patients."""
    known: dict[str, list[Case]] = {}
    for case in cases:
        known.setdefault(case.patient, []).append(case)
    known.update({case.name: [case] for case in cases if case.name != case.patient})
    return {
        split: list(
            {case.name: case for name in names for case in _named(known, name, path)}.values()
        )
        for split, names in _read_split(path).items()
    }


def check_patients(groups: dict[str, list[Case]]) -> None:
    """Raise UnsuitableInputError where a patient is in two splits."""
    seen: dict[str, str] = {}
    for split, cases in groups.items():
        for case in cases:
            if seen.setdefault(case.patient, split) != split:
                raise UnsuitableInputError(
                    f"patient {case.patient} is in the splits {seen[case.patient]} and {split};"
                    " expected each patient in one split; make the split again, or say in a"
                    " datalist who is who (mmccd datalist --patient)"
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
    patient: str | None = None,
) -> dict[str, int]:
    """Write the cases of a folder to a datalist, or add them to it.

    Args:
        data: see :func:`find_cases`. A ``split.json`` in the folder is obeyed where ``split`` is
            None.
        output: the datalist.
        seed: of the random split, where there is none.
        split: put all cases there.
        only: name of the only case that is taken.
        repeat: see :class:`Case`.
        append: keep what the datalist holds; a case of the same name is replaced.
        patient: regular expression that finds the patient in a case's name, see
            :func:`~mmccd.data.patients.patient_by`; None: see
            :func:`~mmccd.data.patients.patient_of`.

    Returns:
        How many cases each split of the file now has.

    Raises:
        InputError: no case, or not the wanted one; a damaged datalist or split.
        UnsuitableInputError: a patient would be in two splits.
        UsageError: ``patient`` finds none.
        OutputError: the file cannot be written.
    """
    cases = _with_patients(find_cases(data), patient, data.is_file())
    chosen = [replace(case, repeat=repeat) for case in cases if only in (None, case.name)]
    if not chosen:
        raise InputError(
            f"{data}: has no case {only}; found"
            f" {', '.join(case.name for case in cases)[:80]}; choose one of these"
        )
    groups = _split(data, cases, chosen, seed, split)
    if append and output.is_file():
        groups = _added(split_cases(output), groups)
    check_patients(groups)
    everything = [case for group in groups.values() for case in group]
    write_datalist(
        everything, {name: [case.name for case in group] for name, group in groups.items()}, output
    )
    return {name: len(group) for name, group in groups.items()}


def _with_patients(cases: Sequence[Case], pattern: str | None, from_datalist: bool) -> list[Case]:
    """The cases with the patients that a regular expression finds, and a word on how they were put
    together.
    """
    if pattern is not None:
        find = patient_by(pattern, [case.name for case in cases])
        cases = [replace(case, patient=find(case.name)) for case in cases]
    how = "their names and the datalist" if from_datalist else "their names"
    say_grouping(cases, *(("--patient", "") if pattern is not None else (how, WAY_OUT)))
    return list(cases)


def say_grouping(cases: Sequence[Case], how: str = "their names", way_out: str = WAY_OUT) -> None:
    """Log how cases were put together to patients: a warning where several are of one."""
    text, is_worth_it = grouping([case.patient for case in cases], how)
    logger.log(logging.WARNING if is_worth_it else logging.INFO, "%s", text + way_out)


def _split(
    data: Path, cases: Sequence[Case], chosen: Sequence[Case], seed: int, split: str | None
) -> dict[str, list[Case]]:
    """Where the chosen ones of all cases belong: all in one split, or as the folder says, or at
    random by patient.
    """
    if split is not None:
        return {name: list(chosen) if name == split else [] for name in SPLITS}
    path = data / SPLIT_FILE
    if not (data.is_dir() and path.is_file()):
        by_name = {case.name: case for case in chosen}
        names = make_split(chosen, seed=seed)
        return {name: [by_name[case] for case in names[name]] for name in SPLITS}
    wanted = {case.name: case for case in chosen}
    groups = {
        name: [wanted[case.name] for case in group if case.name in wanted]
        for name, group in _groups_of(path, cases).items()
    }
    left = len(wanted) - len({case.name for group in groups.values() for case in group})
    said = f"the splits are those of {path}" + (
        f"; {left} of {len(chosen)} cases stand in none and are left out" if left else ""
    )
    logger.log(logging.WARNING if left else logging.INFO, "%s", said)
    return groups


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
    write_text(path, json.dumps(content, indent=1) + "\n")


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
    """Names of each split, from lists of names, or from the split of each name."""
    expected = '{"train": [...], "val": [...], "test": [...]}'
    content = _read_json(path, f"a split {expected}")
    if content and all(isinstance(value, str) for value in content.values()):
        content = _by_split(path, content, expected)
    unknown = set(content) - {key for keys in _SPLIT_NAMES.values() for key in keys}
    if unknown and not set(content) - unknown:
        raise InputError(
            f"{path}: has none of the keys of a split; expected {expected}; make the file again"
        )
    return {
        split: [name for key in keys for name in _list_of(path, content, key, str)]
        for split, keys in _SPLIT_NAMES.items()
    }


def _by_split(path: Path, content: dict[str, Any], expected: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    split_of = {key: split for split, keys in _SPLIT_NAMES.items() for key in keys}
    for name, word in content.items():
        split = split_of.get(word.strip().lower())
        if split is None:
            raise InputError(
                f"{path}: puts a case into {word[:20]!r}; expected one of {', '.join(SPLITS)}, or"
                f" {expected}; make the file again"
            )
        found[split].append(name)
    return found


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


def _named(known: dict[str, list[Case]], name: str, path: Path) -> list[Case]:
    if name not in known:
        raise InputError(
            f"{path}: names the case {name}, which is not in the data folder; make the split again"
        )
    return known[name]


def _read_datalist(path: Path) -> dict[str, list[Case]]:
    content = _read_json(path, 'a datalist {"training": [{"flair": ..., "t1": ...}], ...}')
    items = {
        split: [(item, _datalist_case(path, item)) for item in _list_of(path, content, key, dict)]
        for split, key in _DATALIST_KEYS.items()
    }
    everything = [pair for group in items.values() for pair in group]
    by_name = {case.name: case for _, case in everything}
    twice = {case.name for _, case in everything if by_name[case.name].images != case.images}
    return {
        split: [
            case
            if item.get("name") or case.name not in twice
            else _named_by_folder(path, item, case)
            for item, case in group
        ]
        for split, group in items.items()
    }


def _named_by_folder(path: Path, item: dict[str, Any], case: Case) -> Case:
    """A case without a name of its own, whose first file is called as another one's."""
    folder = Path(_relative(next(iter(case.images.values())).parent, path.parent))
    name = "_".join((*(part for part in folder.parts if part != folder.anchor), case.name))
    return replace(case, name=name, patient=item.get("patient", patient_of(name)))


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
        r"([-_](flair|t2f|t1|t1n|t1w|t2|t2w))?\.nii(\.gz)?$",
        "",
        first.name,
        flags=re.IGNORECASE,
    )
    label, brain = (path.parent / item[key] if key in item else None for key in ("label", "brain"))
    return Case(name, images, label, item.get("patient", patient_of(name)), repeat, brain)
