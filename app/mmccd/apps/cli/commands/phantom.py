"""``mmccd phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say
from mmccd.apps.parser import Only
from mmccd.core import Setting, UsageError, open_console

SHARED = Only("seed")
Output = Annotated[str, Setting("folder to make, or one with phantoms to add to", is_path=True)]
Subjects = Annotated[int, Setting("how many; the seeds count up from that of the first")]
Anatomy = Annotated[
    str,
    Setting(
        "builtin, a label map (NIfTI with FreeSurfer labels), or a folder of label maps, each for"
        " as many subjects",
        is_path=True,
    ),
]
Split = Annotated[
    str | None,
    Setting(
        "only label maps of that split (builtin: all subjects go there); default: all",
        "mmccd.data:SPLITS",
    ),
]
Lesions = Annotated[str, Setting("kind of the lesions", "mmccd.phantom:LESIONS")]
Head = Annotated[bool, Setting("keep skull and scalp (label maps only)")]
SliceMm = Annotated[float | None, Setting("slice thickness (default: random, 1 to 6)", unit="mm")]
PixelMm = Annotated[
    float | None, Setting("pixel size in a slice (default: random, 0.9 to 1.4)", unit="mm")
]


def phantom(
    output: Output,
    settings: Annotated[core.Settings, SHARED],
    subjects: Subjects = 1,
    anatomy: Anatomy = "builtin",
    split: Split = None,
    lesions: Lesions = "none",
    head: Head = False,
    slice_mm: SliceMm = None,
    pixel_mm: PixelMm = None,
) -> None:
    """Write phantoms (FLAIR, T1w, T2w, lesion mask) in BraTS layout with a datalist, which also
    names those that are there already.

    Examples:
        mmccd phantom phantoms --subjects 4
        mmccd phantom phantoms --subjects 16 --anatomy labels --split train --lesions mixed --head
    """
    _check(subjects, slice_mm, pixel_mm)
    from mmccd.phantom import write_phantoms

    with open_console("phantoms") as console:
        path = write_phantoms(
            Path(output),
            subjects,
            settings.seed,
            anatomy,
            split,
            lesions,
            head,
            slice_mm,
            pixel_mm,
            console.progress,
        )
    say(f"{subjects} phantoms, listed in {path}")


def _check(subjects: int, slice_mm: float | None, pixel_mm: float | None) -> None:
    if subjects < 1:
        raise UsageError(f"phantom: --subjects {subjects}: expected a whole number from 1 on")
    for flag, value, low, high in (
        ("--slice-mm", slice_mm, 0.5, 15),
        ("--pixel-mm", pixel_mm, 0.5, 4),
    ):
        if value is not None and not low <= value <= high:
            raise UsageError(f"phantom: {flag} {value}: expected {low} to {high}")
