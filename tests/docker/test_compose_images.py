"""Images of docker/compose.yml; what else it names: tests/apps/pacs/test_compose.py."""

from __future__ import annotations

import re
from importlib.metadata import version

import yaml
from tests.conftest import PROJECT

SERVICES = yaml.safe_load((PROJECT / "docker" / "compose.yml").read_text())["services"]


def default_of(image: str) -> str:
    """What compose takes where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image)


def test_the_archive_is_named_by_its_digest() -> None:
    pattern = r"docker\.io/orthancteam/orthanc:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}"
    assert re.fullmatch(pattern, default_of(SERVICES["orthanc"]["image"]))


def test_ours_is_the_one_that_make_image_makes() -> None:
    assert default_of(SERVICES["mmccd"]["image"]) == f"mmccd:{version('mmccd')}-cpu"
