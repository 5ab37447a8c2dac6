"""Values that the standard allows (PS3.5, 6.2), whatever the source's headers hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import DSfloat

from mmccd.io import READ_ERRORS

_TEXTS = {"LO": 64, "SH": 16, "ST": 1024, "LT": 10240, "UC": 2**32, "UT": 2**32}
"""Text: so many characters at most; what is longer is cut."""
_LINES = ("ST", "LT", "UT")
"""Text that may have several lines, and no several values."""
_NAME_GROUP, _NAME_PARTS = 64, 5
"""Characters of a component group of a person's name, and its components."""
_DS_LENGTH = 16
_PATTERNS = {
    "AE": re.compile(r"(?=.*[^ ])[ -\[\]-~]{1,16}"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]{1,16}"),
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "DT": re.compile(
        r"\d{4}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?)"
        r"?)?)?([+-](0\d|1[0-4])[0-5]\d)?"
    ),
    "IS": re.compile(r"[+-]?\d{1,10}"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}
"""What cannot be cut without meaning something else: it is valid or left out."""
_ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "PatientSexNeutered": ("ALTERED", "UNALTERED"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "LossyImageCompression": ("00", "01"),
}
_POSITIVE = ("PatientWeight", "PatientSize")
"""Where 0 means that nobody has measured it."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CONTROLS_BUT_LINES = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]+")


def conform(dataset: Dataset, kept_empty: Collection[str] = ()) -> set[str]:
    """Make all values of a dataset valid, in place.

    Decimal numbers get at most 16 characters, which rounds them to 1e-10 of their size or less.
    Texts that are too long are cut; control characters in them become blanks. Codes, dates, times,
    ages and numbers that are not valid are left out.

    Args:
        dataset: whose elements may be changed; sequences in it, too.
        kept_empty: keywords of what is emptied instead of left out.

    Returns:
        Keywords of the texts that were cut.
    """
    cut: set[str] = set()
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value:
                    cut |= conform(item)
                continue
            value = _valid(element, cut)
        except READ_ERRORS:  # it cannot even be read
            _leave_out(dataset, tag, kept_empty)
            continue
        if value is None:
            _leave_out(dataset, tag, kept_empty)
        elif value is not _SAME:
            kind = _kind(element)
            del dataset[tag]
            dataset.add_new(tag, kind, value)
    return cut


_SAME: Any = object()
"""The value stays."""


def is_valid(dataset: Dataset, keyword: str) -> bool:
    """Whether an element is there and has a value that its type allows, or none."""
    try:
        value = dataset[keyword].value
        kind = dictionary_VR(keyword)
        if value in (None, ""):
            return True
        return kind not in _PATTERNS or _is_allowed(str(value), kind, keyword)
    except READ_ERRORS:
        return False


def _leave_out(dataset: Dataset, tag: BaseTag, kept_empty: Collection[str]) -> None:
    del dataset[tag]
    keyword = keyword_for_tag(tag)
    if keyword in kept_empty:
        setattr(dataset, keyword, "")


def _kind(element: DataElement) -> str:
    """The value representation that the standard gives an element; a file may have another."""
    try:
        kind = dictionary_VR(element.tag)
    except KeyError:
        return str(element.VR)
    return str(element.VR) if " or " in kind else kind


def _valid(element: DataElement, cut: set[str]) -> Any:
    """A valid value; None where there is none; :data:`_SAME` where it is valid as it is."""
    kind, value = _kind(element), element.value
    fit = _FITTING.get(kind)
    if value is None or value == "":
        return _SAME if kind == element.VR else ""
    if fit is None:
        return _SAME if kind == element.VR else None
    several = isinstance(value, MultiValue | list | tuple)
    values = list(value) if several else [value]
    if kind in _TEXTS and kind not in _LINES and not several:
        values = str(value).split("\\")
    found = [fit(one, kind, element.keyword) for one in values]
    if any(one is None for one in found):
        return None
    before = [str(one) for one in values]
    after = [str(one) for one in found]
    if after == before and kind == element.VR:
        return _SAME
    if any(len(new) < len(_clean(old, kind)) for new, old in zip(after, before, strict=True)):
        cut.update([element.keyword] if kind in (*_TEXTS, "PN") else [])
    return found if several or len(found) > 1 else found[0]


def _text(value: Any, kind: str, keyword: str) -> str:
    return _clean(str(value), kind)[: _TEXTS[kind]].rstrip()


def _clean(text: str, kind: str) -> str:
    if kind not in (*_TEXTS, "PN"):
        return text
    controls = _CONTROLS_BUT_LINES if kind in _LINES else _CONTROLS
    return controls.sub(" ", text).rstrip()


def _name(value: Any, kind: str, keyword: str) -> str:
    groups = _clean(str(value), kind).split("=")[:3]
    return "=".join(_cut_group(group) for group in groups)


def _cut_group(group: str) -> str:
    parts = group.split("^")
    if len(parts) > _NAME_PARTS:
        parts = [*parts[: _NAME_PARTS - 1], " ".join(parts[_NAME_PARTS - 1 :])]
    whole = "^".join(parts)
    return whole if len(whole) <= _NAME_GROUP else whole[:_NAME_GROUP].rstrip(" ^")


def _decimal(value: Any, kind: str, keyword: str) -> Any:
    try:
        number = float(value)
    except READ_ERRORS:
        return None
    if not math.isfinite(number) or (number <= 0 and keyword in _POSITIVE):
        return None
    return value if len(str(value)) <= _DS_LENGTH else DSfloat(number, auto_format=True)


def _coded(value: Any, kind: str, keyword: str) -> str | None:
    text = str(value).strip(" \0")
    return text if _is_allowed(text, kind, keyword) else None


def _is_allowed(text: str, kind: str, keyword: str) -> bool:
    allowed: Iterable[str] = _ENUMERATED.get(keyword, (text,))
    return not text or (text in allowed and bool(_PATTERNS[kind].fullmatch(text)))


_FITTING: dict[str, Callable[[Any, str, str], Any]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_PATTERNS, _coded),
    "PN": _name,
    "DS": _decimal,
}
