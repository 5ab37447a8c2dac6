"""Where an image comes from: which study, whose, and when. Compared, and never printed."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields

from pydicom.dataset import Dataset

from mmccd.io.dicom.elements import text_of, values_of

_PATIENT = ("name", "number", "birth")
ORIGIN_KEYWORDS = (
    "ImageType",
    "StudyDate",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyInstanceUID",
)
"""What :func:`origin_of` reads."""
_NIGHT = datetime.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Origin:
    """Study, patient and dates of an image; "" where its header does not say.

    Attributes:
        study: StudyInstanceUID.
        name: the patient's, in small letters and without marks between its parts.
        number: the patient's ID, without padding.
        birth: the patient's date of birth, YYYYMMDD.
        date: of the study, YYYYMMDD.
        acquired: date on which the image was acquired, YYYYMMDD; "" of a derived image.
    """

    study: str = field(repr=False)
    name: str = field(default="", repr=False)
    number: str = field(default="", repr=False)
    birth: str = field(default="", repr=False)
    date: str = field(default="", repr=False)
    acquired: str = field(default="", repr=False)


def origin_of(dataset: Dataset) -> Origin:
    """That of a header, made comparable: capitals, padding and empty parts of a name do not
    count.
    """
    derived = "DERIVED" in (str(value).upper() for value in values_of(dataset, "ImageType"))
    acquired = _date(dataset, "AcquisitionDate") or _date(dataset, "AcquisitionDateTime")
    return Origin(
        study=text_of(dataset, "StudyInstanceUID"),
        name=_name(text_of(dataset, "PatientName")),
        number=_number(text_of(dataset, "PatientID")),
        birth=_date(dataset, "PatientBirthDate"),
        date=_date(dataset, "StudyDate"),
        acquired="" if derived else acquired,
    )


def differing(origins: Collection[Origin]) -> tuple[str, ...]:
    """In which attributes origins contradict each other. What a header does not say contradicts
    nothing, and an examination may go on after midnight.
    """
    found = {
        one.name: {value for origin in origins if (value := getattr(origin, one.name))}
        for one in fields(Origin)
    }
    return tuple(
        name
        for name, values in found.items()
        if len(values) > 1 and not (name in ("date", "acquired") and _one_night(values))
    )


def by_visit(origins: Iterable[Origin]) -> list[frozenset[Origin]]:
    """Origins that belong together: one patient, one visit. A study UID that was given to several
    visits or patients does not make them one.
    """
    every = set(origins)
    if not differing(every):
        return [frozenset(every)] if every else []
    studies: dict[str, set[Origin]] = {}
    for origin in every:
        studies.setdefault(origin.study, set()).add(origin)
    found: dict[tuple[str, ...], set[Origin]] = {}
    for uid, group in studies.items():
        names = differing(group)
        for origin in group:
            key = (uid, *(getattr(origin, name) for name in names))
            found.setdefault(key, set()).add(origin)
    return [frozenset(group) for group in found.values()]


def joined(origins: Iterable[Origin]) -> Origin:
    """One for origins that do not contradict each other: what any of them says, of two dates the
    first.
    """
    every = list(origins)
    said = {
        one.name: {value for origin in every if (value := getattr(origin, one.name))}
        for one in fields(Origin)
    }
    return Origin(**{name: min(values, default="") for name, values in said.items()})


def patients(origins: Collection[Origin]) -> int:
    """How many patients there are at least."""
    return _most(origins, set(_PATIENT) & set(differing(origins)))


def studies(origins: Collection[Origin]) -> int:
    """How many studies there are at least, whoever's they are."""
    return _most(origins, set(differing(origins)) - set(_PATIENT))


def _most(origins: Collection[Origin], names: Iterable[str]) -> int:
    values = ({getattr(origin, name) for origin in origins} - {""} for name in names)
    return max(map(len, values), default=1)


def _one_night(dates: set[str]) -> bool:
    first, last = (datetime.datetime.strptime(day, "%Y%m%d") for day in (min(dates), max(dates)))
    return last - first <= _NIGHT


def _name(text: str) -> str:
    # The same name may follow in other scripts, behind "=".
    first = next((group for group in text.split("=") if group.strip(" ^")), "")
    plain = unicodedata.normalize("NFKC", first).casefold()
    return " ".join(re.split(r"[\W_]+", plain)).strip()


def _number(text: str) -> str:
    plain = re.sub(r"[\s\0]+", "", text).casefold()
    return plain.lstrip("0") or "0" if plain.isdigit() else plain


def _date(dataset: Dataset, keyword: str) -> str:
    digits = re.sub(r"\D", "", text_of(dataset, keyword)[:10])[:8]
    try:
        datetime.datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return ""
    return digits
