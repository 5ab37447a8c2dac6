"""Whose examination a case is, by its name: visits of one patient belong into one split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from mmccd.core import UsageError

_SEPARATOR = r"[-_. ]"
_YEAR = r"(?:19|20)\d\d"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_FULL_DATE = rf"(?:{_YEAR}[-_.]?{_MONTH}[-_.]?{_DAY}|{_DAY}[-_.]{_DAY}[-_.]{_YEAR})(?!\d)"
_PART_OF_A_DATE = rf"(?:{_YEAR}[-_.]?{_MONTH}|\d\d{_MONTH}{_DAY}|{_YEAR})(?!\d)"
_SURE_WORD = r"(?:sess?|session|visit|vis|tp|time[-_ ]?point|follow[-_ ]?up|fu)"
_WORD = rf"(?:{_SURE_WORD}|time|scan|exam|week|wk|month|mon|day|year|yr|mri?|run|rep)"
_STAGE = (
    r"(?:baseline|bl|follow[-_ ]?up|fu|screening|initial|pre[-_]?(?:op|surgery|treatment)?"
    r"|post[-_]?(?:op|surgery|treatment)?)"
)
_SURE = rf"(?:{_SURE_WORD}[-_ ]?\d{{1,2}}|{_STAGE})"
_LIKELY = (
    rf"(?:{_WORD}[-_ ]?\d+(?:[-_]\d{{1,2}})?[a-z]?|(?:ses|session|visit)[-_][a-z0-9]+|{_STAGE}|mri?"
    rf"|{_PART_OF_A_DATE})"
)
_PATIENT, _MORE = rf"(.*[a-z0-9]){_SEPARATOR}", rf"(?:{_SEPARATOR}.*)?"
_OWN = re.compile(
    r"BraTS\d{2,4}_(?:[A-Za-z]+_)?\d+|phantom_builtin_\d+|\d{3}-\d{2}-\d{4}", re.IGNORECASE
)
"""Names whose last number is the patient's, although another number stands before it: BraTS 2020
and 2021, phantoms, REMBRANDT.
"""
_ARCHIVES = tuple(
    re.compile(text)
    for text in (
        r"(sub-[A-Za-z0-9]+)(?:_.*)?",
        r"(TCGA[-_][A-Z0-9]{2}[-_][A-Z0-9]{4})(?:[-_. ].*)?",
        r"(?:.*_)?(\d{3}_S_\d{4,5})(?:[-_. ].*)?",
        r"(OAS(?:[34]\d{4}|[12]_\d{4}))(?:[-_. ].*)?",
        r"(PPMI_\d+)(?:_.*)?",
        r"(\d{7})_\d{5}_\d_\d",
        r"(B[Rr][Aa][Tt][Ss]1\d_.+)_\d",
        r"(phantom_.+)_\d+",
    )
)
"""Archives that say by their names who the patient is: BIDS, TCGA, ADNI, OASIS, PPMI, UK Biobank,
BraTS until 2019; phantoms of one label map.
"""
_SAID = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        rf"{_PATIENT}{_SURE}",
        rf"{_PATIENT}{_FULL_DATE}(?:[-_T. ]\d{{4,6}})?{_MORE}",
        rf"(?:{_SURE}|{_FULL_DATE}){_SEPARATOR}(.*[a-z0-9].*)",
    )
)
"""The patient, then a visit or its date; or the other way round."""
_LIKELY_SAID = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        rf"{_PATIENT}{_SURE}{_MORE}",
        rf"{_PATIENT}{_LIKELY}",
        rf"{_PATIENT}(?!{_YEAR}){_LIKELY}{_MORE}",
        rf"{_PATIENT}[dmtvwy]\d{{1,4}}",
    )
)
"""The same where a number stands in the patient's part: ``control_scan_001`` is no visit."""
_NUMBERS = re.compile(rf"(.*?(\d+)){_SEPARATOR}[se]?(\d{{1,3}})", re.IGNORECASE)
_LETTER = re.compile(rf"(.*\d){_SEPARATOR}?[a-f]", re.IGNORECASE)
_MONTH_NAME = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zä]*"
_AGAIN = (
    r"(?:re[-_]?(?:scan|test|peat|p)\d*|rpt\d*|test|copy|acq[-_]?\d+|\d{1,2}(?:st|nd|rd|th)|first|second"
    r"|third|fourth|last|i{1,3}|iv|v"
    r"|\d{1,3}[-_ ]?(?:days?|d|weeks?|wks?|w|months?|mon|mo|m|years?|yrs?|yr|y)"
    rf"|(?:\d{{1,2}})?{_MONTH_NAME}{_YEAR})"
)
"""What people write behind a patient's number for another visit of it, or for the time since the
first one.
"""
_ONCE_MORE = (
    re.compile(rf"(.*\d[a-z]?){_SEPARATOR}{_AGAIN}", re.IGNORECASE),
    re.compile(r"(.*\d) ?\(\d{1,2}\)"),
    re.compile(r"(.*\d\d)(?:[mtvy]|tp)\d{1,2}", re.IGNORECASE),
    re.compile(rf"(.*\d){_SEPARATOR}(?:flair|t2f)", re.IGNORECASE),
    re.compile(rf"(.*\d{_SEPARATOR}(?:flair|t2f)){_SEPARATOR}\d", re.IGNORECASE),
)
_UID = re.compile(r"\d+(?:\.\d+){3,}")
_MOST_PARTS = 5


