"""Errors in a bundle's config, before anything is built: names that nothing uses, and values that
cannot be.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monai.bundle import ReferenceResolver
from monai.bundle.properties import InferProperties, TrainProperties
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

from mmccd.core import UsageError

_SEPARATOR = ReferenceResolver.sep
_CODE = "usage.config"
_OWN = {
    "_meta_",
    "imports",
    "initialize",
    "run",
    "finalize",
    *(entry["id"] for entry in (TrainProperties | InferProperties).values()),
    *DEFAULT_MLFLOW_SETTINGS["configs"],
}
"""Names that MONAI itself reads."""


@dataclass(frozen=True)
class Kind:
    """What a setting may be.

    Attributes:
        fits: whether a value is one.
        expected: in words.
        is_optional: whether it may be left empty (null).
    """

    fits: Callable[[Any], bool]
    expected: str
    is_optional: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a setting may have that value; references and expressions are not looked at."""
        if isinstance(value, str) and value[:1] in ("$", "@", "%"):
            return True
        return (self.is_optional and value is None) or self.fits(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(lowest: int, is_optional: bool = False) -> Kind:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= lowest

    return Kind(fits, f"a whole number from {lowest} on", is_optional)


def _one_of(*names: str, is_optional: bool = False) -> Kind:
    return Kind(lambda value: value in names, f"one of {', '.join(names)}", is_optional)


_POSITIVE = Kind(lambda value: _is_number(value) and value > 0, "a number above 0")
_FROM_0 = Kind(lambda value: _is_number(value) and value >= 0, "a number from 0 on")
_SHARE = Kind(lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
_TEXT = Kind(lambda value: isinstance(value, str), "a text")
_SWITCH = Kind(lambda value: isinstance(value, bool), "True or False")
_CONTRASTS = ("flair", "t1", "t2")
KINDS: dict[str, Kind] = {
    "source": _one_of(*_CONTRASTS),
    "target": _one_of(*_CONTRASTS, is_optional=True),
    "normalisation": _one_of("paper", "code"),
    "precision": _one_of("auto", "fp32", "bf16"),
    "max_cases": _whole(1, is_optional=True),
    "max_heads": _whole(1, is_optional=True),
    "max_epochs": _whole(1),
    "max_minutes": Kind(_FROM_0.fits, _FROM_0.expected, is_optional=True),
    "val_interval": _whole(1),
    "batch_size": _whole(1),
    "scans_per_epoch": _whole(1),
    "val_scans": _whole(1),
    "slices_per_scan": _whole(1),
    "warmup_iterations": _whole(0),
    "seed": _whole(0),
    "learning_rate": _POSITIVE,
    "ema_momentum": _SHARE,
    "decay_share": _SHARE,
    "scan_share": _SHARE,
    "blind_share": _SHARE,
    "veil_sd": _FROM_0,
    "high_noise_bias": _FROM_0,
    "corruption": _SWITCH,
    "resume": _SWITCH,
    "resume_anyway": _SWITCH,
    "track": _one_of("none", "tensorboard", "mlflow", "both"),
    "progress": _SWITCH,
    "data": _TEXT,
    "licence": _TEXT,
}
"""Settings of the bundles, and what they may be."""


def check_config(config: Mapping[str, Any], files: str) -> None:
    """Refuse a config, overrides included, that says what cannot be meant.

    Args:
        config: as MONAI's ``ConfigParser`` holds it, relative names resolved.
        files: its files, for the message.

    Raises:
        UsageError: a name that nothing uses; a value of the wrong kind.
    """
    unused = next(_unused(config, _used_names(config)), None)
    if unused is not None:
        shown = unused.replace(_SEPARATOR, "#")
        raise UsageError(
            f"{files}: {shown}: nothing uses this setting{_suggestion(unused, config)}; expected a"
            " name of the config; correct it or leave it out",
            code=_CODE,
        )
    for name, kind in KINDS.items():
        if name in config and not kind.takes(config[name]):
            raise UsageError(
                f"{files}: {name}: found {config[name]!r}, expected {kind.expected}; correct it or"
                " leave it out",
                code=_CODE,
            )


def _used_names(config: Any) -> set[str]:
    """All names that a text in the config refers to."""
    if isinstance(config, str):
        return set(ReferenceResolver.match_refs_pattern(config))
    parts = config.values() if isinstance(config, Mapping) else config
    if not isinstance(config, Mapping | list):
        return set()
    return {name for part in parts for name in _used_names(part)}


def _unused(config: Mapping[str, Any], used: set[str], above: str = "") -> Iterator[str]:
    """Settings that are referred to neither themselves nor by a part of them. Components
    (``_target_``) and expressions are none, and may wait for an overlay.
    """
    for key, value in config.items():
        name = f"{above}{key}"
        if name in _OWN or name in used or _is_program(value):
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            continue
        parts = [other for other in used if other.startswith(name + _SEPARATOR)]
        if not parts:
            yield name
        elif isinstance(value, Mapping):
            yield from _unused(value, used, name + _SEPARATOR)


def _is_program(value: Any) -> bool:
    """Whether it is an expression, or a list of them, which a run may name (``--run_id``)."""
    lines = value if isinstance(value, list) and value else [value]
    return all(isinstance(line, str) and line.startswith("$") for line in lines)


def _suggestion(name: str, config: Mapping[str, Any]) -> str:
    """`` (did you mean max_epochs?)``, or nothing."""
    above, _, last = name.rpartition(_SEPARATOR)
    place: Any = config
    for key in above.split(_SEPARATOR) if above else []:
        place = place[key]
    close = difflib.get_close_matches(last, [str(key) for key in place if key != last], n=1)
    return f" (did you mean {close[0]}?)" if close else ""
