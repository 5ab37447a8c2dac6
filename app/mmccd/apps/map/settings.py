"""The application's settings: defaults, then ``app.yaml``, then environment variables.
docs/deployment.md has the table.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from mmccd.core import UsageError, first_line

PREFIX = "MMCCD_"
SECTION = "mmccd"
NOT_OURS = ("MMCCD_DATA", "MMCCD_CALIBRATIONS")
"""Variables with our prefix that are no settings: of the tests, and the folder of calibrations."""
SERIES_RULES = re.compile(r"auto|uid=[0-9.]{1,64}|number=\d{1,9}|description=.+")


@dataclass(frozen=True)
class Settings:
    """What an engineer may set.

    Attributes:
        preset: full, balanced or fast.
        target: contrast that is imagined, t2 or t1; empty: t2 where its weights are there.
        threshold: instead of the calibrated one; None for that.
        series: which DICOM series: ``auto``, ``uid=UID``, ``number=N`` or ``description=REGULAR
            EXPRESSION``.
        device: auto, cpu, cuda, cuda:N, several CUDA devices (cuda:0,cuda:1), cuda:all, or mps.
        seed: seed of the noise.
        extractor: what finds the brain in a head, mmccd or hd-bet.
        bias_correction: whether the brain's brightness is evened out before the cycle.
        unchecked: whether to go on, with a warning, where the checks refuse the input.
        force: whether results of an earlier run are replaced.
        timeout_s: seconds for one study, models' loading included; 0: no limit.
        max_voxels: the largest volume that is taken.
        log_format: text or json.
        log_level: debug, info, warning or error.
    """

    preset: str = "balanced"
    target: str = ""
    threshold: float | None = None
    series: str = "auto"
    device: str = "auto"
    seed: int = 0
    extractor: str = "mmccd"
    bias_correction: bool = False
    unchecked: bool = False
    force: bool = False
    timeout_s: float = 3600.0
    max_voxels: int = 512**3
    log_format: str = "text"
    log_level: str = "info"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def read_settings(config: Path | None, environment: Mapping[str, str]) -> Settings:
    """Settings from the application's configuration and from environment variables, which win.

    Args:
        config: ``app.yaml``, whose section ``mmccd`` is read; None for none.
        environment: variables such as ``MMCCD_PRESET``.

    Raises:
        UsageError: the file cannot be read; a setting that is unknown or has a value that it cannot
            have.
    """
    values: dict[str, Any] = {}
    for name, value in _section(config).items():
        shown = f"{config}: {name}"
        known = _known(str(name), shown)
        values[known] = _checked(known, value, shown)
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and variable not in NOT_OURS and text != "":
            name = _known(variable.removeprefix(PREFIX).lower(), variable)
            values[name] = _checked(name, text, variable)
    return Settings(**values)


def _section(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        content = yaml.safe_load(config.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"{config}: cannot be read as YAML ({first_line(error)}); expected the application's"
            " settings"
        ) from error
    section = content.get(SECTION) if isinstance(content, dict) else None
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise UsageError(
            f"{config}: {SECTION} is a {type(section).__name__}; expected settings by name"
        )
    return section


def _known(name: str, shown: str) -> str:
    known = [field.name for field in fields(Settings)]
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"{shown}: unknown setting{hint}; expected one of {', '.join(known)}")


def _checked(name: str, value: Any, shown: str) -> Any:
    """A value of the right type and range; None and "" stand for the default."""
    if value is None or value == "":
        return getattr(Settings, name)
    try:
        return _READERS[name](value)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{shown}: {value!r} cannot be used; expected {error}") from error


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = str(value).lower()
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _number(expected: str, kind: type, low: float, high: float) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            number = kind(str(value))
        except ValueError:
            raise ValueError(expected) from None
        if isinstance(value, bool) or not math.isfinite(number) or not low <= number <= high:
            raise ValueError(expected)
        return number

    return read


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "1", "yes", "false", "0", "no"):
        raise ValueError("true or false")
    return text in ("true", "1", "yes")


def _series(value: Any) -> str:
    text = str(value)
    if not SERIES_RULES.fullmatch(text):
        raise ValueError("auto, uid=UID, number=N or description=REGULAR EXPRESSION")
    kind, _, pattern = text.partition("=")
    if kind == "description":
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"a regular expression behind description= ({error})") from error
    return text


def _device(value: Any) -> str:
    text = str(value).lower()
    if not re.fullmatch(r"auto|cpu|mps|cuda(:all|:\d+(,cuda:\d+)*)?", text):
        raise ValueError("auto, cpu, cuda, cuda:N, cuda:0,cuda:1, cuda:all or mps")
    return text


_READERS: dict[str, Callable[[Any], Any]] = {
    "preset": _one_of("full", "balanced", "fast"),
    "target": _one_of("t2", "t1"),
    "threshold": _number("a finite number", float, -math.inf, math.inf),
    "series": _series,
    "device": _device,
    "seed": _number("a whole number from 0 to 2^64 - 1", int, 0, 2**64 - 1),
    "extractor": _one_of("mmccd", "hd-bet"),
    "bias_correction": _boolean,
    "unchecked": _boolean,
    "force": _boolean,
    "timeout_s": _number("seconds, 0 (no limit) to 1000000", float, 0, 1e6),
    "max_voxels": _number("a whole number of voxels from 1 on", int, 1, 2**63),
    "log_format": _one_of("text", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
}