def patient_of(name: str) -> str:
    """The patient of a case name: the name without its visit.

    A visit is what archives (BIDS, TCGA, ADNI, OASIS, PPMI) write behind the patient, a word
    (``ses-1``, ``Timepoint_1``, ``baseline``, ``T2``, ``d0129``), a date, a letter behind the
    patient's number (``P01a``), or a second number that has no more digits than the first
    (``BraTS-GLI-00002-001``, ``UCSD-PTGBM-0001_01``). ``BraTS20_Training_001`` and
    ``BraTS2021_00003`` are one visit each. Phantoms of one label map are one patient; each of the
    built-in anatomy is its own.
    """
    if _OWN.fullmatch(name) or _UID.fullmatch(name):
        return name
    for pattern in _ARCHIVES:
        found = pattern.fullmatch(name)
        if found:
            return found[1]
    for _ in range(_MOST_PARTS):
        shorter = _without_visit(name)
        if shorter == name:
            break
        name = shorter
    return name


def visit_of(name: str) -> str:
    """Which of its patient's visits a case is: of BIDS the session, else what :func:`patient_of`
    leaves of the name; empty where there is nothing.
    """
    if name.startswith("sub-"):
        found = re.search(r"_ses-([A-Za-z0-9]+)", name)
        return found[1] if found else ""
    return name.replace(patient_of(name), "", 1).strip("-_. ")


def is_visit_alone(name: str) -> bool:
    """Whether a folder's name says which visit it is and not of whom (``ses-1``, ``20210301``)."""
    alone = rf"{_SURE}|{_LIKELY}|{_FULL_DATE}|[dmtvwy]?\d{{1,2}}"
    return re.fullmatch(alone, name, re.IGNORECASE) is not None


def _without_visit(name: str) -> str:
    for pattern in _SAID:
        found = pattern.fullmatch(name)
        if found:
            return found[1]
    for pattern in _LIKELY_SAID:
        found = pattern.fullmatch(name)
        if found and _has_number(found[1]):
            return found[1]
    found = _NUMBERS.fullmatch(name)
    if found and len(found[3]) <= len(found[2]) and not re.fullmatch(_YEAR, found[2]):
        return found[1]
    for pattern in (*_ONCE_MORE, _LETTER):
        found = pattern.fullmatch(name)
        if found:
            return found[1]
    return name


def _has_number(text: str) -> bool:
    """Whether it holds a number other than a year."""
    return re.search(r"\d", re.sub(rf"(?<!\d){_YEAR}(?!\d)", "", text)) is not None


def patient_by(pattern: str, names: Iterable[str]) -> Callable[[str], str]:
    """What a regular expression finds in a case name: its first group, or all that it fits.

    Args:
        pattern: regular expression; it may fit anywhere in the name.
        names: of the cases, in all of which it must be found.

    Raises:
        UsageError: no regular expression, or not found in every name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--patient {pattern!r}: is not a regular expression ({error}); expected one that finds"
            " the patient in a case's name, such as '^[^_]+'"
        ) from error

    def find(name: str) -> str:
        found = compiled.search(name)
        return ((found[1] if compiled.groups else found[0]) or "") if found else ""

    names = list(names)
    without = sum(not find(name) for name in names)
    if without:
        raise UsageError(
            f"--patient {pattern!r}: finds no patient in {without} of {len(names)} case names;"
            " expected one in each, such as by '^[^_]+'"
        )
    return find


def grouping(patients: Sequence[str], how: str) -> tuple[str, bool]:
    """How cases were put together, for people.

    Args:
        patients: of each case.
        how: by what, such as ``their names``.

    Returns:
        A sentence without any name, and whether it is worth a warning: some are of one patient.
    """
    count, cases = len(set(patients)), len(patients)
    if count == cases:
        return f"{cases} cases of {cases} patients by {how}: each is a patient of its own", False
    return f"{cases} cases are visits of {_plural(count, 'patient')} by {how}", True


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
