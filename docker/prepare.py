"""The build context of the image, build/image: the project's wheel, the locks, the models, the MAP
manifests made from app/app.yaml, and the labels.

python docker/prepare.py --target cpu|cuda --tag TAG --base NAME --digest SHA256 --revision COMMIT
    [--wheels DIR]

--wheels: a folder with wheels that are taken instead of the registry's, e.g. torch's CPU build.
Variables: PIP_INDEX_URL, TORCH_INDEX_URL, CA_FILE, SOURCE_DATE_EPOCH, SOURCE_URL (docker/build.sh).
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = ROOT / "build" / "image"
BUNDLES = ("forward_masked_diffusion", "backward_translator", "decision", "brain_extraction")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class Build:
    """What an image is made of.

    Attributes:
        name: of the image.
        version: of the package.
        target: ``cpu`` or ``cuda``.
        tag: the image's name with its tag.
        base: the image that it stands on.
        digest: of the base, ``sha256:...``, or ``unknown``.
        revision: the commit; with ``-dirty`` behind it where files were changed.
        created: time, ISO 8601.
        source: address of the sources, or empty.
    """

    name: str
    version: str
    target: str
    tag: str
    base: str
    digest: str
    revision: str
    created: str
    source: str = ""


def pinned(package: str) -> str:
    """The version of a package that setup.cfg pins for the application.

    Args:
        package: its name.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options.extras_require"]["deploy"]
    found = re.search(rf"^{re.escape(package)}==([^;\s]+)", lines, re.MULTILINE)
    if found is None:
        raise SystemExit(f"setup.cfg: {package} has no exact version in the extra deploy")
    return found[1]


def app_manifest(config: dict[str, Any]) -> dict[str, Any]:
    """``/etc/holoscan/app.json``: how the application is run."""
    about = config["application"]
    return {
        "apiVersion": "1.0.0",
        "command": json.dumps(["/opt/holoscan/entrypoint.sh"]),
        "environment": {
            "HOLOSCAN_APPLICATION": "/opt/holoscan/app",
            "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
            "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
            "HOLOSCAN_WORKDIR": "/var/holoscan",
            "HOLOSCAN_MODEL_PATH": "/opt/holoscan/models",
            "HOLOSCAN_CONFIG_PATH": "/var/holoscan/app.yaml",
            "HOLOSCAN_APP_MANIFEST_PATH": "/etc/holoscan/app.json",
            "HOLOSCAN_PKG_MANIFEST_PATH": "/etc/holoscan/pkg.json",
            "HOLOSCAN_DOCS_PATH": "/opt/holoscan/docs",
        },
        "input": {"path": "/var/holoscan/input", "formats": about["inputFormats"]},
        "output": {"path": "/var/holoscan/output", "formats": about["outputFormats"]},
        "liveness": None,
        "readiness": None,
        "timeout": 0,
        "sdk": "monai-deploy",
        "sdkVersion": pinned("monai-deploy-app-sdk"),
        "version": about["version"],
        "workingDirectory": "/var/holoscan",
    }


def package_manifest(config: dict[str, Any]) -> dict[str, Any]:
    """``/etc/holoscan/pkg.json``: what is in the image and what it needs."""
    return {
        "apiVersion": "1.0.0",
        "applicationRoot": "/opt/holoscan/app",
        "modelRoot": "/opt/holoscan/models",
        "models": {name: f"/opt/holoscan/models/{name}" for name in BUNDLES},
        "resources": config["resources"],
        "version": config["application"]["version"],
        "platformConfig": "x64-workstation",
    }


def labels(config: dict[str, Any], build: Build) -> dict[str, str]:
    """Labels of the image: those of OCI and of MONAI Deploy's packager."""
    opencontainers = {
        "title": config["application"]["title"],
        "description": "Anomaly segmentation in brain MRI. Research use only,"
        " not a medical device.",
        "version": build.version,
        "revision": build.revision,
        "created": build.created,
        "source": build.source,
        "licenses": "Apache-2.0",
        "base.name": build.base.partition("@")[0],
        "base.digest": build.digest,
    }
    return {
        **{
            f"org.opencontainers.image.{name}": text
            for name, text in opencontainers.items()
            if text
        },
        "base": build.base,
        "tag": build.tag,
        "org.nvidia.holoscan": pinned("holoscan-cu13"),
        "org.monai.deploy.app-sdk": pinned("monai-deploy-app-sdk"),
    }


