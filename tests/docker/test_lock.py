"""docker/locks hold what setup.cfg asks for, at the versions of constraints.txt, file by file."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.conftest import PROJECT
from tests.docker.scripts import load

lock = load("lock")
NAMES = ("cpu", "cuda", "tools")
# Not in constraints.txt: torch's CUDA build has a pin of its own for it (see there).
FREE = ("nvidia-cuda-runtime",)


def pins(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each package."""
    text = (PROJECT / "docker" / "locks" / f"{name}.txt").read_text()
    text = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    found = {}
    for entry in text.replace("\\\n", " ").splitlines():
        (package, version), *hashes = entry.split(" ")[0].split("=="), *entry.split()[1:]
        found[package] = (version, hashes)
    return found


def constraints() -> dict[str, str]:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def needed(wanted: list[str]) -> set[str]:
    """Names of all that is needed, by what is installed here."""
    found: set[str] = set()
    queue = [Requirement(line) for line in wanted]
    environment = {
        **default_environment(),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "python_version": "3.11",
        "python_full_version": "3.11.9",
    }
    seen: set[tuple[str, str]] = set()
    while queue:
        one = queue.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found.add(name)
            try:
                lines = distribution(name).requires or []
            except PackageNotFoundError:
                continue
            for line in lines:
                below = Requirement(line)
                if not below.marker or below.marker.evaluate({**environment, "extra": extra}):
                    queue.append(below)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_a_hash(name: str) -> None:
    for package, (version, hashes) in pins(name).items():
        assert re.fullmatch(r"[0-9][0-9A-Za-z.+]*", version), package
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


@pytest.mark.parametrize("name", NAMES)
def test_versions_are_those_that_were_tested(name: str) -> None:
    tested = constraints()
    found = {
        package: version.removesuffix("+cpu")
        for package, (version, _) in pins(name).items()
        if package not in FREE and not (package.startswith("nvidia-") or package == "triton")
    }
    both = [one for one in found if one in tested]
    assert {one: found[one] for one in both} == {one: tested[one] for one in both}, "'make lock'"
    assert set(found) - set(tested) <= {"cuda-toolkit"}, "of torch's CUDA build only"


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_nothing_is_missing(name: str) -> None:
    """All that setup.cfg asks for, and what that needs; 'make lock' after each change of it."""
    missing = needed(lock.requirements(lock.EXTRAS)) - set(pins(name))
    assert missing == set(), "run 'make lock'"


def test_the_tools_are_complete() -> None:
    assert needed(list(lock.TOOLS)) - set(pins("tools")) == set()


def test_what_differs_between_the_builds() -> None:
    cpu, cuda = pins("cpu"), pins("cuda")
    assert cpu["torch"][0] == f"{cuda['torch'][0]}+cpu"
    assert not any("cublas" in name for name in cpu)
    assert {"nvidia-cublas", "triton"} <= set(cuda)
    assert set(cpu) <= set(cuda)


def test_the_cuda_runtime_is_pinned() -> None:
    assert {pins(name)["nvidia-cuda-runtime"][0].split(".")[0] for name in ("cpu", "cuda")} == {
        "13"
    }


@pytest.mark.parametrize(
    ("name", "package", "version", "sha256"),
    [
        (
            "cpu",
            "numpy",
            "2.4.6",
            "89cd468399cfd2504718f0ba50e410dca55a170b61a02ad92bb18c8a65186e93",
        ),
        (
            "cpu",
            "torch",
            "2.13.0+cpu",
            "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        ),
        (
            "cuda",
            "nvidia-cuda-runtime",
            "13.0.96",
            "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        ),
    ],
)
def test_hashes_known_from_elsewhere(name: str, package: str, version: str, sha256: str) -> None:
    """Published by others: a mirror that serves something else would be seen."""
    found, hashes = pins(name)[package]
    if found != version:
        pytest.skip(f"{package} {found}: only the hash of {version} is known")
    assert hashes == [f"--hash=sha256:{sha256}"]


def test_only_the_image_s_files_are_named() -> None:
    wheels = [
        {"url": f"https://x/a-1.0-{tags}.whl", "hashes": {"sha256": digit * 64}}
        for tags, digit in (
            ("cp311-cp311-manylinux_2_28_x86_64", "1"),
            ("cp312-cp312-manylinux_2_28_x86_64", "2"),
            ("cp311-cp311-macosx_11_0_arm64", "3"),
            ("py3-none-any", "4"),
            ("cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64", "5"),
            ("cp311-cp311-manylinux_2_39_x86_64", "6"),
        )
    ]
    text = lock.written({"packages": [{"name": "a", "version": "1.0", "wheels": wheels}]}, "")
    assert re.findall(r"sha256:(\d)", text) == ["1", "4", "5"]


def test_a_package_without_a_wheel() -> None:
    wheel = {"url": "https://x/a-1.0-cp311-cp311-win_amd64.whl", "hashes": {"sha256": "0" * 64}}
    with pytest.raises(SystemExit, match="a: no wheel"):
        lock.written({"packages": [{"name": "a", "version": "1.0", "wheels": [wheel]}]}, "")
