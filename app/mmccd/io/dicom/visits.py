"""The studies that a folder holds, one patient and one visit each, and which of them is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mmccd.core import InputError, UnsuitableInputError
from mmccd.io.dicom.origin import Origin, by_visit, joined, patients
from mmccd.io.dicom.scan import Series, Study

AUTO = "auto"
_MAX_LISTED = 12
_MAX_NUMBERS = 8


@dataclass(frozen=True)
class Visit:
    """The series of one patient and one visit.

    Attributes:
        series: those that hold images.
        origin: what they have in common.
    """

    series: tuple[Series, ...]
    origin: Origin

    @property
    def date(self) -> str:
        """When its images were acquired, else of the study: YYYYMMDD, or ""."""
        return self.origin.acquired or self.origin.date

    @property
    def label(self) -> str:
        """Description, numbers of the series, date and UID, to print; nothing of the patient."""
        day = f"{self.date[:4]}-{self.date[4:6]}-{self.date[6:]}" if self.date else "no date"
        described = next((text for one in self.series if (text := one.first.study_description)), "")
        numbers = [
            "?" if one.first.number is None else str(one.first.number) for one in self.series
        ]
        more = ["..."] if len(numbers) > _MAX_NUMBERS else []
        named = f'"{described}", ' if described else ""
        shown = ", ".join([*numbers[:_MAX_NUMBERS], *more])
        return f"{named}series {shown} ({day}, {self.series[0].printable_study_uid})"


def visits(study: Study) -> list[Visit]:
    """The visits that a folder holds, newest first. Series without images belong to none."""
    series = [one for one in study.series if one.is_image]
    found = [
        Visit(tuple(one for one in series if one.origin in group), joined(group))
        for group in by_visit(one.origin for one in series)
    ]
    return sorted(found, key=lambda one: (one.date, one.origin), reverse=True)


def one_visit(study: Study, path: Path, rule: str = AUTO) -> Study:
    """What a folder holds of the one visit that is meant.

    Args:
        study: what the folder holds.
        path: the folder, for messages.
        rule: ``auto``, where there is one only; ``uid=StudyInstanceUID``; ``date=YYYYMMDD``.

    Raises:
        UnsuitableInputError: there are several, and the rule does not name one of them.
        InputError: none that the rule names.
    """
    there = visits(study)
    found = _meant(there, rule)
    if rule != AUTO and not found:
        raise InputError(
            f"{path}: has no study that --study names; found {_listing(there) or 'none'}; give the"
            " UID or the date of one of these",
            code="dicom.no_such_study",
        )
    if len(found) > 1:
        raise several_visits(path, found, rule != AUTO)
    if len(there) <= 1:
        return study
    return replace(study, series=list(found[0].series))


def several_visits(path: Path, found: list[Visit], was_asked: bool = False) -> UnsuitableInputError:
    """The error for a folder with several visits of which none can be preferred."""
    count = patients([one.origin for one in found])
    whose = f" of {count} patients" if count > 1 else ""
    what = "--study names" if was_asked else "holds"
    return UnsuitableInputError(
        f"{path}: {what} {len(found)} studies{whose}, newest first: {_listing(found)}; expected one"
        f" visit of one patient; {_way_out(found)}",
        "dicom.several_studies",
    )


def _way_out(found: list[Visit]) -> str:
    """By what one of several can be named."""
    ways = [
        way
        for way, values in (
            ("--study UID", [one.origin.study for one in found]),
            ("--study DATE", [one.date for one in found]),
        )
        if len(set(values)) == len(values) and all(values)
    ]
    apart = "give a folder that holds one alone"
    return f"choose one with {' or '.join(ways)}, or {apart}" if ways else apart


def _meant(there: list[Visit], rule: str) -> list[Visit]:
    kind, _, wanted = rule.partition("=")
    if kind == "uid":
        return [one for one in there if one.origin.study == wanted]
    if kind == "date":
        return [one for one in there if one.date == wanted] or [
            one for one in there if one.origin.date == wanted
        ]
    return there


def _listing(found: list[Visit]) -> str:
    more = len(found) - _MAX_LISTED
    return "; ".join(
        [one.label for one in found[:_MAX_LISTED]] + ([f"and {more} more"] if more > 0 else [])
    )
