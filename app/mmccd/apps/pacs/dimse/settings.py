"""Words and variables of DIMSE: with whom, as whom, and how much. docs/archive.md has the
table.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from mmccd.core import Setting, SettingsModel, UsageError

WEB, MOVE, GET, RECEIVE = "web", "move", "get", "receive"
SOURCES = (WEB, MOVE, GET, RECEIVE)
_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
_PEER = re.compile(r"(?P<title>.+)@(?P<host>\[[0-9a-fA-F:.%]+\]|[^@:\s]+):(?P<port>\d{1,5})")
_LISTEN = re.compile(r"((?P<host>\[[0-9a-fA-F:.%]+\]|[^@:\s]+):)?(?P<port>\d{1,5})")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Peer:
    """Another program that speaks DIMSE.

    Attributes:
        title: its AE title.
        host: its name or address.
        port: where it listens.
    """

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Peer:
        """From ``AE@HOST:PORT``.

        Raises:
            ValueError: it is something else.
        """
        found = _PEER.fullmatch(text)
        if not found or not _AE_TITLE.fullmatch(found["title"]):
            raise ValueError(_PEERS)
        return cls(found["title"], found["host"].strip("[]"), _port(found["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.title}@{host}:{self.port}"


@dataclass(frozen=True)
class Allowed:
    """Who may call us.

    Attributes:
        title: its AE title.
        network: where from; None: from everywhere.
    """

    title: str
    network: Network | None = None

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """From ``AE`` or ``AE@ADDRESS``, the address one or a network (10.1.0.0/16).

        Raises:
            ValueError: it is something else.
        """
        title, _, address = text.partition("@")
        if not _AE_TITLE.fullmatch(title) or text.endswith("@"):
            raise ValueError(_CALLERS)
        try:
            network = ipaddress.ip_network(address, strict=False) if address else None
        except ValueError as error:
            raise ValueError(_CALLERS) from error
        return cls(title, network)

    def fits(self, title: str, address: Address) -> bool:
        """Whether it is who calls."""
        return title == self.title and (self.network is None or address in self.network)


_PEERS = "AE@HOST:PORT, such as PACS@pacs.example:11112"
_CALLERS = "AE titles with commas between them, each alone, or as AE@ADDRESS or AE@NETWORK"


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError("a port from 1 to 65535")
    return port


def _title(text: str) -> str:
    if not _AE_TITLE.fullmatch(text):
        raise ValueError("an AE title: 1 to 16 characters of ASCII without backslash")
    return text


def _peer(text: str) -> str:
    return str(Peer.parse(text)) if text else ""


def _listen(text: str) -> str:
    found = _LISTEN.fullmatch(text)
    if text and not found:
        raise ValueError("PORT or ADDRESS:PORT")
    if found:
        _port(found["port"])
    return text


def _callers(text: str) -> str:
    for one in _parts(text):
        Allowed.parse(one)
    return text


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


_Peer = Annotated[str, AfterValidator(_peer)]


class DimseSettings(SettingsModel):
    """What an engineer may set of DIMSE.

    Raises:
        UsageError: a value that cannot be used.
    """

    source: Annotated[
        str,
        Setting(
            "where studies come from: the archive is asked over DICOMweb; or by C-FIND, and sends"
            " by C-MOVE (to --listen) or C-GET; or they are sent to --listen",
            SOURCES,
        ),
    ] = WEB
    peer: Annotated[
        _Peer,
        Setting("the archive that is asked with --source move or get", expected=_PEERS),
    ] = ""
    store: Annotated[
        _Peer,
        Setting("where results are stored by C-STORE, instead of --url", expected=_PEERS),
    ] = ""
    commit: Annotated[
        bool,
        Setting(
            "results count as stored when --store has promised to keep them (storage commitment)"
        ),
    ] = False
    commit_s: Annotated[
        float,
        Field(ge=1, le=86_400),
        Setting(
            "wait for that promise; then the results are stored again later, unless it has come"
            " meanwhile",
            unit="seconds",
        ),
    ] = 60.0
    ae_title: Annotated[
        str, AfterValidator(_title), Setting("how this service is called", unit="AE")
    ] = "MMCCD"
    listen: Annotated[
        str,
        AfterValidator(_listen),
        Setting(
            "what is sent to us comes in here: studies, answers to C-MOVE, storage commitments",
            expected="PORT or ADDRESS:PORT",
        ),
    ] = ""
    allow: Annotated[
        str,
        AfterValidator(_callers),
        Setting(
            "who may call --listen; --peer and --store may anyhow",
            expected=_CALLERS,
        ),
    ] = ""
    tls: Annotated[bool, Setting("speak DIMSE over TLS only, in both directions")] = False
    tls_ca: Annotated[
        str,
        Setting(
            "certificates (PEM) that those of the others have to be signed by; who calls --listen"
            " then needs one",
            unit="file",
            is_path=True,
        ),
    ] = ""
    tls_cert: Annotated[
        str, Setting("our certificate (PEM), needed to listen", unit="file", is_path=True)
    ] = ""
    tls_key: Annotated[str, Setting("its key (PEM)", unit="file", is_path=True)] = ""
    silence_s: Annotated[
        float,
        Field(ge=1, le=3600),
        Setting("an association on which nothing comes so long is ended", unit="seconds"),
    ] = 60.0
    associations: Annotated[
        int, Field(ge=1, le=100), Setting("so many may be open to --listen at once")
    ] = 10
    pdu_kib: Annotated[
        int, Field(ge=4, le=1024), Setting("the longest PDU that we take, in KiB")
    ] = 64
    keep_free_mib: Annotated[
        int,
        Field(ge=0, le=100_000_000),
        Setting("received images are refused where they would leave less of the disk", unit="MiB"),
    ] = 1024
    keep_days: Annotated[
        int,
        Field(ge=1, le=3650),
        Setting("received images that are not done after so many days are removed", unit="days"),
    ] = 30

    @property
    def speaks_dimse(self) -> bool:
        """Whether anything is DIMSE."""
        return self.source != WEB or bool(self.store)

    @property
    def archive_peer(self) -> Peer:
        """The archive that is asked."""
        return Peer.parse(self.peer)

    @property
    def store_peer(self) -> Peer:
        """Where results go."""
        return Peer.parse(self.store)

    @property
    def listens(self) -> tuple[str, int]:
        """Address (empty: all) and port."""
        found = _LISTEN.fullmatch(self.listen)
        if not found:
            raise ValueError("no port")
        return (found["host"] or "").strip("[]"), int(found["port"])

    @property
    def callers(self) -> tuple[Allowed, ...]:
        """Who may call."""
        texts = _parts(self.allow)
        peers = [Peer.parse(one) for one in (self.peer, self.store) if one]
        named = [Allowed.parse(one) for one in texts]
        titles = {one.title for one in named}
        # An address that is given for a title is not undone by the title alone.
        return (*named, *(Allowed(one.title) for one in peers if one.title not in titles))


def refuse_contradictions(settings: DimseSettings, url: str, once: bool) -> None:
    """Refuse settings that do not go together.

    Args:
        settings: to look at.
        url: of the archive's DICOMweb service, or empty.
        once: whether the service looks once and ends.

    Raises:
        UsageError: what is missing, or means nothing.
    """
    for wrong, text in (*_of_source(settings, url, once), *_of_store(settings, url)):
        if wrong:
            raise UsageError(text)
    for wrong, text in (*_of_listen(settings), *_of_tls(settings)):
        if wrong:
            raise UsageError(text)


def _of_source(settings: DimseSettings, url: str, once: bool) -> list[tuple[bool, str]]:
    source, asks = settings.source, settings.source in (MOVE, GET)
    return [
        (
            source == WEB and not url,
            "no archive; give --url URL or set MMCCD_PACS_URL to the root of its DICOMweb service,"
            " or take --source move, get or receive",
        ),
        (
            asks and not settings.peer,
            f"--source {source} needs the archive that is asked; give --peer AE@HOST:PORT or set"
            " MMCCD_PACS_PEER",
        ),
        (
            bool(settings.peer) and not asks,
            f"--peer means nothing with --source {source}; expected --source move or get; leave it"
            " out, or say how studies come",
        ),
        (
            source in (MOVE, RECEIVE) and not settings.listen,
            f"--source {source} needs a port where studies come in; give --listen PORT or set"
            " MMCCD_PACS_LISTEN",
        ),
        (
            source == RECEIVE and not _parts(settings.allow),
            "--source receive needs to know who may send; give --allow AE,AE or set"
            " MMCCD_PACS_ALLOW",
        ),
        (
            source == RECEIVE and once,
            "--once means nothing with --source receive, which has to be up when studies are sent;"
            " leave it out",
        ),
    ]


def _of_store(settings: DimseSettings, url: str) -> list[tuple[bool, str]]:
    return [
        (
            not settings.store and not url,
            "results have nowhere to go; give --store AE@HOST:PORT or --url URL",
        ),
        (
            bool(settings.store and url) and settings.source != WEB,
            f"--url means nothing with --source {settings.source} and --store; leave one of them"
            " out",
        ),
        (
            settings.commit and not settings.store,
            "--commit needs an archive that results are stored in by DIMSE; give --store"
            " AE@HOST:PORT or leave it out",
        ),
        (
            settings.commit and not settings.listen,
            "--commit needs a port where the archive's answer comes in; give --listen PORT or leave"
            " it out",
        ),
    ]


def _of_listen(settings: DimseSettings) -> list[tuple[bool, str]]:
    return [
        (
            bool(settings.listen) and settings.source in (WEB, GET) and not settings.commit,
            f"--listen means nothing with --source {settings.source} without --commit; leave it"
            " out",
        ),
        (
            bool(settings.allow) and not settings.listen,
            "--allow means nothing without --listen; leave it out, or give a port",
        ),
    ]


def _of_tls(settings: DimseSettings) -> list[tuple[bool, str]]:
    files = {
        "--tls-ca": settings.tls_ca,
        "--tls-cert": settings.tls_cert,
        "--tls-key": settings.tls_key,
    }
    given = [flag for flag, file in files.items() if file]
    missing = [flag for flag in given if not Path(files[flag]).is_file()]
    return [
        (
            bool(given) and not settings.tls,
            f"{', '.join(given)} means nothing without --tls; give that, too, or leave it out",
        ),
        (
            settings.tls and not (settings.peer or settings.store or settings.listen),
            "--tls is for DIMSE, and nothing goes over it; leave it out",
        ),
        (
            bool(settings.tls_cert) != bool(settings.tls_key),
            "--tls-cert and --tls-key belong together; give both, or none",
        ),
        (
            settings.tls and bool(settings.listen) and not settings.tls_cert,
            "--tls with --listen needs a certificate of ours; give --tls-cert and --tls-key",
        ),
        (
            bool(missing),
            f"{', '.join(missing)}: no such file; expected certificates or a key in PEM format;"
            " correct the path",
        ),
    ]
