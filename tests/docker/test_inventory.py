"""docker/inventory: what is inside, as CycloneDX and as the licences' text, of what is installed
here.
"""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.conftest import PROJECT
from tests.docker.scripts import load

parts = load("inventory/parts")
sbom = load("inventory/sbom")
licences = load("inventory/licences")
SITE = Path(pytest.__file__).parents[1]
IMAGE = {
    "name": "mmccd",
    "version": "0.1.0",
    "target": "cpu",
    "base": "python:3.11-slim",
    "digest": "sha256:" + "a" * 64,
    "revision": "b" * 40,
    "created": "2026-11-28T00:00:00+00:00",
}


@pytest.fixture(scope="module")
def found() -> list[Any]:
    return list(parts.everything(SITE, PROJECT / "bundles"))


@pytest.fixture(scope="module")
def text(found: list[Any]) -> str:
    lock = (PROJECT / "docker" / "locks" / "cpu.txt").read_text()
    return str(JsonV1Dot6(sbom.make_bom(found, IMAGE, sbom.locked_hashes(lock))).output_as_string())


@pytest.fixture(scope="module")
def content(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_python_s_packages(found: list[Any]) -> None:
    names = {one.name: one for one in found if one.kind == "python"}
    assert names["numpy"].version == version("numpy")
    assert names["numpy"].licences and names["numpy"].texts
    assert names["mmccd"].licences == ("Apache-2.0",)


def test_every_package_of_the_image_says_its_licence(found: list[Any]) -> None:
    """python-on-whales alone has none in its wheel (its sources have: MIT)."""
    lock = (PROJECT / "docker" / "locks" / "cpu.txt").read_text()
    silent = [
        one.name
        for one in found
        if one.kind == "python"
        and f"\n{one.name.lower().replace('_', '-')}==" in lock
        and not (one.licences or one.texts)
    ]
    assert silent in ([], ["python-on-whales"])


def test_models_have_their_hash_and_licence(found: list[Any]) -> None:
    models = {one.name: one for one in found if one.kind == "model"}
    assert set(models) == {path.name for path in (PROJECT / "bundles").iterdir() if path.is_dir()}
    card = json.loads((PROJECT / "bundles/decision/models/model.json").read_text())
    assert card["licence"] in models["decision"].licences
    assert all(len(one.sha256) == 64 and one.texts for one in models.values())


def test_debian_s_packages(found: list[Any]) -> None:
    if not Path("/var/lib/dpkg/status").exists():
        pytest.skip("no Debian")
    names = {one.name: one for one in found if one.kind == "debian"}
    assert names["libc6"].version and names["libc6"].architecture
    assert names["libc6"].texts == (Path("/usr/share/doc/libc6/copyright"),)


@pytest.mark.slow
def test_it_is_valid_cyclonedx(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_everything_is_in_it_once(found: list[Any], content: dict[str, Any]) -> None:
    refs = [one["bom-ref"] for one in content["components"]]
    assert len(refs) == len(set(refs)) == len(found)
    root = content["metadata"]["component"]["bom-ref"]
    (below,) = [one["dependsOn"] for one in content["dependencies"] if one["ref"] == root]
    assert set(below) == set(refs)


def test_it_says_what_the_image_stands_on(content: dict[str, Any]) -> None:
    entries = content["metadata"]["component"]["properties"]
    about = {entry["name"]: entry["value"] for entry in entries}
    assert about["mmccd:digest"] == IMAGE["digest"]
    assert about["mmccd:revision"] == IMAGE["revision"]
    assert content["metadata"]["timestamp"] == IMAGE["created"]


def test_packages_have_purls_and_the_wheels_hashes(content: dict[str, Any]) -> None:
    numpy = next(one for one in content["components"] if one["name"] == "numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@{version('numpy')}"
    lock = (PROJECT / "docker" / "locks" / "cpu.txt").read_text()
    assert numpy["hashes"][0]["content"] == sbom.locked_hashes(lock)["numpy"]


def test_the_same_content_has_the_same_number(found: list[Any]) -> None:
    some = found[:9]
    first, again = (sbom.make_bom(some, IMAGE, {}).serial_number for _ in range(2))
    assert first == again != sbom.make_bom(some[1:], IMAGE, {}).serial_number


def test_two_files_in_the_lock_are_no_hash() -> None:
    text = f"a==1 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n"
    assert sbom.locked_hashes(text) == {}
    assert sbom.locked_hashes(f"B_b==1 \\\n    --hash=sha256:{'1' * 64}\n") == {"b-b": "1" * 64}


def test_licences(found: list[Any]) -> None:
    text = licences.licence_text(found)
    assert f"numpy {version('numpy')}: " in text
    assert "\nlibc6 " in text or not Path("/var/lib/dpkg/status").exists()
    assert "Redistributions of source code must retain" in text
    assert "\ndecision 0.1.0: Apache-2.0; " in text


def test_a_part_with_a_licence_of_its_own(found: list[Any]) -> None:
    text = licences.licence_text(found)
    assert re.search(r"^(.*, )?scipy \(scipy/fft/_pocketfft/LICENSE\.md\)", text, re.MULTILINE)


def test_the_viewer_of_the_report(tmp_path: Path) -> None:
    folder = tmp_path / parts.NIIVUE
    shutil.copytree(PROJECT / "app" / parts.NIIVUE, folder)
    (one,) = parts.viewer(tmp_path)
    bom = sbom.make_bom([one], IMAGE, {})
    (component,) = bom.components
    assert str(component.purl) == f"pkg:npm/%40niivue/niivue@{one.version}"
    assert "Copyright (c) 2021, Niivue" in licences.licence_text([one])
    assert parts.viewer(tmp_path / "elsewhere") == []


def test_a_text_that_several_have_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("May be used.\n")
    both = [
        parts.Part("python", name, "1", ("MIT",), (tmp_path / "LICENSE",)) for name in ("a", "b")
    ]
    text = licences.licence_text([*both, parts.Part("python", "c", "2", ())])
    assert text.count("May be used.") == 1
    assert "\na, b\n" in text
    assert "\nc 2: says none\n" in text
    assert "Debian packages" not in text, "there are none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Format: https://x\nLicense: GPL-2+\n\nLicense: MIT\n", ("GPL-2+", "MIT")),
        ("This package was debianized by hand.\nLicense: GPL\n", ()),
        ("", ()),
    ],
)
def test_debian_s_licence_names(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "copyright").write_text(text)
    assert parts._debian_licences(tmp_path / "copyright") == expected
