"""Which data sets there are, and which cases choose thresholds for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmccd.core import InputError, UnsuitableInputError, UsageError
from mmccd.data import Case, find_cases, read_case, split_cases

DATALIST, SPLIT = "datalist.json", "split.json"


@dataclass(frozen=True)
class DataSet:
    """Cases that are reported together.

    Attributes:
        name: for tables and folders.
        cases: all that it holds, whatever split they are in.
    """

    name: str
    cases: tuple[Case, ...]


def find_sets(words: Sequence[str]) -> list[DataSet]:
    """The data sets at some places.

    Args:
        words: each a data folder, a datalist, or a folder of data sets: of its folders those that
            hold cases or a ``datalist.json``, by name.

    Raises:
        InputError: nothing there, or no case.
        UsageError: no place, or two data sets of one name.
    """
    found = [DataSet(_name(path), tuple(find_cases(path))) for path in _places(words)]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found or twice:
        said = f"two data sets are called {twice[0]}" if twice else "no data set is named"
        raise UsageError(
            f"--sets: {said}; expected data folders or datalists of different names, joined by"
            " commas"
        )
    return found


def find_validation(word: str, reported: Sequence[DataSet]) -> DataSet:
    """The cases that choose thresholds: the validation split where the place has splits, else all.

    Args:
        word: a data folder or a datalist.
        reported: the data sets whose patients must not be among them.

    Raises:
        InputError: nothing there, or no case.
        UnsuitableInputError: no validation case, or a patient of a reported data set.
    """
    path = _own_place(Path(word)) or Path(word)
    has_splits = path.is_file() or (path / SPLIT).is_file()
    cases = split_cases(path)["val"] if has_splits else find_cases(path)
    if not cases:
        raise UnsuitableInputError(
            f"--validation {path}: its validation split is empty; expected cases to choose"
            " thresholds on; name another data set"
        )
    _refuse_reported(cases, reported)
    return DataSet(_name(path), tuple(cases))


def _refuse_reported(cases: Sequence[Case], reported: Sequence[DataSet]) -> None:
    set_of = {case.patient: one.name for one in reported for case in one.cases}
    for case in cases:
        if case.patient in set_of:
            raise UnsuitableInputError(
                f"--validation: case {case.name} is of patient {case.patient}, who is reported in"
                f" {set_of[case.patient]}; expected other patients: thresholds are never chosen on"
                " what is reported; name another data set"
            )


def _places(words: Sequence[str]) -> list[Path]:
    return [place for word in words for place in _data_sets_at(Path(word))]


def _data_sets_at(path: Path) -> list[Path]:
    """The path itself, or what a folder of data sets holds."""
    if not path.is_dir():
        return [path]
    own = _own_place(path)
    if own is not None:
        return [own]
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    inside = [place for folder in folders if (place := _own_place(folder)) is not None]
    if not inside:
        raise InputError(
            f"{path}: no data set found; expected folders CASE/CASE_flair.nii.gz (BraTS), a"
            f" {DATALIST}, or folders that hold either"
        )
    return inside


def _own_place(folder: Path) -> Path | None:
    """Where the cases of a folder are named: the folder itself, or its datalist; None where it has
    none.
    """
    if not folder.is_dir():
        return None
    if _holds_cases(folder):
        return folder
    return folder / DATALIST if (folder / DATALIST).is_file() else None


def _holds_cases(folder: Path) -> bool:
    return any(read_case(inside).images for inside in folder.iterdir() if inside.is_dir())


def _name(path: Path) -> str:
    """Of the folder, or of the datalist; that of its folder where it is called as all are."""
    path = path.resolve()
    if path.is_dir():
        return path.name
    return path.parent.name if path.name == DATALIST else path.stem
