"""The lock files of the image, docker/locks: each package at one version, each file by its hash.

python docker/lock.py [--torch DIR]

What the image installs is read from setup.cfg, the versions from constraints.txt; uv resolves both
for Linux on x86-64 with Python 3.11 (docker/Dockerfile). Only wheels that this platform takes are
named, so that pip refuses whatever else an index serves. It needs ``uv`` (constraints.txt).

--torch: a folder with torch's CPU build, where PyTorch's index cannot be reached; the hash is that
of the file, so compare it with the index's once.
"""

from __future__ import annotations

import argparse
import configparser
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "docker" / "locks"
EXTRAS = ("deploy",)
"""Extras of the package that the image has."""
TOOLS = ("pip", "cyclonedx-python-lib")
"""What builds the image and stays out of it."""
PYPI = "https://pypi.org/simple"
TORCH = "https://download.pytorch.org/whl/cpu"
GLIBC_MINOR = 36  # of Debian 12
HEAD = """\
# Made by 'make lock' from setup.cfg and constraints.txt. Do not edit.
# {what}: Python 3.11, Linux on x86-64, glibc 2.{glibc} or newer. Files are those of PyPI{other}.
"""


def requirements(extras: Iterable[str]) -> list[str]:
    """What setup.cfg asks for.

    Args:
        extras: names of extras beside the package's own requirements.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in extras]
    lines = (line.strip() for text in texts for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def tags_of_the_image() -> frozenset[Tag]:
    """Tags of the wheels that the image's Python takes."""
    platforms = [
        *(f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC_MINOR, 4, -1)),
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
        "linux_x86_64",
    ]
    return frozenset(
        [
            *cpython_tags((3, 11), platforms=platforms),
            *compatible_tags((3, 11), interpreter="cp311", platforms=platforms),
        ]
    )


def resolve(wanted: list[str], options: list[str]) -> dict[str, Any]:
    """uv's answer, in the format of PEP 751.

    Args:
        wanted: requirements.
        options: where else uv may look.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, lock = Path(folder) / "wanted.in", Path(folder) / "pylock.toml"
        source.write_text("\n".join(wanted) + "\n")
        command = ["uv", "pip", "compile", "--quiet", "--no-config", "--only-binary", ":all:"]
        command += ["--python-version", "3.11"]
        command += ["--python-platform", f"x86_64-manylinux_2_{GLIBC_MINOR}"]
        command += ["--constraints", str(ROOT / "constraints.txt"), "--default-index", PYPI]
        command += ["--format", "pylock.toml", "--output-file", str(lock)]
        subprocess.run([*command, *options, str(source)], check=True)
        return tomllib.loads(lock.read_text())


def written(lock: dict[str, Any], head: str) -> str:
    """The lock as pip reads it with --require-hashes.

    Args:
        lock: of :func:`resolve`.
        head: comment above it.

    Raises:
        SystemExit: a package has no wheel for the image.
    """
    fitting, lines = tags_of_the_image(), [head]
    for package in sorted(lock["packages"], key=lambda one: canonicalize_name(one["name"])):
        hashes = sorted(
            wheel["hashes"]["sha256"]
            for wheel in package.get("wheels", [])
            if parse_wheel_filename(_file_name(wheel))[3] & fitting
        )
        if not hashes:
            raise SystemExit(f"{package['name']}: no wheel for Python 3.11 on Linux x86-64")
        lines.append(f"{package['name']}=={package['version']}")
        lines[-1] += "".join(f" \\\n    --hash=sha256:{one}" for one in hashes) + "\n"
    return "".join(lines)


def _file_name(wheel: dict[str, Any]) -> str:
    place = wheel.get("name") or wheel.get("url") or wheel["path"]
    return str(place).rsplit("/", 1)[-1].replace("%2B", "+")


def main() -> None:
    """Write the locks anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--torch", type=Path)
    folder = parser.parse_args().torch
    cpu = ["--find-links", str(folder)] if folder else ["--index", TORCH]
    cpu += ["--index-strategy", "unsafe-best-match"]  # torch lies in both; its hash decides
    app = requirements(EXTRAS)
    LOCKS.mkdir(exist_ok=True)
    for name, what, other, wanted, options in (
        ("cpu", "The image for CPUs", f", torch's that of {TORCH}", app, cpu),
        ("cuda", "The image for CUDA 13", "", app, []),
        ("tools", "What builds the image and stays out of it", "", list(TOOLS), []),
    ):
        head = HEAD.format(what=what, glibc=GLIBC_MINOR, other=other)
        if name == "cpu":
            wanted = ["torch==" + _pinned("torch") + "+cpu", *wanted]
        (LOCKS / f"{name}.txt").write_text(written(resolve(wanted, options), head))


def _pinned(name: str) -> str:
    pins = (line.strip().split("==") for line in (ROOT / "constraints.txt").open())
    return next(pin[1] for pin in pins if pin[0] == name)


if __name__ == "__main__":
    main()
