"""Words and variables of the service. docs/archive.md has the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator

from mmccd import NOTICE
from mmccd.apps.pacs.dimse.settings import WEB, DimseSettings, refuse_contradictions
from mmccd.apps.parser import Form
from mmccd.core import (
    FLAG,
    VARIABLE,
    Setting,
    UsageError,
    as_flag,
    unknown_setting,
    variable_of,
)

PREFIX = "MMCCD_PACS_"
_ROUTE = "route_"
_ACCESS = ("url", "user", "password_file", "token_file", "ca_file", "cert_file", "key_file")
_FILES = {
    "ca_file": "certificates in PEM format",
    "token_file": "a bearer token",
    "cert_file": "a certificate in PEM format",
    "key_file": "a key in PEM format",
}

_THERE = Setting("the same for the second archive", doors=(VARIABLE,))
_FILE_THERE = replace(_THERE, is_path=True)


class PacsSettings(DimseSettings):
    """What an engineer may set: what is declared here, and DIMSE.

    Raises:
        UsageError: a value that cannot be used.
    """

    url: Annotated[
        str,
        Setting("root of the archive's DICOMweb service, such as https://pacs.example/dicom-web"),
    ] = ""
    state: Annotated[
        Path,
        Setting(
            "a folder of its own for status.json, which remembers what was done; one service each",
            unit="folder",
            is_path=True,
        ),
    ]
    user: Annotated[str, Setting("for HTTP basic authentication", unit="name")] = ""
    password_file: Annotated[
        str,
        Setting("file with the password; wins over the next", is_path=True, doors=(VARIABLE,)),
    ] = ""
    password: Annotated[
        str,
        Field(repr=False),
        Setting(
            "the password; there is no flag: command lines can be read by others",
            doors=(VARIABLE,),
        ),
    ] = ""
    ca_file: Annotated[
        str,
        Setting(
            "certificates (PEM) that the archive's has to be signed by, if it is not one of the"
            " usual authorities",
            unit="file",
            is_path=True,
        ),
    ] = ""
    token_file: Annotated[
        str,
        Setting(
            "file with a bearer token, in the place of user and password; read anew for each"
            " request",
            unit="file",
            is_path=True,
        ),
    ] = ""
    cert_file: Annotated[
        str,
        Setting(
            "client certificate (PEM), where the archive wants one; with its key, or that in the"
            " next",
            unit="file",
            is_path=True,
        ),
    ] = ""
    key_file: Annotated[
        str, Setting("key (PEM) of the client certificate", unit="file", is_path=True)
    ] = ""
    poll_s: Annotated[
        float,
        Field(ge=1, le=86_400),
        Setting(
            "between two looks at the archive; while looking fails they double up to ten minutes",
            unit="seconds",
        ),
    ] = 30.0
    settle_s: Annotated[
        float,
        Field(ge=0, le=86_400),
        Setting(
            "a study is taken as complete when its number of objects stays the same so long",
            unit="seconds",
        ),
    ] = 60.0
    settled: Annotated[
        str,
        Setting(
            "what makes a study complete: that its number of objects stays the same for the time"
            " above, or is the same in two looks",
            choices=("quiet", "looks"),
        ),
    ] = "quiet"
    days: Annotated[
        int,
        Field(ge=0, le=36_500),
        Setting(
            "only studies whose StudyDate (not the day they were acquired, sent or changed) is not"
            " older; 0: all that the archive has"
        ),
    ] = 7
    body_part: Annotated[
        str,
        Setting(
            "regular expression, capitals or not: only series whose BodyPartExamined fits; one"
            " that says nothing does not",
            unit="expression",
        ),
    ] = ""
    description: Annotated[
        str,
        Setting("the same for SeriesDescription", unit="expression"),
    ] = ""
    institution: Annotated[
        str,
        Setting("the same for InstitutionName", unit="expression"),
    ] = ""
    fetch: Annotated[
        str,
        Setting(
            "of these, MR series that may be the FLAIR of a brain, by what the archive tells of"
            " them, or all MR series",
            choices=("candidates", "all"),
        ),
    ] = "candidates"
    workers: Annotated[
        int,
        Field(ge=1, le=64),
        Setting("studies that are predicted at a time, each with models of its own"),
    ] = 1
    ahead: Annotated[
        int,
        Field(ge=0, le=64),
        Setting(
            "studies that are fetched or stored meanwhile; TMPDIR has to hold these and those of"
            " the workers"
        ),
    ] = 1
    attempts: Annotated[
        int,
        Field(ge=1, le=100),
        Setting(
            "a study whose prediction has failed so often, or was so often what the service was"
            " killed in, is given up until it changes",
            unit="number",
        ),
    ] = 3
    retry_s: Annotated[
        float,
        Field(ge=0, le=86_400),
        Setting(
            "before the second attempt; twice as long before the third, and so on, at most a day",
            unit="seconds",
        ),
    ] = 300.0
    max_mib: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Setting("the largest study (of what is fetched of it)", unit="MiB"),
    ] = 4096
    keep_mib: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Setting(
            "results that wait in the state folder to be stored; where they are more, nothing is"
            " predicted until some are",
            unit="MiB",
        ),
    ] = 2048
    route_url: Annotated[
        str, Setting("DICOMweb service of a second archive, which gets the results, too")
    ] = ""
    route_user: Annotated[str, _THERE] = ""
    route_password_file: Annotated[str, _FILE_THERE] = ""
    route_token_file: Annotated[str, _FILE_THERE] = ""
    route_ca_file: Annotated[str, _FILE_THERE] = ""
    route_cert_file: Annotated[str, _FILE_THERE] = ""
    route_key_file: Annotated[str, _FILE_THERE] = ""
    watch_port: Annotated[
        int,
        Field(ge=0, le=65_535),
        Setting(
            "serve /livez, /readyz, /metrics and a page of studies over HTTP; 0: nothing listens",
            unit="port",
        ),
    ] = 0
    watch_host: Annotated[
        str, Setting("address that it listens on; others than this machine's need a proxy")
    ] = "127.0.0.1"
    webhook: Annotated[
        str,
        Field(repr=False),
        Setting(
            "URL that gets a JSON object, without anybody's name, when a study has failed or an"
            " archive is out of reach; there is no flag: such URLs have keys in them",
            doors=(VARIABLE,),
        ),
    ] = ""
    audit: Annotated[
        str,
        Setting(
            "file that gets a line of JSON for whatever goes where (default: audit.jsonl in the"
            " state folder)",
            is_path=True,
        ),
    ] = ""
    check: Annotated[
        bool,
        Setting(
            "say what works with this archive, a line each, and end: reach, authentication,"
            " queries, fetching one object",
            doors=(FLAG,),
        ),
    ] = False
    check_store: Annotated[
        bool,
        Setting(
            "with --check: store an object, too; it stays in the archive, of a patient named"
            " MMCCD^CHECK",
            doors=(FLAG,),
        ),
    ] = False
    once: Annotated[
        bool,
        Setting(
            "look once, do what is due, and end: for cron; a new study is only noted at the first"
            " look, unless --settle-s 0",
            doors=(FLAG,),
        ),
    ] = False
    retry: Annotated[bool, Setting("try studies again that were given up", doors=(FLAG,))] = False

    _of_route: bool = PrivateAttr(default=False)

    @field_validator("url", "route_url")
    @classmethod
    def _usable(cls, url: str) -> str:
        return _url(url) if url else url

    @field_validator("body_part", "description", "institution")
    @classmethod
    def _expression(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError("a regular expression") from error
        return text

    @property
    def place(self) -> str:
        """Where studies come from, for log and status."""
        listening = f"{self.ae_title} on port {self.listen}"
        return self.url if self.source == WEB else self.peer or listening

    def variable(self, name: str) -> str:
        """The variable that sets something, for messages."""
        return variable_of(name, f"{PREFIX}{_ROUTE.upper()}" if self._of_route else PREFIX)

    @property
    def route(self) -> PacsSettings | None:
        """The same for the second archive; None where there is none."""
        if not self.route_url:
            return None
        theirs = {name: getattr(self, f"{_ROUTE}{name}") for name in _ACCESS}
        password = read_password(theirs, f"{PREFIX}{_ROUTE.upper()}")
        route = self.model_copy(update={**theirs, "password": password})
        route._of_route = True
        return route


def usage() -> str:
    """What ``python -m mmccd.apps.pacs --help`` prints."""
    return "\n".join(
        [
            "usage: python -m mmccd.apps.pacs --url URL --state FOLDER [FLAGS]",
            "       python -m mmccd.apps.pacs --source move|get|receive --state FOLDER [FLAGS]",
            "       python -m mmccd.apps.pacs --url URL --check",
            "",
            "Fetches MR studies from an archive over DICOMweb or DIMSE, runs the application on"
            f" each,\nand stores the results in the same study.\n{NOTICE}",
            "",
            _form().help(),
            "",
            f"Each but the switches may be given as a variable: {variable_of('url', PREFIX)},"
            f" {variable_of('state', PREFIX)}, ...\nThe password comes from"
            f" {variable_of('password_file', PREFIX)} or {variable_of('password', PREFIX)}."
            "\nThe application's own variables (MMCCD_PRESET, ...) are passed on to it."
            "\nExit codes and more: docs/archive.md",
        ]
    )


def read_pacs_settings(words: list[str], environment: Mapping[str, str]) -> PacsSettings:
    """Settings from the command line and, where it has none, from variables.

    Args:
        words: behind the program's name.
        environment: with the MMCCD_PACS_* variables; empty ones count as not given.

    Raises:
        UsageError: an unknown word or variable, a value that cannot be used, or no URL or state
            folder.
    """
    variables = _variables(environment)
    flags = _form().texts(words)
    given = {**variables, **flags}
    if not given.get("url") and given.get("source", WEB) == WEB:
        raise UsageError(
            "no archive; give --url URL or set MMCCD_PACS_URL to the root of its DICOMweb service"
        )
    if {"check", "check_store"} & set(flags):
        given.setdefault("state", ".")  # nothing is written there
    if not given.get("state"):
        raise UsageError(
            "no state folder; give --state DIR or set MMCCD_PACS_STATE: without it studies would be"
            " done twice"
        )
    given["password"] = read_password(given, PREFIX)
    _check_access(given, PREFIX)
    theirs = {
        name.removeprefix(_ROUTE): text for name, text in given.items() if name.startswith(_ROUTE)
    }
    prefix = f"{PREFIX}{_ROUTE.upper()}"
    _check_access({**theirs, "password": read_password(theirs, prefix)}, prefix)

    def written(name: str, value: Any) -> str:
        return as_flag(name, value) if name in flags else f"{variable_of(name, PREFIX)}: {value!r}"

    settings = PacsSettings.read(given, written)
    refuse_contradictions(settings, settings.url, settings.once)
    return settings


def _form() -> Form:
    """First what is declared here, then DIMSE."""
    form, dimse = Form.of_model("python -m mmccd.apps.pacs", PacsSettings), DimseSettings.declared()
    return replace(form, arguments=tuple(sorted(form.arguments, key=lambda one: one.name in dimse)))


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    known = {variable_of(name, PREFIX): name for name in PacsSettings.declared(VARIABLE)}
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
    for variable in given:
        if variable not in known:
            raise unknown_setting(variable, variable, known)
    return {known[variable]: text for variable, text in given.items() if text}


def _check_access(given: Mapping[str, str], prefix: str) -> None:
    """Refuse files that are not there, and two ways, or half a way, to say who we are."""
    if bool(given.get("user")) != bool(given.get("password")):
        raise UsageError(
            f"user and password belong together; set {prefix}USER and {prefix}PASSWORD_FILE, or"
            " none"
        )
    for name, what in _FILES.items():
        if given.get(name) and not Path(given[name]).is_file():
            raise UsageError(
                f"{given[name]}: no such file; expected {what}; correct {variable_of(name, prefix)}"
            )
    if given.get("token_file") and given.get("user"):
        raise UsageError(
            f"a token and a user are given; expected one of them; take out {prefix}TOKEN_FILE or"
            f" {prefix}USER"
        )
    if given.get("key_file") and not given.get("cert_file"):
        raise UsageError(
            f"a key without its certificate is given; expected both; set {prefix}CERT_FILE"
        )


def read_password(given: Mapping[str, str], prefix: str) -> str:
    """The password, from its file where there is one.

    Args:
        given: settings by name, as texts.
        prefix: of their variables.

    Raises:
        UsageError: the file cannot be read.
    """
    file = given.get("password_file", "")
    if not file:
        return given.get("password", "")
    try:
        return Path(file).read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(
            f"{file}: cannot be read ({reason}); expected the archive's password; correct"
            f" {prefix}PASSWORD_FILE"
        ) from error


def _url(text: str) -> str:
    """The URL without a slash at its end; it is printed, so no password may be in it."""
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
            "the archive's URL has a user or password in it; expected none; set MMCCD_PACS_USER and"
            " MMCCD_PACS_PASSWORD_FILE"
        )
    if not usable:
        raise ValueError("http(s)://HOST[:PORT]/PATH of a DICOMweb service")
    return text.rstrip("/")
