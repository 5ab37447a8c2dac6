"""Containers of a built image, as a hospital runs them: read-only, without network, as an ordinary
user. With docker or podman where they work, else bubblewrap on the image's files, which needs root
and no daemon.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

STACK = 32 * 2**20
USER = 1000
BUILDAH = {**os.environ, "STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "vfs")}


@dataclass(frozen=True)
class Call:
    """What is run.

    Attributes:
        words: behind the image's name.
        entrypoint: in the place of the image's.
        readable: what is mounted read-only, by its place in the container.
        writable: what else is mounted.
        variables: of the environment, beside the image's.
        read_only: whether the root file system is.
    """

    words: Sequence[str] = ()
    entrypoint: str | None = None
    readable: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = True


class Engine(Protocol):
    """What runs containers."""

    name: str
    configuration: dict[str, Any]
    size: int

    def command(self, call: Call) -> list[str]:
        """The command line that runs a container."""

    def files(self) -> list[str]:
        """All paths in the image."""

    def close(self) -> None:
        """Leave nothing behind."""


class Client:
    """Docker or podman."""

    def __init__(self, program: str, image: str) -> None:
        self.name, self._image = program, image
        (about,) = json.loads(_answer([program, "image", "inspect", image]))
        self.configuration, self.size = about["Config"], int(about["Size"])

    def command(self, call: Call) -> list[str]:
        words = [self.name, "run", "--rm", "--network", "none", "--tmpfs", "/tmp"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--user", f"{USER}:{USER}", "--ulimit", f"stack={STACK}"]
        words += ["--read-only"] if call.read_only else []
        words += ["--entrypoint", call.entrypoint] if call.entrypoint else []
        for name, text in call.variables.items():
            words += ["--env", f"{name}={text}"]
        for place, path in call.readable.items():
            words += ["--volume", f"{path}:{place}:ro"]
        for place, path in call.writable.items():
            path.chmod(0o777)
            words += ["--volume", f"{path}:{place}"]
        return [*words, self._image, *call.words]

    def files(self) -> list[str]:
        call = Call(["/", "-xdev"], entrypoint="/usr/bin/find")
        return _answer(self.command(call)).splitlines()

    def close(self) -> None: ...


class Bubblewrap:
    """bwrap on the files of an image that buildah has."""

    name = "bwrap"

    def __init__(self, image: str) -> None:
        about = json.loads(_answer(["buildah", "inspect", "--type", "image", image], BUILDAH))
        self.configuration = about["Docker"]["config"]
        self._container = _answer(["buildah", "from", "--pull-never", image], BUILDAH).strip()
        self.root = Path(_answer(["buildah", "mount", self._container], BUILDAH).strip())
        self.size = int(_answer(["du", "-s", "--block-size=1", str(self.root)]).split()[0])

    def command(self, call: Call) -> list[str]:
        words = ["bwrap", "--ro-bind" if call.read_only else "--bind", str(self.root), "/"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all"]
        words += ["--uid", str(USER), "--gid", str(USER), "--cap-drop", "ALL"]
        words += ["--die-with-parent", "--new-session", "--clearenv"]
        words += ["--chdir", self.configuration["WorkingDir"]]
        given = dict(entry.split("=", 1) for entry in self.configuration["Env"])
        for name, text in {**given, **call.variables}.items():
            words += ["--setenv", name, text]
        for flag, mounts in (("--ro-bind", call.readable), ("--bind", call.writable)):
            for place, path in mounts.items():
                # It follows no link of the image, and there /var/run is one to /run.
                words += [flag, str(path), re.sub("^/var/run/", "/run/", place)]
        first = [call.entrypoint] if call.entrypoint else self.configuration["Entrypoint"]
        return [*words, "--", *first, *call.words]

    def files(self) -> list[str]:
        found = _answer(["find", str(self.root), "-xdev"]).splitlines()
        return [path.removeprefix(str(self.root)) for path in found]

    def close(self) -> None:
        _answer(["buildah", "rm", self._container], BUILDAH)


def find_engine(image: str) -> tuple[Engine | None, str]:
    """What can run the image here, or None and why not.

    Args:
        image: its name with its tag.
    """
    for program in ("docker", "podman"):
        if shutil.which(program) and _works([program, "image", "inspect", image]):
            return Client(program, image), ""
    if not (shutil.which("buildah") and shutil.which("bwrap")):
        return None, f"{image}: neither docker nor podman has it, and buildah or bwrap is missing"
    if not _works(["buildah", "inspect", "--type", "image", image], BUILDAH):
        return None, f"{image} is not built; run 'make image'"
    if os.geteuid() != 0:
        return None, "buildah's images can be mounted by root only"
    return Bubblewrap(image), ""


def start(engine: Engine, call: Call) -> subprocess.Popen[str]:
    """A container that runs."""
    return subprocess.Popen(
        engine.command(call),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_stack,
    )


def run(engine: Engine, call: Call, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
    """A container that has ended."""
    process = start(engine, call)
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _stack() -> None:
    """As ``--ulimit stack`` does."""
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.RLIM_INFINITY))


def _answer(words: list[str], environment: Mapping[str, str] | None = None) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout


def _works(words: list[str], environment: Mapping[str, str] | None = None) -> bool:
    return subprocess.run(words, capture_output=True, env=environment).returncode == 0
