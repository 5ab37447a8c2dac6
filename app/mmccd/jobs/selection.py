"""Which series of a study is read, and whether it is small enough, before any voxel is decoded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mmccd.core import ResourceError, UnsuitableInputError

if TYPE_CHECKING:
    from mmccd.io import Series

_MOST_LISTED = 12


def select_series(path: Path, rule: str, max_voxels: int, visit: str = "auto") -> str | None:
    """The UID of the series of a DICOM study that a rule means; None for the rule ``auto``.

    Args:
        path: of the study.
        rule: see the setting ``series``.
        max_voxels: the largest volume that is taken; 0: any.
        visit: see the setting ``study``.

    Raises:
        UnsuitableInputError: no series fits, or several do.
        ResourceError: it is too large.
    """
    from mmccd.io import choose, one_visit, scan

    study = scan(path)
    if rule != "auto" and not rule.startswith("uid="):
        study = one_visit(study, path, visit)
    uid = series_by_rule(study.series, rule) if rule != "auto" else None
    series = choose(study, path, uid, visit).series
    check_size(len(series.frames) * series.first.rows * series.first.columns, max_voxels)
    return uid


def series_by_rule(series: list[Series], rule: str) -> str:
    """The UID of the one series that a rule means.

    Args:
        series: those of a study.
        rule: ``uid=UID``, ``number=N`` or ``description=REGULAR EXPRESSION`` (found anywhere in the
            description, capitals or not).

    Raises:
        UnsuitableInputError: no series, or several.
    """
    kind, _, wanted = rule.partition("=")
    if kind == "uid":
        found = [one for one in series if one.uid == wanted]
    elif kind == "number":
        found = [one for one in series if one.first.number == int(wanted)]
    else:
        found = [one for one in series if re.search(wanted, one.first.description, re.IGNORECASE)]
    if len(found) != 1:
        listing = ", ".join(one.label for one in series[:_MOST_LISTED]) or "none"
        raise UnsuitableInputError(
            f"the study has {len(found)} series that fit to the rule {kind}=...; found {listing};"
            " expected exactly one; change --series"
        )
    return found[0].uid


def check_size(voxels: int, largest: int) -> None:
    """Refuse a volume with more voxels than are allowed; 0 allows any number.

    Raises:
        ResourceError: it has more.
    """
    if 0 < largest < voxels:
        raise ResourceError(
            f"the volume has {voxels} voxels, expected at most {largest}; raise MMCCD_MAX_VOXELS if"
            " there is memory for it"
        )


def nifti_voxels(path: Path) -> int:
    """Number of voxels that a NIfTI header promises; 0 where it cannot be read, which the reader
    then says better.
    """
    import nibabel as nib

    count = 1
    try:
        for length in nib.load(path).shape:
            count *= int(length)
    except (nib.filebasedimages.ImageFileError, OSError, ValueError, EOFError):
        return 0
    return count
