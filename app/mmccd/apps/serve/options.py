"""How the server is set up."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mmccd.core import Settings, UsageError

MIB = 2**20
_ALIASES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServeOptions:
    """What the server keeps to.

    Attributes:
        folder: of its own: queue, uploads and results.
        settings: of the predictions.
        host: address that it listens on.
        port: likewise; 0: any that is free.
        names: names by which browsers may call it, beside those of this machine.
        token: whether a token is asked for on this machine, too.
        max_mib: the largest upload, in MiB.
        max_queue: how many scans may wait, the one at work and uploads among them.
        keep_h: hours after which a scan that is over is deleted with its results.
        timeout_s: the longest time for one scan, in seconds; 0: no limit.

    Raises:
        UsageError: a value that cannot be used.
    """

    folder: Path
    settings: Settings = field(default_factory=Settings)
    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    token: bool = False
    max_mib: int = 2048
    max_queue: int = 100
    keep_h: float = 24.0
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        for flag, value, low, high in (
            ("--port", self.port, 0, 65_535),
            ("--max-mib", self.max_mib, 1, 1_000_000),
            ("--max-queue", self.max_queue, 1, 10_000),
            ("--keep-h", self.keep_h, 0.001, 100_000),
            ("--timeout-s", self.timeout_s, 0, 1_000_000),
        ):
            if not low <= value <= high:
                raise UsageError(
                    f"{flag} {value:g}: cannot be used; expected a number from {low:g} to {high:g}"
                )

    @property
    def max_bytes(self) -> int:
        """The largest upload."""
        return self.max_mib * MIB

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def needs_token(self) -> bool:
        """Whether whoever asks has to show a token."""
        return self.token or not self.is_local

    @cached_property
    def known_names(self) -> frozenset[str]:
        """Names in small letters that a browser may call it by. Addresses are let in beside them,
        but on this machine alone only its own: no name that points elsewhere today can be made to
        point here tomorrow.
        """
        own = () if self.is_local else (socket.gethostname(), socket.getfqdn(), self.host)
        return frozenset(name.lower() for name in (*_ALIASES, *own, *self.names))

    def knows(self, host: str) -> bool:
        """Whether a Host header (``name:port``) means this server."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        if name in self.known_names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.is_local
