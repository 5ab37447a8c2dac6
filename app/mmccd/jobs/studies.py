"""Which DICOM files belong to one study: one patient, one visit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmccd.io import Origin

_HASH_DIGITS = 12
_SHORTEST_WORD = 3
_NO_NAMES = {
    "anonymous",
    "anonymized",
    "anonymised",
    "anon",
    "patient",
    "subject",
    "phantom",
    "test",
}


@dataclass(frozen=True)
class StudyFiles:
    """The files of one study.

    Attributes:
        name: see :func:`study_name`; ``-1``, ``-2`` behind it where several visits share a UID.
        files: in the order they were given.
    """

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _File:
    path: Path
    origin: Origin
    series: str
    is_image: bool


def study_name(uid: str) -> str:
    """The name of a DICOM study: ``study-`` and 12 digits of the SHA-256 of its StudyInstanceUID,
    so that a system that knows the UID finds it.
    """
    return f"study-{hashlib.sha256(uid.encode()).hexdigest()[:_HASH_DIGITS]}"


def sort_by_study(files: Iterable[Path]) -> tuple[list[StudyFiles], list[Path]]:
    """DICOM files by study, and those that have no StudyInstanceUID or cannot be read.

    Files of one UID are several studies where they are of several patients or visits. A series
    whose own files contradict each other is not torn apart: who reads it refuses it.
    """
    by_uid: dict[str, list[_File]] = {}
    lost = []
    for path in files:
        found = _look(path)
        if found is None:
            lost.append(path)
        else:
            by_uid.setdefault(found.origin.study, []).append(found)
    studies = [study for uid, group in by_uid.items() for study in _split(uid, group)]
    return studies, lost


def without_patient(name: str, path: Path) -> str:
    """A name for the results of a DICOM input: its own, or that of the study where it has a word of
    the patient's name. What stands in the header in the place of a name, because it was made
    anonymous (the patient's ID, words with digits), is none.

    Args:
        name: of the folder or file, after which results would be called.
        path: the folder or file; its first DICOM file speaks for it.
    """
    import pydicom

    from mmccd.io import READ_ERRORS, files_below, origin_of, quiet

    first = next((file for file in files_below(path) if _starts_like_dicom(file)), None)
    if first is None:
        return name
    try:
        with quiet():
            tags = ["PatientName", "PatientID", "StudyInstanceUID"]
            dataset = pydicom.dcmread(
                first, stop_before_pixels=True, force=True, specific_tags=list(tags)
            )
            said, origin = str(dataset.get("PatientName") or ""), origin_of(dataset)
    except READ_ERRORS:
        return name
    plain = name.casefold()
    words = {
        word
        for word in re.split(r"[\W_]+", said.casefold())
        if len(word) >= _SHORTEST_WORD and word.isalpha() and word not in _NO_NAMES
    }
    is_named = said.strip().casefold() != str(dataset.get("PatientID") or "").strip().casefold()
    return study_name(origin.study) if is_named and any(word in plain for word in words) else name


def visits_below(folder: Path) -> list[Origin]:
    """Where the DICOM images below a folder come from, by the first one of each folder in it."""
    from mmccd.io import files_below

    found: dict[Path, Origin] = {}
    for path in files_below(folder):
        if path.parent not in found and _starts_like_dicom(path):
            one = _look(path)
            if one is not None and one.is_image:
                found[path.parent] = one.origin
    return list(found.values())


def _split(uid: str, group: list[_File]) -> Iterator[StudyFiles]:
    from mmccd.io import by_visit, differing, joined

    series: dict[str, set[Origin]] = {}
    for one in group:
        if one.is_image:
            series.setdefault(one.series, set()).add(one.origin)
    torn = any(differing(origins) for origins in series.values())
    whose = {key: joined(origins) for key, origins in series.items()}
    visits = [] if torn else sorted(by_visit(whose.values()), key=min)
    if len(visits) <= 1:
        yield StudyFiles(study_name(uid), tuple(one.path for one in group))
        return
    for number, visit in enumerate(visits, 1):
        files = tuple(
            one.path
            for one in group
            if (
                whose[one.series] in visit
                if one.series in whose
                else visit is _visit_of(one.origin, visits)
            )
        )
        yield StudyFiles(f"{study_name(uid)}-{number}", files)


def _visit_of(origin: Origin, visits: list[frozenset[Origin]]) -> frozenset[Origin]:
    """The visit that what is no image belongs to: the first that it does not contradict."""
    from mmccd.io import differing

    return next((visit for visit in visits if not differing({origin, *visit})), visits[0])


def _look(path: Path) -> _File | None:
    import pydicom

    from mmccd.io import ORIGIN_KEYWORDS, READ_ERRORS, is_image_class, is_ours, origin_of, quiet

    wanted = [*ORIGIN_KEYWORDS, "SOPClassUID", "SeriesInstanceUID", "Rows", "Manufacturer"]
    try:
        with quiet():
            dataset = pydicom.dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=list(wanted)
            )
            origin = origin_of(dataset)
            sop_class = str(dataset.get("SOPClassUID") or "").strip()
            series = str(dataset.get("SeriesInstanceUID") or "").strip()
            has_matrix = bool(dataset.get("Rows"))
            is_image = is_image_class(sop_class, has_matrix) and not is_ours(dataset)
    except READ_ERRORS:
        return None
    return _File(path, origin, series, is_image) if origin.study else None


def _starts_like_dicom(path: Path) -> bool:
    from mmccd.io import looks_like_dicom

    try:
        return looks_like_dicom(path)
    except OSError:
        return False
