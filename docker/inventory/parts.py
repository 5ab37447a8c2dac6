"""What is inside an image: Python and its packages, Debian's packages, the models.

Runs with a Python that has nothing of the project (docker/install.sh): the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

LICENCE_FILE = re.compile(
    r"(^|/)(third_party_)?(licen[cs]e|copying|copyright|notice|authors|eula)[^/]*$", re.IGNORECASE
)
CODE = (".py", ".pyc", ".so", ".js", ".json", ".html", ".svg", ".ABOUT")
NIIVUE = Path("mmccd", "outputs", "report", "page", "niivue")
CLASSIFIER = "License :: "
DEBIAN_DOC = Path("/usr/share/doc")
LONGEST_NAME = 120


@dataclass(frozen=True)
class Part:
    """A thing that has a licence.

    Attributes:
        kind: ``interpreter``, ``python``, ``javascript``, ``debian`` or ``model``.
        name: as its registry has it.
        version: as its registry has it.
        licences: SPDX expressions, or names as the part itself has them; none where it says none.
        texts: paths of its licence files.
        sha256: of its one file, for a model.
        architecture: of a Debian package.
        home: address, or empty.
    """

    kind: str
    name: str
    version: str
    licences: tuple[str, ...]
    texts: tuple[Path, ...] = field(default=())
    sha256: str = ""
    architecture: str = ""
    home: str = ""


def everything(site: Path, bundles: Path) -> list[Part]:
    """All of an image.

    Args:
        site: ``site-packages`` of the application.
        bundles: folder that holds the bundles side by side.
    """
    return [
        *interpreter(),
        *python_packages(site),
        *viewer(site),
        *debian_packages(),
        *models(bundles),
    ]


def interpreter() -> list[Part]:
    """Python, where it is none of Debian's packages."""
    if sys.base_prefix == "/usr":
        return []
    major, minor = sys.version_info[:2]
    text = Path(sys.base_prefix) / "lib" / f"python{major}.{minor}" / "LICENSE.txt"
    texts = (text,) if text.is_file() else ()
    home = "https://www.python.org"
    version = platform.python_version()
    return [Part("interpreter", "cpython", version, ("PSF-2.0",), texts, home=home)]


def python_packages(site: Path) -> list[Part]:
    """Packages of one ``site-packages``, by name.

    Args:
        site: the folder.
    """
    found = {one.metadata["Name"].lower(): one for one in distributions(path=[str(site)])}
    return [
        Part(
            "python",
            one.metadata["Name"],
            one.version,
            _python_licences(one),
            tuple(_licence_files(one)),
            home=_home(one),
        )
        for _, one in sorted(found.items())
    ]


def viewer(site: Path) -> list[Part]:
    """NiiVue, which the report's page has in it; none where MMCCD is installed elsewhere.

    Args:
        site: ``site-packages``.
    """
    folder = site / NIIVUE
    if not folder.is_dir():
        return []
    version = (folder / "VERSION").read_text().strip()
    texts = (folder / "LICENSE", folder / "THIRD_PARTY_LICENSES.txt")
    home = "https://github.com/niivue/niivue"
    return [Part("javascript", "@niivue/niivue", version, ("BSD-2-Clause",), texts, home=home)]


def debian_packages() -> list[Part]:
    """Packages of the system, by name; none where it is not Debian's."""
    if shutil.which("dpkg-query") is None:
        return []
    shown = "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat", shown], check=True, capture_output=True, text=True
    )
    rows = sorted(line.split("\t") for line in answer.stdout.splitlines())
    return [
        _debian(name, version, architecture)
        for name, version, architecture, status in rows
        if status == "installed"
    ]


def models(folder: Path) -> list[Part]:
    """Bundles with weights, by name.

    Args:
        folder: holds the bundles side by side.
    """
    parts = []
    for weights in sorted(folder.glob("*/models/model.pt")):
        bundle = weights.parents[1]
        about = json.loads((bundle / "configs" / "metadata.json").read_text())
        card = json.loads(weights.with_name("model.json").read_text())
        licences = ("Apache-2.0", str(card.get("licence") or ""))
        parts.append(
            Part(
                "model",
                bundle.name,
                str(about["version"]),
                tuple(dict.fromkeys(one for one in licences if one)),
                tuple(sorted(bundle.glob("LICENSE*"))),
                hashlib.sha256(weights.read_bytes()).hexdigest(),
            )
        )
    return parts


def _python_licences(one: Distribution) -> tuple[str, ...]:
    """The expression, else the short name, else what the classifiers say."""
    expression = _entry(one, "License-Expression")
    if expression:
        return (expression,)
    classifiers = [
        entry.rpartition(" :: ")[2]
        for entry in one.metadata.get_all("Classifier") or []
        if entry.startswith(CLASSIFIER) and entry != "License :: OSI Approved"
    ]
    name = _entry(one, "License")
    if name and name.upper() != "UNKNOWN" and "\n" not in name and len(name) <= LONGEST_NAME:
        return (name,)
    return tuple(dict.fromkeys(classifiers))


def _entry(one: Distribution, name: str) -> str:
    """The first entry of a name in the metadata, or nothing."""
    return next(iter(one.metadata.get_all(name) or []), "").strip()


def _licence_files(one: Distribution) -> Iterator[Path]:
    for entry in sorted(one.files or []):
        text = str(entry)
        if LICENCE_FILE.search(text) and not text.endswith(CODE) and NIIVUE.as_posix() not in text:
            path = Path(str(one.locate_file(entry)))
            if path.is_file():
                yield path


def _home(one: Distribution) -> str:
    links = [entry.partition(",") for entry in one.metadata.get_all("Project-URL") or []]
    addresses = {label.strip().lower(): address.strip() for label, _, address in links}
    names = ("homepage", "home", "source", "repository", "source code")
    home = _entry(one, "Home-page")
    found = next((addresses[name] for name in names if name in addresses), home)
    return found if found.startswith(("http://", "https://")) else ""


def _debian(name: str, version: str, architecture: str) -> Part:
    text = DEBIAN_DOC / name / "copyright"
    texts = (text,) if text.is_file() else ()
    return Part(
        "debian", name, version, _debian_licences(text) if texts else (), texts, "", architecture
    )


def _debian_licences(text: Path) -> tuple[str, ...]:
    """Names in a machine-readable copyright file; none in another one."""
    lines = text.read_text(errors="replace").splitlines()
    if not lines or not lines[0].startswith("Format:"):
        return ()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("License:"))
    return tuple(sorted({name for name in names if name and len(name) <= LONGEST_NAME}))
