"""What headers say about the contrast of a series: FLAIR or not, and whether a contrast agent was
given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmccd.io.dicom.header import Instance
from mmccd.io.dicom.scan import Series

INVERSION_MS = (1500.0, 3000.0)
"""Inversion times that null fluid: 1650 ms (3-D, 3 T) to 2800 ms (7 T); STIR has 150 to 250, a
T1-weighted inversion recovery 400 to 1200.
"""
MIN_REPETITION_MS, MIN_ECHO_MS = 4000.0, 60.0

FLAIR, UNKNOWN, OTHER = "flair", "unknown", "other"
_FLAIR_WORDS = re.compile(r"flair|dark[ _-]?fluid|da-fl|fluid[ _]attenuated")
_NEVER_WORDS = re.compile(
    r"(?<![a-z])(dir|dwi|dti|adc|diff\w*|trace\w*|asl|pcasl|perf\w*|pwi|dsc|bold|fmri|mra|mrv|tof|swi|swan|stir|spectro\w*|mip|minip|subtr\w*)(?![a-z])"
)
_OTHER_WORDS = re.compile(
    r"t1|t2|(?<![a-z])(pd|mp-?rage|mp2rage|spgr|bravo|vibe|ciss|fiesta|gre|ffe|medic|hemo|epi)(?![a-z])|proton_density"
)
_T1_WORDS = re.compile(r"t1(?!\d)|(?<![a-z])(mp-?rage|mp2rage|spgr|bravo|vibe)(?![a-z])")
_DOUBTFUL_WORDS = re.compile(r"t2|(?<![a-z])(ti?r|tirm|ir)(?![a-z])")
_EXAMINATION = ("ge medical", "ge healthcare", "general electric")
_AGENT = r"(gd|gad\w*|km|kontrast\w*|contrast\w*|inj\w*)"
_WITHOUT = r"(w/?o|without|non?|ohne|sans|sin|before|vor)"
_AGENT_WORDS = re.compile(
    rf"(?<![a-z])({_AGENT}|post|enhanced|ce|c/c|c\+)(?![a-z])|\+ ?(c|k|{_AGENT})(?![a-z])"
)
_NO_AGENT_WORDS = re.compile(
    rf"(?<![a-z])(pre|nativ\w*|plain|unenhanced|s/c|{_WITHOUT}[ _-]*({_AGENT}|c))(?![a-z])"
)


@dataclass(frozen=True)
class Contrast:
    """What the header says about the contrast: ``kind`` is ``"flair"``, ``"unknown"`` or
    ``"other"``; ``evidence`` counts what speaks for FLAIR.
    """

    kind: str
    reason: str
    evidence: int = 0


def contrast(series: Series) -> Contrast:
    """What description, protocol and sequence parameters say about the contrast."""
    first = series.first
    words, inversion = naming(first), first.inversion_time
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


def never_flair(description: str) -> bool:
    """Whether a series' description alone says that it is no FLAIR, whatever its parameters: a word
    that always excludes, or T1 and nothing that leaves a doubt. A description of T2 does leave one:
    its inversion time may say FLAIR.
    """
    words = description.lower()
    if _NEVER_WORDS.search(words):
        return True
    doubtful = _FLAIR_WORDS.search(words) or _DOUBTFUL_WORDS.search(words)
    return bool(_T1_WORDS.search(words)) and not doubtful


def naming(instance: Instance) -> str:
    """The words that name what a series is, in small letters.

    Those of the series itself come first. The protocol's name counts where they name no contrast;
    not with makers for whom it is that of the whole examination, and not where it names FLAIR and
    another contrast at once, as only a whole examination can.
    """
    own, protocol = instance.wording, instance.protocol
    if any(pattern.search(own) for pattern in (_FLAIR_WORDS, _NEVER_WORDS, _OTHER_WORDS)):
        return own
    if instance.maker.startswith(_EXAMINATION):
        return own
    if _FLAIR_WORDS.search(protocol) and _NEVER_WORDS.search(protocol):
        return own
    return f"{own} {protocol}".strip()


def agent(series: Series) -> int:
    """How much says that a contrast agent was given: 2 the description of the series, 1 an
    attribute, which some scanners fill for a whole examination; 0 nothing.
    """
    words = series.first.wording
    if _NO_AGENT_WORDS.search(words):
        return 0
    return 2 if _AGENT_WORDS.search(words) else int(series.first.agent)


def _long_times(repetition: float | None, echo: float | None) -> bool | None:
    """Whether TR and TE are those of a FLAIR; None where one is not known and the other one
    fits.
    """
    if (repetition is not None and repetition < MIN_REPETITION_MS) or (
        echo is not None and echo < MIN_ECHO_MS
    ):
        return False
    return None if repetition is None or echo is None else True
