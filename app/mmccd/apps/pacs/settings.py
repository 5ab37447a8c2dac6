"""Words and variables of the service. docs/deployment.md has the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmccd.core import UsageError

PREFIX = "MMCCD_PACS_"

USAGE = """usage: python -m mmccd.apps.pacs --url URL --state DIR [--once] [--retry] [SETTINGS]

Fetches MR studies from an archive over DICOMweb, runs the application on each,
and stores the results in the same study.
Research use only. Not a medical device. Not for diagnosis.

  --url URL         root of the archive's DICOMweb service, such as https://pacs.example/dicom-web
  --state DIR       folder for status.json, which remembers what was done
  --user NAME       the password comes from MMCCD_PACS_PASSWORD_FILE or MMCCD_PACS_PASSWORD
  --ca-file FILE    certificates (PEM) that the archive's must be signed by
  --poll-s SECONDS  between two looks at the archive (30)
  --settle-s SECONDS  a study is complete when its number of objects stays the same so long (60)
  --days DAYS       only studies of the last so many days; 0 for all (7)
  --attempts N      a study that fails so often is given up until it changes (3)
  --retry-s SECONDS  before the second attempt; doubles with each one (300)
  --max-mib MIB     the largest study that is fetched (4096)
  --once            look once, do what is due, and end
  --retry           try studies again that were given up
  -h, --help

Each may be given as a variable instead: MMCCD_PACS_URL, MMCCD_PACS_STATE, ...
The application's own variables (MMCCD_PRESET, ...) are passed on to it.
Exit codes and more: docs/deployment.md"""

_TEXTS = ("url", "state", "user", "ca_file")
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "poll_s": (float, 1, 86_400),
    "settle_s": (float, 0, 86_400),
    "days": (int, 0, 36_500),
    "attempts": (int, 1, 100),
    "retry_s": (float, 0, 86_400),
    "max_mib": (int, 1, 1_000_000),
}
_SWITCHES = ("once", "retry")
_SECRETS = ("password", "password_file")
VARIABLES = tuple(PREFIX + name.upper() for name in (*_TEXTS, *_NUMBERS, *_SECRETS))
"""All environment variables of the service."""


@dataclass(frozen=True)
class PacsSettings:
    """What an engineer may set.

    Attributes:
        url: root of the DICOMweb service, without a slash at the end.
        state: folder of the file that remembers what was done.
        user: for HTTP basic authentication; empty for none.
        password: belongs to it.
        ca_file: certificates to check the archive's against; empty for those of the system.
        poll_s: seconds between two looks at the archive.
        settle_s: seconds for which a study's number of objects must not have changed.
        days: age of the oldest study date that is asked for; 0 for all.
        attempts: how often a study may fail.
        retry_s: seconds before the second attempt.
        max_mib: the largest study that is fetched, in MiB.
        once: whether to look only once.
        retry: whether studies that were given up are tried again.
    """

    url: str
    state: Path
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    poll_s: float = 30.0
    settle_s: float = 60.0
    days: int = 7
    attempts: int = 3
    retry_s: float = 300.0
    max_mib: int = 4096
    once: bool = False
    retry: bool = False


def read_pacs_settings(words: list[str], environment: Mapping[str, str]) -> PacsSettings:
    """Settings from the command line and, where it has none, from variables.

    Args:
        words: behind the program's name.
        environment: with the MMCCD_PACS_* variables; empty ones count as not given.

    Raises:
        UsageError: an unknown word or variable, a value that cannot be used, or no URL or state
            folder.
    """
    unknown = [name for name in environment if name.startswith(PREFIX) and name not in VARIABLES]
    if unknown:
        raise UsageError(f"{unknown[0]}: unknown setting; expected one of {', '.join(VARIABLES)}")
    given = _given(words)
    switches: dict[str, Any] = {name: name in given for name in _SWITCHES}
    texts = {
        name: given.get(name) or environment.get(PREFIX + name.upper(), "")
        for name in (*_TEXTS, *_NUMBERS)
    }
    numbers: dict[str, Any] = {name: _number(name, texts[name]) for name in _NUMBERS if texts[name]}
    if not texts["state"]:
        raise UsageError(
            "no state folder; give --state DIR or set MMCCD_PACS_STATE: without it studies would be"
            " done twice"
        )
    password = _password(environment)
    if bool(texts["user"]) != bool(password):
        raise UsageError(
            "user and password belong together; set MMCCD_PACS_USER and MMCCD_PACS_PASSWORD_FILE"
            " (or MMCCD_PACS_PASSWORD), or none"
        )
    if texts["ca_file"] and not Path(texts["ca_file"]).is_file():
        raise UsageError(
            f"{texts['ca_file']}: no such file; expected certificates in PEM format; correct"
            " MMCCD_PACS_CA_FILE"
        )
    return PacsSettings(
        url=_url(texts["url"]),
        state=Path(texts["state"]),
        user=texts["user"],
        password=password,
        ca_file=texts["ca_file"],
        **numbers,
        **switches,
    )


def _given(words: list[str]) -> dict[str, str]:
    """The values of flags by their names; switches have the value "yes"."""
    given: dict[str, str] = {}
    queue = list(words)
    while queue:
        flag, equals, value = queue.pop(0).partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in (*_TEXTS, *_NUMBERS, *_SWITCHES):
            raise UsageError(
                f"{flag}: unknown; expected --url URL --state DIR and settings; see --help"
            )
        if name in given:
            raise UsageError(f"{flag}: is given twice")
        if name in _SWITCHES:
            if equals:
                raise UsageError(f"{flag}: takes no value")
            value = "yes"
        elif not equals and queue and not queue[0].startswith("--"):
            value = queue.pop(0)
        if not value:
            raise UsageError(f"{flag}: needs a value behind it")
        given[name] = value
    return given


def _number(name: str, text: str) -> float | int:
    kind, low, high = _NUMBERS[name]
    try:
        number: float | int = kind(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        whole = "a whole number" if kind is int else "a number"
        raise UsageError(
            f"{PREFIX}{name.upper()}: {text!r} cannot be used; expected {whole} from {low:g} to"
            f" {high:g}"
        )
    return number


def _password(environment: Mapping[str, str]) -> str:
    file = environment.get(PREFIX + "PASSWORD_FILE", "")
    if not file:
        return environment.get(PREFIX + "PASSWORD", "")
    try:
        return Path(file).read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(
            f"{file}: cannot be read ({reason}); expected the archive's password; correct"
            " MMCCD_PACS_PASSWORD_FILE"
        ) from error


def _url(text: str) -> str:
    """The URL without a slash at its end; it is printed, so no password may be in it."""
    if not text:
        raise UsageError(
            "no archive; give --url URL or set MMCCD_PACS_URL to the root of its DICOMweb service"
        )
    try:
        parts = urlsplit(text)
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not parts.query
            and not parts.fragment
        )
        inside = "@" in parts.netloc
        _ = parts.port
    except ValueError:
        usable, inside = False, "@" in text
    if inside:
        raise UsageError(
            "MMCCD_PACS_URL: has a user or password in it; expected none; set MMCCD_PACS_USER and"
            " MMCCD_PACS_PASSWORD_FILE"
        )
    if not usable:
        raise UsageError(
            f"MMCCD_PACS_URL: {text!r} cannot be used; expected http(s)://HOST[:PORT]/PATH of a"
            " DICOMweb service"
        )
    return text.rstrip("/")
