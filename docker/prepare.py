"""The build context of the image, build/image: the project's wheel, the pins, the models, and the
MAP manifests made from app/app.yaml.

python docker/prepare.py [--wheels DIR]

--wheels: a folder with wheels that are taken instead of the registry's, e.g. torch's CPU build.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = ROOT / "build" / "image"
BUNDLES = ("forward_masked_diffusion", "backward_translator", "decision", "brain_extraction")
SDK_VERSION = "4.0.0"


def app_manifest(config: dict[str, Any]) -> dict[str, Any]:
    """``/etc/holoscan/app.json``: how the application is run."""
    about = config["application"]
    return {
        "apiVersion": "1.0.0",
        "command": json.dumps(["/opt/holoscan/entrypoint.sh"]),
        "environment": {
            "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
            "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
            "HOLOSCAN_MODEL_PATH": "/opt/holoscan/models",
        },
        "input": {"path": "/var/holoscan/input", "formats": about["inputFormats"]},
        "output": {"path": "/var/holoscan/output", "formats": about["outputFormats"]},
        "liveness": None,
        "readiness": None,
        "timeout": 0,
        "sdk": "monai-deploy",
        "sdkVersion": SDK_VERSION,
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


def prepare(context: Path, wheels: Path | None) -> None:
    """Fill the folder anew.

    Args:
        context: folder to make; what was there is removed.
        wheels: wheels that ``pip`` is to prefer, or None.
    """
    shutil.rmtree(context, ignore_errors=True)
    (context / "wheels").mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")) if wheels else []:
        shutil.copy(wheel, context / "wheels")
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
                "--wheel-dir",
                str(context),
                str(source),
            ],
            check=True,
        )
    shutil.copy(ROOT / "constraints.txt", context)
    for name in ("entrypoint.sh", "install.sh"):
        shutil.copy(ROOT / "docker" / name, context)
    holoscan = context / "holoscan"
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
        ignore=shutil.ignore_patterns("images", "results", "benchmarks"),
    )
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, holoscan / "docs")
    config = yaml.safe_load((ROOT / "app" / "app.yaml").read_text())
    manifests = context / "manifests"
    manifests.mkdir()
    for name, content in (
        ("app.json", app_manifest(config)),
        ("pkg.json", package_manifest(config)),
    ):
        (manifests / name).write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Prepare the context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--wheels", type=Path)
    prepare(CONTEXT, parser.parse_args().wheels)


if __name__ == "__main__":
    main()
