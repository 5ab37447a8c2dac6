"""``mmccd datalist``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say
from mmccd.apps.parser import Only
from mmccd.core import Setting, UsageError

SHARED = Only("seed")
Data = Annotated[str, Setting("folder with one folder per case, or another datalist", is_path=True)]
Output = Annotated[str | None, Setting("JSON file to write", is_path=True)]
Split = Annotated[str | None, Setting("put all cases into one split", "mmccd.data:SPLITS")]
One = Annotated[str | None, Setting("just the case of this name")]
Repeat = Annotated[int, Setting("how often a case's slices count in an epoch of training")]
Patient = Annotated[
    str | None,
    Setting("regular expression that finds the patient in a case's name (default: as names tell)"),
]
Append = Annotated[bool, Setting("keep what the file lists already")]


def datalist(
    data: Data,
    settings: Annotated[core.Settings, SHARED],
    output: Output = None,
    split: Split = None,
    only: One = None,
    repeat: Repeat = 1,
    append: Append = False,
    patient: Patient = None,
) -> None:
    """Write a datalist of the cases of a folder: split by patient (60/20/20 %; the same seed gives
    the same split) or as a split.json in the folder says, or all in one split; new, or added to one
    that is there.

    Examples:
        mmccd datalist brats_folder --output datalist.json
        mmccd datalist folder --output datalist.json --patient '^[^_]+'
        mmccd datalist more --output datalist.json --split train --only CASE_7 --append
    """
    if output is None:
        raise UsageError("datalist: --output is missing; give the JSON file to write")
    if repeat < 1:
        raise UsageError(f"datalist: --repeat {repeat}: expected a whole number from 1 on")
    from mmccd.data import add_to_datalist

    counts = add_to_datalist(
        Path(data), Path(output), settings.seed, split, only, repeat, append, patient
    )
    say(f"{', '.join(f'{name} {count}' for name, count in counts.items())} cases; {output}")
