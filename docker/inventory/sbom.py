"""The software bill of materials of an image, in CycloneDX 1.6.

python sbom.py --site DIR --models DIR --image FILE --lock FILE --output FILE

--site: site-packages of the application. --models: the bundles side by side. --image: what
docker/prepare.py says of the image. --lock: docker/locks/*.txt, for the hashes of the wheels.
"""

from __future__ import annotations

import argparse
import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import fixup_id
from packageurl import PackageURL
from parts import Part, everything

SPACE = uuid.UUID("8f3c2a9e-5f0b-5d5b-9a7e-3f5d1c0a7b11")
"""Of the serial numbers: the same content has the same one."""
LOCKED = re.compile(r"^(\S+?)==\S+((?:\s*\\?\s*--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)


def locked_hashes(lock: str) -> dict[str, str]:
    """The hash of each package for which a lock names one file only.

    Args:
        lock: its text.
    """
    found = {}
    for name, hashes in LOCKED.findall(lock):
        each = re.findall(r"sha256:([0-9a-f]{64})", hashes)
        if len(each) == 1:
            found[_normal(name)] = each[0]
    return found


def make_bom(parts: Iterable[Part], image: dict[str, Any], hashes: dict[str, str]) -> Bom:
    """All parts as what the image depends on.

    Args:
        parts: what is inside.
        image: ``name``, ``version``, ``revision``, ``created`` (ISO 8601), ``base``, ``digest``.
        hashes: of the wheels, by name.
    """
    root = Component(
        name=image["name"],
        version=image["version"],
        type=ComponentType.CONTAINER,
        bom_ref=f"image:{image['name']}@{image['version']}",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        properties=[
            Property(name=f"mmccd:{key}", value=str(image[key]))
            for key in ("base", "digest", "revision", "target")
        ],
    )
    components = [_component(part, hashes) for part in parts]
    bom = Bom(components=components)
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromisoformat(image["created"])
    bom.register_dependency(root, components)
    content = "\n".join(sorted(str(one.bom_ref.value) for one in components))
    bom.serial_number = uuid.uuid5(SPACE, f"{image['revision']}\n{image['digest']}\n{content}")
    return bom


def _component(part: Part, hashes: dict[str, str]) -> Component:
    sha256 = part.sha256 or (hashes.get(_normal(part.name), "") if part.kind == "python" else "")
    kind = ComponentType.LIBRARY
    if part.kind == "interpreter":
        kind = ComponentType.PLATFORM
    elif part.kind == "model":
        kind = ComponentType.MACHINE_LEARNING_MODEL
    purl = _purl(part)
    return Component(
        name=part.name,
        version=part.version,
        type=kind,
        purl=purl,
        bom_ref=purl.to_string() if purl else f"model:{part.name}@{part.version}",
        licenses=_licences(part),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        external_references=[
            ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(part.home))
        ]
        if part.home
        else [],
    )


def _licences(part: Part) -> list[Any]:
    """One expression, or names: the format allows no mixture."""
    if len(part.licences) == 1:
        return [LicenseFactory().make_from_string(part.licences[0])]
    known = ((fixup_id(text), text) for text in part.licences)
    return [
        DisjunctiveLicense(id=spdx) if spdx else DisjunctiveLicense(name=text)
        for spdx, text in known
    ]


def _purl(part: Part) -> PackageURL | None:
    if part.kind == "interpreter":
        return PackageURL("generic", name=part.name, version=part.version)
    if part.kind == "python":
        return PackageURL("pypi", name=_normal(part.name), version=part.version)
    if part.kind == "javascript":
        group, _, name = part.name.rpartition("/")
        return PackageURL("npm", group, name, part.version)
    if part.kind == "debian":
        return PackageURL(
            "deb",
            "debian",
            part.name,
            part.version,
            qualifiers={"arch": part.architecture, "distro": _release()},
        )
    return None


def _release() -> str:
    text = Path("/etc/os-release").read_text()
    about = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return f"{about.get('ID', 'debian')}-{about.get('VERSION_ID', '')}".replace('"', "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    for name in ("site", "models", "image", "lock", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    words = parser.parse_args()
    parts = everything(words.site, words.models)
    image = json.loads(words.image.read_text())
    bom = make_bom(parts, image, locked_hashes(words.lock.read_text()))
    words.output.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n")


if __name__ == "__main__":
    main()
