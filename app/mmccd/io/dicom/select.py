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
from mmccd.io.dicom.checks import Refusal, volume_refusal
from mmccd.io.dicom.scan import AXIAL, Series, Study

logger = logging.getLogger(__name__)

INVERSION_MS = (1500.0, 3000.0)
"""Inversion times that null fluid: 1650 ms (3-D, 3 T) to 2800 ms (7 T); STIR has 150 to 250, a
T1-weighted inversion recovery 400 to 1200.
"""
MIN_REPETITION_MS, MIN_ECHO_MS = 4000.0, 60.0
MAX_ISOTROPIC_MM = 2.0
_MAX_LISTED = 12

FLAIR, UNKNOWN, OTHER = "flair", "unknown", "other"
_FLAIR_WORDS = re.compile(r"flair|dark[ _-]?fluid|da-fl|fluid[ _]attenuated")
_LOCALISER_WORDS = re.compile(r"locali[sz]er|scout|survey|aahead|3[ -]?pl\b|plan_loc")
_NEVER_WORDS = re.compile(
    r"(?<![a-z])(dir|dwi|dti|adc|diff\w*|trace\w*|asl|pcasl|perf\w*|pwi|dsc|bold|fmri|mra|mrv|tof|swi|swan|stir|spectro\w*)(?![a-z])"
)
_OTHER_WORDS = re.compile(
    r"t1|t2|(?<![a-z])(pd|mp-?rage|mp2rage|spgr|bravo|vibe|ciss|fiesta|gre|ffe|medic|hemo|epi)(?![a-z])|proton_density"
)
_DERIVED = {
    "DERIVED",
    "MPR",
    "MIP",
    "MINIP",
    "MNIP",
    "PROJECTION IMAGE",
    "REFORMATTED",
    "RESAMPLED",
    "SUBTRACTION",
}
_NOT_MAGNITUDE = {"P", "PHASE", "PHASE MAP", "I", "IMAGINARY"}


@dataclass(frozen=True)
class Contrast:
    """What the header says about the contrast: ``kind`` is ``"flair"``, ``"unknown"`` or
    ``"other"``; ``evidence`` counts what speaks for FLAIR.
    """

    kind: str
    reason: str
    evidence: int = 0


@dataclass(frozen=True)
class Choice:
    """The series to read, and what the user should know about the choice."""

    series: Series
    findings: tuple[Finding, ...]


def choose(study: Study, path: Path, uid: str | None = None) -> Choice:
    """The FLAIR series of a study.

    A series counts where it is one MR volume (:mod:`~mmccd.io.dicom.checks`), is not derived, and
    its name or its parameters say FLAIR. Of several the one with more evidence, axial or thin
    slices, and more of them is taken. A single series whose header says neither yes nor no is taken
    with a warning.

    Args:
        study: what the folder holds.
        path: the folder, for messages.
        uid: the series instance UID that the user asks for; it overrules the contrast, not the
            geometry.

    Raises:
        InputError: no DICOM there, damaged files, or the series that is asked for is not there.
        UnsuitableInputError: no series can be used.
    """
    _check_there(study, path)
    if uid is not None:
        return _asked_for(study, path, uid)
    refusals = {series.uid: series_refusal(series) for series in study.series}
    usable = [series for series in study.series if refusals[series.uid] is None]
    candidates = sorted(
        (series for series in usable if contrast(series).kind == FLAIR), key=_rank, reverse=True
    )
    if candidates:
        return Choice(candidates[0], _others(candidates))
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


def contrast(series: Series) -> Contrast:
    """What description, protocol and sequence parameters say about the contrast."""
    first = series.first
    words, inversion = first.wording, first.inversion_time
    named = bool(_FLAIR_WORDS.search(words))
    nulled = inversion is not None and INVERSION_MS[0] <= inversion <= INVERSION_MS[1]
    if unwanted := _NEVER_WORDS.search(words):
        return Contrast(OTHER, f"named {unwanted.group(0)}")
    if inversion is not None and not nulled:
        return Contrast(
            OTHER,
            f"inversion time {inversion:g} ms, expected {INVERSION_MS[0]:g} to"
            f" {INVERSION_MS[1]:g} ms",
        )
    if named and "t1" in words and "t2" not in words:
        return Contrast(OTHER, "named T1 FLAIR")
    long_times = _long_times(first.repetition_time, first.echo_time)
    if named or (nulled and long_times):
        return Contrast(FLAIR, "", named + bool(nulled and long_times))
    if other := _OTHER_WORDS.search(words):
        return Contrast(OTHER, f"named {other.group(0)}")
    if long_times is False:
        return Contrast(
            OTHER,
            f"TR {first.repetition_time or 0:g} ms and TE {first.echo_time or 0:g} ms, expected at"
            f" least {MIN_REPETITION_MS:g} and {MIN_ECHO_MS:g} ms",
        )
    return Contrast(UNKNOWN, "no name and no inversion time in the header")


def _long_times(repetition: float | None, echo: float | None) -> bool | None:
    """Whether TR and TE are those of a FLAIR; None where one is not known and the other one
    fits.
    """
    if (repetition is not None and repetition < MIN_REPETITION_MS) or (
        echo is not None and echo < MIN_ECHO_MS
    ):
        return False
    return None if repetition is None or echo is None else True


def _check_there(study: Study, path: Path) -> None:
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


def _asked_for(study: Study, path: Path, uid: str) -> Choice:
    series = next((series for series in study.series if series.uid == uid), None)
    if series is None:
        raise InputError(
            f"{path}: has no series with the UID given by --series; found {_listing(study)}; give"
            " one of these",
            code="dicom.no_such_series",
        )
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
    if "LOCALIZER" in image_type or _LOCALISER_WORDS.search(series.first.wording):
        return Refusal("dicom.localiser", "a localiser, expected a whole volume")
    derived = [value for value in image_type if value in _DERIVED]
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


def _rank(series: Series) -> tuple[int, bool, bool, int, int]:
    """Larger is better: evidence, axial or thin slices, axial, number of slices; then the earlier
    number.
    """
    axial = series.plane == AXIAL
    positions = np.array([frame.position for frame in series.frames])
    step = float(np.linalg.norm(np.ptp(positions, axis=0))) / (len(positions) - 1)
    return (
        contrast(series).evidence,
        axial or step <= MAX_ISOTROPIC_MM,
        axial,
        len(positions),
        -(series.first.number or 0),
    )


def _others(candidates: list[Series]) -> tuple[Finding, ...]:
    if len(candidates) == 1:
        return ()
    for series in candidates:
        logger.info("%s has the UID %s", series.label, series.printable_uid)
    others = ", ".join(
        f"{series.label} ({series.plane}, {len(series.frames)} slices)" for series in candidates[1:]
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
    return kind(
        f"{path}: no series can be used; found {_listing(study, refusals)}; expected one FLAIR"
        " volume; give another folder, or choose a series with --series UID",
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
