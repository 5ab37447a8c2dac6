"""Which series of a study is the FLAIR volume: by what the headers say, before any pixel is
read.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmccd.core import Finding, InputError, MmccdError, UnsuitableInputError
from mmccd.io.dicom.checks import Refusal, origin_refusal, volume_refusal
from mmccd.io.dicom.contrast import FLAIR, OTHER, agent, contrast, naming
from mmccd.io.dicom.parts import part_refusals
from mmccd.io.dicom.scan import AXIAL, Series, Study
from mmccd.io.dicom.visits import AUTO, one_visit, several_visits, visits

logger = logging.getLogger(__name__)

MAX_ISOTROPIC_MM = 2.0
_MAX_LISTED = 12

_UID = re.compile(r"[0-9.]{1,64}")
_LOCALISER_WORDS = re.compile(r"locali[sz]er|scout|survey|aahead|3[ -]?pl\b|plan_loc")
_NOT_CORRECTED = re.compile(r"_nd(?![a-z])")
_DERIVED = {"DERIVED", "MPR", "REFORMATTED", "RESAMPLED"}
_NEVER_DERIVED = {"MIP", "MINIP", "MNIP", "PROJECTION IMAGE", "SUBTRACTION", "SUB"}
_REFORMATTED = re.compile(r"(?<![a-z])(mpr|mpvr|reform\w*|refmt\w*|resampl\w*|rekonst\w*)(?![a-z])")
_EXPORT_AGAIN = {"dicom.scattered_series", "dicom.split_series", "dicom.missing_attribute"}
_INCOMPLETE = ("dicom.gaps", "slices.few")
_NOT_MAGNITUDE = {"P", "PHASE", "PHASE MAP", "I", "IMAGINARY"}


@dataclass(frozen=True)
class Choice:
    """The series to read, and what the user should know about the choice."""

    series: Series
    findings: tuple[Finding, ...]


def choose(study: Study, path: Path, uid: str | None = None, visit: str = AUTO) -> Choice:
    """The FLAIR series of a study.

    A series counts where it is one MR volume (:mod:`~mmccd.io.dicom.checks`), is not derived, and
    its name or its parameters say FLAIR. Of several the one without contrast agent, with more
    evidence, not called a reformat, axial or thin slices, corrected brightness, and more slices is
    taken. Where all are derived, the best of them is taken with a warning, and so is a single
    series whose header says neither yes nor no.

    Args:
        study: what the folder holds.
        path: the folder, for messages.
        uid: the series instance UID that the user asks for; it overrules the contrast, not the
            geometry.
        visit: which study, where the folder holds several: see
            :func:`~mmccd.io.dicom.visits.one_visit`.

    Raises:
        InputError: no DICOM there, damaged files, or the series that is asked for is not there.
        UnsuitableInputError: no series can be used, or the folder holds several patients or visits.
    """
    _check_there(study, path)
    if uid is not None:
        return _asked_for(study, path, uid, visit)
    _check_origins(study, path)
    study = one_visit(study, path, visit)
    refusals = {series.uid: series_refusal(series) for series in study.series}
    refusals |= part_refusals(
        [one for one in study.series if _may_be_a_part(one, refusals[one.uid])]
    )
    usable = [series for series in study.series if refusals[series.uid] is None]
    candidates = sorted(
        (series for series in usable if contrast(series).kind == FLAIR), key=_rank, reverse=True
    )
    if candidates:
        return Choice(candidates[0], _others(candidates))
    derived = sorted(filter(_is_derived_flair, study.series), key=_rank, reverse=True)
    if derived:
        text = (
            f"{derived[0].label} is derived ({', '.join(derived[0].first.image_type[:4])}), and no"
            " original series looks like FLAIR; it was taken"
        )
        return Choice(derived[0], (Finding("dicom.derived", text), *_others(derived)))
    if len(usable) == 1:
        text = (
            f"the header does not say whether this is FLAIR ({contrast(usable[0]).reason}); it was"
            " taken because no other series can be used"
        )
        return Choice(usable[0], (Finding("dicom.contrast_not_said", text),))
    for series in usable:
        refusals[series.uid] = Refusal(
            "dicom.contrast_not_said", f"may be FLAIR or not ({contrast(series).reason})"
        )
    raise _none(study, path, {key: refusal for key, refusal in refusals.items() if refusal})


def series_refusal(series: Series) -> Refusal | None:
    """Why a series is not taken without being asked for; None where it can be."""
    return volume_refusal(series) or _derived(series) or _other_contrast(series)


def is_readable(series: Series) -> bool:
    """Whether a series is one volume that can be read, FLAIR or not, where it is asked for."""
    return bool(_UID.fullmatch(series.uid)) and volume_refusal(series) is None


def series_doubt(series: Series) -> str:
    """Why a series that can be read is not taken without being asked for; "" where it can be."""
    doubt = _derived(series) or _other_contrast(series)
    return doubt.reason if doubt else ""


def _may_be_a_part(series: Series, refusal: Refusal | None) -> bool:
    """Whether a series is a volume that may be FLAIR, or would be one with more slices."""
    return refusal is None or (
        refusal.code in _INCOMPLETE and not (_derived(series) or _other_contrast(series))
    )


def _is_derived_flair(series: Series) -> bool:
    """Whether nothing but being derived speaks against a series."""
    refusal = volume_refusal(series) or _derived(series)
    return (
        refusal is not None
        and refusal.code == "dicom.derived"
        and not _NEVER_DERIVED & set(series.first.image_type)
        and contrast(series).kind == FLAIR
    )


def _check_origins(study: Study, path: Path) -> None:
    """Refuse a folder in which nobody can say whose slices a series has."""
    nameless = sum(len(one.instances) for one in study.series if not one.uid)
    if nameless:
        raise UnsuitableInputError(
            f"{path}: {nameless} DICOM image(s) in it have no SeriesInstanceUID; expected one in"
            " each, because a slice may be missing; export them again, or remove them if they"
            " belong to something else",
            "dicom.missing_attribute",
        )
    for series in study.series:
        refusal = origin_refusal(series) if series.is_image and series.uids == 1 else None
        if refusal:
            raise UnsuitableInputError(
                f"{path}: {series.label} has {refusal.reason}; export the series again",
                refusal.code,
            )


def _check_there(study: Study, path: Path) -> None:
    if study.absent:
        raise InputError(
            f"{path}: {study.absent} link(s) or placeholder(s) in it stand for files that are not"
            " there; expected the files, because a slice may be missing; fetch or copy them, or"
            " remove the links",
            code="input.absent",
        )
    if study.damaged:
        raise InputError(
            f"{path}: {study.damaged} DICOM file(s) in it are damaged or cut off; expected whole"
            " files, because a slice may be missing; copy them again, or remove them if they"
            " belong to something else",
            code="input.damaged",
        )
    if study.series:
        return
    if study.listed:
        raise InputError(
            f"{path}: the DICOMDIR lists {study.listed} files that are not there; expected them"
            " beside it; copy the whole folder",
            code="dicom.files_missing",
        )
    if study.nifti:
        raise InputError(
            f"{path}: holds {study.nifti} NIfTI file(s) and no DICOM; expected a DICOM study; give"
            " one NIfTI file, or run the bundle's configs/cycle.json for a whole data folder",
            code="dicom.none",
        )
    raise InputError(
        f"{path}: holds no DICOM file; expected a NIfTI file or a folder with a DICOM study; check"
        " the path",
        code="dicom.none",
    )


def _asked_for(study: Study, path: Path, uid: str, visit: str) -> Choice:
    if visit != AUTO:
        study = one_visit(study, path, visit)
    found = [one for one in study.series if any(file.series_uid == uid for file in one.instances)]
    if len(found) > 1:
        held = [one for one in visits(study) if any(part in one.series for part in found)]
        raise several_visits(path, held)
    if not found:
        raise InputError(
            f"{path}: has no series with the UID given by --series; found {_listing(study)}; give"
            " one of these",
            code="dicom.no_such_series",
        )
    (series,) = found
    refusal = volume_refusal(series)
    if refusal:
        raise _error(refusal)(
            f"{path}: {series.label} cannot be used: {refusal.reason}; give another series or the"
            " complete one",
            refusal.code,
        )
    doubt = _derived(series) or _other_contrast(series)
    if doubt is None:
        return Choice(series, ())
    text = f"{series.label} was asked for with --series, though: {doubt.reason}"
    return Choice(series, (Finding("dicom.doubtful_series", text),))


def _derived(series: Series) -> Refusal | None:
    image_type = series.first.image_type
    if "LOCALIZER" in image_type or _LOCALISER_WORDS.search(naming(series.first)):
        return Refusal("dicom.localiser", "a localiser, expected a whole volume")
    derived = [value for value in image_type if value in _DERIVED | _NEVER_DERIVED]
    if derived:
        return Refusal(
            "dicom.derived", f"a derived image ({', '.join(derived)}), expected the original one"
        )
    if len(image_type) > 2 and image_type[2] in _NOT_MAGNITUDE:
        return Refusal("dicom.not_magnitude", "a phase or imaginary image, expected the magnitude")
    return None


def _other_contrast(series: Series) -> Refusal | None:
    found = contrast(series)
    return (
        Refusal("dicom.not_flair", f"not FLAIR ({found.reason})") if found.kind == OTHER else None
    )


def _rank(series: Series) -> tuple[int, ...]:
    """Larger is better: no contrast agent, evidence, not called a reformat, axial or thin slices,
    axial, corrected distortion and brightness, number of slices; then the earlier number.
    """
    axial = series.plane == AXIAL
    positions = np.array([frame.position for frame in series.frames])
    step = float(np.linalg.norm(np.ptp(positions, axis=0))) / (len(positions) - 1)
    return (
        -agent(series),
        contrast(series).evidence,
        not _REFORMATTED.search(series.first.wording),
        axial or step <= MAX_ISOTROPIC_MM,
        axial,
        not _NOT_CORRECTED.search(series.first.wording),
        "NORM" in series.first.image_type,
        len(positions),
        -(series.first.number or 0),
    )


def _others(candidates: list[Series]) -> tuple[Finding, ...]:
    if len(candidates) == 1:
        return ()
    for series in candidates:
        logger.info("%s has the UID %s", series.label, series.printable_uid)
    others = ", ".join(
        f"{series.label} ({series.plane}, {len(series.frames)} slices"
        f"{', contrast agent' if agent(series) else ''})"
        for series in candidates[1:]
    )
    text = (
        f"{len(candidates)} series look like FLAIR; {candidates[0].label} was taken, not {others};"
        " --series UID takes another one"
    )
    return (Finding("dicom.several_series", text),)


def _none(study: Study, path: Path, refusals: dict[str, Refusal]) -> MmccdError:
    every_one_damaged = all(refusal.damaged for refusal in refusals.values())
    kind: type[MmccdError] = InputError if every_one_damaged else UnsuitableInputError
    codes = {refusal.code for refusal in refusals.values()}
    again = codes <= _EXPORT_AGAIN
    way_out = "export it again" if again else "give another folder, or choose with --series UID"
    return kind(
        f"{path}: no series can be used; found {_listing(study, refusals)}; expected one FLAIR"
        f" volume; {way_out}",
        codes.pop() if len(codes) == 1 else "dicom.no_series",
    )


def _listing(study: Study, refusals: dict[str, Refusal] | None = None) -> str:
    def entry(series: Series) -> str:
        refusal = f": {refusals[series.uid].reason}" if refusals and series.uid in refusals else ""
        return f"{series.label} (UID {series.printable_uid}){refusal}"

    more = len(study.series) - _MAX_LISTED
    return "; ".join(
        [*map(entry, study.series[:_MAX_LISTED]), *([f"and {more} more"] if more > 0 else [])]
    )


def _error(refusal: Refusal) -> type[MmccdError]:
    return InputError if refusal.damaged else UnsuitableInputError
