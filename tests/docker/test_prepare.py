"""docker/prepare.py: manifests, labels and pip's configuration; docker/build.sh, Dockerfile."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import PROJECT
from tests.docker.scripts import load

prepare = load("prepare")
DOCKERFILE = (PROJECT / "docker" / "Dockerfile").read_text()
BUILD = prepare.Build(
    name="mmccd",
    version="0.1.0",
    target="cpu",
    tag="mmccd:0.1.0-cpu",
    base="docker.io/library/python:3.11-slim-bookworm@sha256:" + "a" * 64,
    digest="sha256:" + "a" * 64,
    revision="b" * 40,
    created="2026-11-28T00:00:00+00:00",
    source="https://example.org/mmccd",
)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / "app" / "app.yaml").read_text()))


def image_variables() -> dict[str, str]:
    """ENV of the Dockerfile's first stage."""
    block = DOCKERFILE.split("ENV ", 1)[1].split("\n\n")[0].replace("\\\n", " ")
    return dict(word.split("=", 1) for word in block.split())


def test_the_manifest_names_the_image_s_paths(config: dict[str, Any]) -> None:
    app = prepare.app_manifest(config)
    assert app["environment"]["HOLOSCAN_CONFIG_PATH"] == "/var/holoscan/app.yaml"
    given = image_variables()
    assert {name: given.get(name) for name in app["environment"]} == app["environment"]
    assert app["input"]["path"] == given["HOLOSCAN_INPUT_PATH"]
    assert app["output"]["path"] == given["HOLOSCAN_OUTPUT_PATH"]
    assert app["workingDirectory"] == given["HOLOSCAN_WORKDIR"]
    (entrypoint,) = json.loads(app["command"])
    assert f'ENTRYPOINT ["{entrypoint}"]' in DOCKERFILE


def test_the_manifest_has_the_packager_s_keys(config: dict[str, Any]) -> None:
    """Of holoscan-cli's own manifests (apiVersion 1.0.0)."""
    keys = {"apiVersion", "command", "environment", "input", "liveness", "output", "readiness"}
    keys |= {"sdk", "sdkVersion", "timeout", "version", "workingDirectory"}
    assert set(prepare.app_manifest(config)) == keys
    keys = {"apiVersion", "applicationRoot", "modelRoot", "models", "resources", "version"}
    package = prepare.package_manifest(config)
    assert set(package) == {*keys, "platformConfig"}
    assert set(package["resources"]) == {"cpu", "gpu", "memory", "gpuMemory"}
    for name in package["models"]:
        assert (PROJECT / "bundles" / name / "models" / "model.pt").is_file()


def test_versions_are_those_of_setup_cfg(config: dict[str, Any]) -> None:
    assert prepare.app_manifest(config)["sdkVersion"] == prepare.pinned("monai-deploy-app-sdk")
    assert config["application"]["version"] == version("mmccd")
    lock = (PROJECT / "docker" / "locks" / "cpu.txt").read_text()
    for package in ("monai-deploy-app-sdk", "holoscan-cu13", "holoscan-cli"):
        assert f"\n{package}=={prepare.pinned(package)} " in lock
    with pytest.raises(SystemExit, match="requests"):
        prepare.pinned("requests")


def test_labels(config: dict[str, Any]) -> None:
    found = prepare.labels(config, BUILD)
    about = "org.opencontainers.image."
    assert found[f"{about}title"] == config["application"]["title"]
    assert found[f"{about}version"] == BUILD.version
    assert found[f"{about}revision"] == BUILD.revision
    assert found[f"{about}created"] == BUILD.created
    assert found[f"{about}source"] == BUILD.source
    assert found[f"{about}licenses"] == "Apache-2.0"
    assert found[f"{about}base.name"] == "docker.io/library/python:3.11-slim-bookworm"
    assert found[f"{about}base.digest"] == BUILD.digest
    assert (found["base"], found["tag"]) == (BUILD.base, BUILD.tag)
    assert found["org.monai.deploy.app-sdk"] == "4.0.0"
    assert found["org.nvidia.holoscan"] == "4.2.0"
    assert not any("\n" in text for text in found.values())


def test_no_label_without_text(config: dict[str, Any]) -> None:
    from dataclasses import replace

    assert "org.opencontainers.image.source" not in prepare.labels(
        config, replace(BUILD, source="")
    )


def test_pip_takes_the_given_index_and_certificates() -> None:
    given = {"PIP_INDEX_URL": "https://user:word@pypi.example/simple", "CA_FILE": "/etc/ca.pem"}
    text = prepare.pip_configuration("cpu", [], given)
    assert "index-url = https://user:word@pypi.example/simple\n" in text
    assert "cert = /build/ca.pem\n" in text
    assert f"extra-index-url = {prepare.TORCH_INDEX}\n" in text


def test_pip_needs_torch_s_index_only_for_its_cpu_build() -> None:
    wheels = ["torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"]
    assert "extra-index-url" not in prepare.pip_configuration("cpu", wheels, {})
    assert "extra-index-url" not in prepare.pip_configuration("cuda", [], {})
    other = {"TORCH_INDEX_URL": "https://mirror.example/whl/cpu"}
    assert "extra-index-url = https://mirror.example/whl/cpu\n" in prepare.pip_configuration(
        "cpu", [], other
    )


def test_no_word_of_the_index_is_in_the_image() -> None:
    """Build arguments stand in an image's history."""
    arguments = re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)
    assert arguments == ["BASE"]
    assert not re.search(r"^(COPY|ADD) ", DOCKERFILE, re.MULTILINE), "the context is only mounted"


def test_the_base_is_named_by_its_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_in_ci_a_base_needs_a_digest(tmp_path: Path) -> None:
    """Before anything is built: the engine is a program that does nothing."""
    (tmp_path / "buildah").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 9\n")
    for name in ("buildah", "docker"):
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(PROJECT / "docker" / "build.sh"), "cpu"],
        env={
            **os.environ,
            "PATH": path,
            "CI": "true",
            "BASE": "python:3.11-slim",
            "PYTHON": "false",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "BASE is python:3.11-slim; expected a digest" in done.stderr


def test_everything_is_installed_by_hash() -> None:
    script = (PROJECT / "docker" / "install.sh").read_text()
    commands = re.findall(r"pip install .*", script)
    assert len(commands) == 3
    for command in commands:
        assert "--require-hashes" in command or "--no-index" in command
        assert "--no-deps" in command
    assert "pip check" in script


@pytest.mark.parametrize("name", ["build.sh", "install.sh", "entrypoint.sh"])
def test_scripts_are_sound(name: str) -> None:
    assert subprocess.run(["sh", "-n", str(PROJECT / "docker" / name)]).returncode == 0