def pip_configuration(target: str, wheels: list[str], environment: Mapping[str, str]) -> str:
    """``pip.conf`` of the build. It lies in the context, not in the image or its history: an index
    URL may have a password in it.

    Args:
        target: ``cpu`` or ``cuda``.
        wheels: names of the wheels in the context.
        environment: with PIP_INDEX_URL, TORCH_INDEX_URL and CA_FILE, where they are given.
    """
    lines = ["[global]", "no-cache-dir = true", "disable-pip-version-check = true"]
    lines += ["root-user-action = ignore", "find-links = /build/wheels"]
    if environment.get("PIP_INDEX_URL"):
        lines.append(f"index-url = {environment['PIP_INDEX_URL']}")
    if target == "cpu" and not any(re.match(r"torch-.*cpu", name) for name in wheels):
        lines.append(f"extra-index-url = {environment.get('TORCH_INDEX_URL') or TORCH_INDEX}")
    if environment.get("CA_FILE"):
        lines.append("cert = /build/ca.pem")
    return "\n".join(lines) + "\n"


def prepare(
    context: Path, wheels: Path | None, build: Build, environment: Mapping[str, str]
) -> None:
    """Fill the folder anew.

    Args:
        context: folder to make; what was there is removed.
        wheels: wheels that ``pip`` is to prefer, or None.
        build: what the image is made of.
        environment: as of :func:`pip_configuration`.
    """
    shutil.rmtree(context, ignore_errors=True)
    (context / "wheels").mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")) if wheels else []:
        shutil.copy(wheel, context / "wheels")
    _make_wheel(context)
    shutil.copytree(ROOT / "docker" / "locks", context / "locks")
    shutil.copytree(
        ROOT / "docker" / "inventory",
        context / "inventory",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("entrypoint.sh", "install.sh", "commands.py"):
        shutil.copy(ROOT / "docker" / name, context)
    if environment.get("CA_FILE"):
        shutil.copy(environment["CA_FILE"], context / "ca.pem")
    names = [path.name for path in (context / "wheels").iterdir()]
    (context / "pip.conf").write_text(pip_configuration(build.target, names, environment))
    (context / "image.json").write_text(json.dumps(asdict(build), indent=2) + "\n")
    _copy_application(context / "holoscan")
    config = yaml.safe_load((ROOT / "app" / "app.yaml").read_text())
    manifests = context / "manifests"
    manifests.mkdir()
    for name, content in (
        ("app.json", app_manifest(config)),
        ("pkg.json", package_manifest(config)),
    ):
        (manifests / name).write_text(json.dumps(content, indent=2) + "\n")
    lines = (f"{name}={text}\n" for name, text in labels(config, build).items())
    (context / "labels.txt").write_text("".join(lines))


def _make_wheel(context: Path) -> None:
    with tempfile.TemporaryDirectory() as copy:  # setuptools builds inside the folder it is given
        source = Path(copy) / "source"
        for name in ("app", "bundles"):
            shutil.copytree(
                ROOT / name,
                source / name,
                ignore=shutil.ignore_patterns("__pycache__", "research", "runs", "*.egg-info"),
            )
        for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "wheel",
                "--quiet",
                "--no-deps",
                "--no-build-isolation",
                "--wheel-dir",
                str(context),
                str(source),
            ],
            check=True,
        )


def _copy_application(holoscan: Path) -> None:
    (holoscan / "app").mkdir(parents=True)
    for name in ("__main__.py", "app.yaml", "requirements.txt"):
        shutil.copy(ROOT / "app" / name, holoscan / "app")
    for name in BUNDLES:
        shutil.copytree(
            ROOT / "bundles" / name,
            holoscan / "models" / name,
            ignore=shutil.ignore_patterns("research", "runs", "__pycache__"),
        )
    shutil.copytree(
        ROOT / "docs",
        holoscan / "docs",
        ignore=shutil.ignore_patterns("images", "results", "benchmarks", "hooks.py", "tables.py"),
    )
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, holoscan / "docs")


def main() -> None:
    """Prepare the context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--target", choices=("cpu", "cuda"), required=True)
    for name in ("tag", "base", "digest", "revision"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--wheels", type=Path)
    words = parser.parse_args()
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    seconds = int(os.environ["SOURCE_DATE_EPOCH"])
    build = Build(
        name=config["metadata"]["name"],
        version=config["metadata"]["version"],
        target=words.target,
        tag=words.tag,
        base=words.base,
        digest=words.digest,
        revision=words.revision,
        created=datetime.fromtimestamp(seconds, UTC).isoformat(),
        source=os.environ.get("SOURCE_URL", ""),
    )
    prepare(CONTEXT, words.wheels, build, os.environ)


if __name__ == "__main__":
    main()
