"""Which series of a study are fetched, by what the archive tells of them: those that settings ask
for, and of these the ones that may be a FLAIR. Where what the archive tells leaves a doubt, a
series is fetched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

from mmccd.apps.pacs.archive import ArchivedSeries
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import UnsuitableInputError
from mmccd.io import never_flair
from mmccd.outputs import MANUFACTURER

MR, SR = "MR", "SR"
_ELSEWHERE = re.compile(
    r"\W*(abdomen|ankle|aorta|arm|bladder|breast|calf|cardiac|chest|elbow|femur|finger|foot|forearm"
    r"|hand|heart|hip|kidney|knee|leg|liver|lower *leg|lower *limb|(c|t|l|ls|ss)[ -]?spine|spine"
    r"|pancreas|pelvis|prostate|rectum|scrotum|shoulder|thigh|thorax|uterus|upper *limb|wrist)\W*",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"flair|dark[ _-]?fl|fluid|head|brain|skull|neuro|crani|cereb|hirn|kopf|sch[aä]del|t[eê]te"
)
_DIGITS = 12


def images(series: Sequence[ArchivedSeries], settings: PacsSettings) -> list[ArchivedSeries]:
    """The series of a study that are fetched.

    Args:
        series: all of the study.
        settings: with what is asked for.

    Raises:
        UnsuitableInputError: none is.
    """
    found = [one for one in series if one.modality == MR and one.manufacturer != MANUFACTURER]
    asked = [one for one in found if _is_asked_for(one, settings)]
    if found and not asked:
        raise UnsuitableInputError(
            f"none of its {len(found)} MR series is asked for; nothing was fetched; see"
            f" {', '.join(settings.variable(name) for name in _FILTERS)}",
            code="series.not_asked_for",
        )
    if settings.fetch == "all":
        return asked
    candidates = [] if _is_elsewhere(asked) else [one for one in asked if not _is_another(one)]
    if asked and not candidates:
        raise UnsuitableInputError(
            f"none of its {len(asked)} MR series can be a FLAIR of a brain, by what the archive"
            f" tells of them; nothing was fetched; {settings.variable('fetch')}=all fetches them",
            code="series.no_candidate",
        )
    return candidates


def has_results(series: Sequence[ArchivedSeries], wanted: Collection[str]) -> bool:
    """Whether a study has series of ours of all modalities that are wanted."""
    return {one.modality for one in series if one.manufacturer == MANUFACTURER} >= {*wanted}


def superseded(series: Sequence[ArchivedSeries], wanted: Collection[str]) -> list[ArchivedSeries]:
    """Our reports in a study that has results: predecessors of the next one. A report alone is
    what is left of results that were not stored as a whole, and no predecessor.
    """
    if not has_results(series, wanted):
        return []
    return [one for one in series if one.manufacturer == MANUFACTURER and one.modality == SR]


def hashed(uid: str) -> str:
    """A series' UID as it may stand in a file that names nobody."""
    return hashlib.sha256(uid.encode()).hexdigest()[:_DIGITS]


def counts(series: Sequence[ArchivedSeries]) -> dict[str, int]:
    """The number of objects of each series, by the hash of its UID."""
    return {hashed(one.uid): one.instances for one in series}


def has_grown(before: dict[str, int], now: dict[str, int]) -> bool:
    """Whether there is a series, or an object of one, that was not there before."""
    return any(name not in before or count > before[name] for name, count in now.items())


_FILTERS = ("body_part", "description", "institution")


def _is_asked_for(one: ArchivedSeries, settings: PacsSettings) -> bool:
    return all(
        re.search(getattr(settings, name), getattr(one, name), re.IGNORECASE)
        for name in _FILTERS
        if getattr(settings, name)
    )


def _is_another(one: ArchivedSeries) -> bool:
    """Whether its description alone says that it is no FLAIR."""
    return never_flair(one.description)


def _is_elsewhere(series: Sequence[ArchivedSeries]) -> bool:
    """Whether every series names another part of the body, and none says otherwise."""
    return bool(series) and all(
        _ELSEWHERE.fullmatch(one.body_part) and not _HEAD.search(one.description.lower())
        for one in series
    )
