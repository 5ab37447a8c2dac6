"""The wheel: what is in it, and that it works far away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from tests.conftest import write_weights

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.bundle.find import BRAIN
from mmccd.models.networks import TranslationUNet

pytestmark = pytest.mark.slow

PARTS = ("app", "bundles", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(
    command: list[str | Path], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A program in a folder, without what would lead it back to the checkout."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "HOLOSCAN_MODEL_PATH")
    }
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**clean, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(
    tmp_path_factory: pytest.TempPathFactory,
    project: Path,
    tiny_networks: dict[str, TranslationUNet],
) -> Path:
    """The wheel of a copy of the checkout, which is gone afterwards; with weights of f that ship
    and others that must not.
    """
    root = tmp_path_factory.mktemp("wheel")
    copy = root / "copy"
    for name in PARTS:
        source = project / name
        if source.is_dir():
            weights = ("models",) if name == "bundles" else ()
            ignored = shutil.ignore_patterns("__pycache__", "runs", "*.egg-info", *weights)
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)
    write_weights(copy / "bundles" / FORWARD, tiny_networks[FORWARD], "flair", "t2")
    write_weights(
        copy / "bundles" / FORWARD, tiny_networks[FORWARD], "flair", "t1", "research/flair_t1"
    )
    write_weights(
        copy / "bundles" / BACKWARD, tiny_networks[BACKWARD], "t1", "flair", "research/t1_flair"
    )
    shutil.copytree(project / "bundles" / BRAIN / "models", copy / "bundles" / BRAIN / "models")
    (copy / "bundles" / FORWARD / "runs").mkdir()
    (copy / "bundles" / FORWARD / "runs" / "last.pt").touch()
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        root,
        copy,
    ]
    found = run(build, root)
    assert found.returncode == 0, found.stdout + found.stderr
    shutil.rmtree(copy)
    (path,) = root.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mmccd`` in an environment of its own, which sees the packages of this one but not its
    editable installs.
    """
    venv = tmp_path_factory.mktemp("venv") / "v"
    assert run([sys.executable, "-m", "venv", "--without-pip", venv], venv.parent).returncode == 0
    (site,) = venv.glob("lib/python*/site-packages")
    # A plain path line: .pth files in that folder, such as those of editable installs, are not
    # followed.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        venv / "bin" / "python",
        "install",
        "--no-deps",
        "--no-index",
    ]
    found = run([*install, "--force-reinstall", wheel], venv.parent)
    assert found.returncode == 0, found.stdout + found.stderr
    return venv / "bin" / "mmccd"


def test_content(wheel: Path, project: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (FORWARD, BACKWARD, "decision", BRAIN):
        for part in ("configs", "calibrations"):
            for path in (project / "bundles" / name / part).rglob("*.json"):
                assert f"mmccd/bundles/{path.relative_to(project / 'bundles')}" in names
        assert not [entry for entry in names if f"{name}/models/research" in entry]
        assert not [entry for entry in names if f"{name}/runs" in entry]
    for name in (FORWARD, BRAIN):
        assert {
            f"mmccd/bundles/{name}/models/model.pt",
            f"mmccd/bundles/{name}/models/model.json",
        } <= names
    for path in (project / "app" / "mmccd").rglob("*"):
        if path.suffix in (".py", ".pyi") or path.name == "py.typed":
            assert str(path.relative_to(project / "app")) in names
    assert any(entry.endswith("LICENSE") for entry in names)
    assert not [entry for entry in names if entry.startswith("tests") or "__pycache__" in entry]


def test_doctor_finds_its_own_bundles(program: Path, tmp_path: Path) -> None:
    found = run([program, "doctor"], tmp_path)
    assert found.returncode == 6, "f has weights, g has none"
    assert str(program.parents[1]) in found.stdout, "its bundles are those of the wheel"
    assert str(Path(BACKWARD) / "models") in found.stdout
    assert found.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_predict(program: Path, tmp_path: Path, tiny_bundles: Path, phantom_data: Path) -> None:
    source = phantom_data / "lesion" / "lesion_flair.nii.gz"
    words = [
        "predict",
        source,
        "--output",
        "out",
        "--bundles",
        tiny_bundles,
        "--threshold",
        "0.7",
        "--preset",
        "fast",
        "--device",
        "cpu",
    ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = run([program, *words], elsewhere)
    assert found.returncode == 0, found.stderr
    assert all(line.startswith("WARNING") for line in found.stderr.splitlines()), found.stderr
    report = json.loads((elsewhere / "out" / "report.json").read_text())
    assert report["status"] == "done"


def test_the_checkout_is_not_used(program: Path, project: Path, tmp_path: Path) -> None:
    found = run(
        [
            program.with_name("python"),
            "-c",
            "import mmccd, mmccd.bundles; print(mmccd.__file__, mmccd.bundles.__file__)",
        ],
        tmp_path,
    )
    assert found.returncode == 0, found.stderr
    assert all(word.startswith(str(program.parents[1])) for word in found.stdout.split())
    assert str(project) not in found.stdout
