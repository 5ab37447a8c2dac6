"""The built image, as a hospital runs it. ``make image``, then ``make smoke``; skipped where
IMAGE_UNDER_TEST names no image. Real DICOM: MMCCD_DATA says where.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.docker.containers import Bubblewrap, Call, Engine, find_engine, run, start
from tests.io.dicom_files import SECRETS, as_archived, save_all, single_frames

from mmccd.phantom import Phantom

logger = logging.getLogger(__name__)
IMAGE = os.environ.get("IMAGE_UNDER_TEST", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGE, reason="IMAGE_UNDER_TEST names no image: 'make smoke' does"),
]
LARGEST = 2.6e9  # bytes, of the image for CPUs
PYTHON = "/opt/mmccd/bin/python"
INPUT, OUTPUT = "/var/holoscan/input", "/var/holoscan/output"
QUICK = {"MMCCD_PRESET": "fast", "MMCCD_DEVICE": "cpu"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found, why = find_engine(IMAGE)
    if found is None:
        pytest.fail(why)
    yield found
    found.close()


@pytest.fixture(scope="module")
def site(engine: Engine) -> set[str]:
    """Names in site-packages."""
    start = "/opt/mmccd/lib/python3.11/site-packages/"
    found = {path.removeprefix(start) for path in engine.files() if path.startswith(start)}
    return {name for name in found if name and "/" not in name}


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory, lesion_phantom: Phantom) -> Path:
    """A folder with a head of whole numbers."""
    folder = tmp_path_factory.mktemp("nifti")
    flair = lesion_phantom.images["flair"]
    nib.save(nib.Nifti1Image(flair.data, flair.affine), folder / "head.nii.gz")
    return folder


def made_into(engine: Engine, source: Path, output: Path, **variables: str) -> dict[str, Any]:
    """The application's exit code and status file."""
    output.mkdir(exist_ok=True)
    call = Call(
        readable={INPUT: source}, writable={OUTPUT: output}, variables={**QUICK, **variables}
    )
    done = run(engine, call)
    status = output / "status.json"
    found: dict[str, Any] = json.loads(status.read_text()) if status.is_file() else {}
    assert "Traceback" not in done.stderr
    return {**found, "rc": done.returncode, "log": done.stderr}


def test_size(engine: Engine) -> None:
    logger.info("%s: %.2f GB (%s)", IMAGE, engine.size / 1e9, engine.name)
    assert "cuda" in IMAGE or engine.size <= LARGEST


def test_labels(engine: Engine) -> None:
    labels = engine.configuration["Labels"]
    opencontainers = "org.opencontainers.image."
    for name in ("title", "version", "revision", "created", "licenses", "base.name"):
        assert labels[opencontainers + name], name
    assert labels[f"{opencontainers}base.digest"].startswith("sha256:")
    assert labels["org.monai.deploy.app-sdk"] and labels["org.nvidia.holoscan"]
    assert labels["tag"] == IMAGE


def test_runs_as_nobody_of_note(engine: Engine) -> None:
    assert engine.configuration["User"] == "1000:1000"
    done = run(engine, Call(["-c", "id -u; touch /opt/x /etc/x"], entrypoint="/bin/sh"))
    assert done.stdout.strip() == "1000"
    assert done.returncode != 0


def test_help(engine: Engine) -> None:
    done = run(engine, Call(["help"]))
    assert done.returncode == 0, done.stderr
    for word in ("show", "extract", "env", "mmccd.apps.pacs", "--input", "Not a medical device"):
        assert word in done.stdout


def test_show(engine: Engine) -> None:
    app, package = (json.loads(run(engine, Call(["show", one])).stdout) for one in ("app", "pkg"))
    assert app["environment"]["HOLOSCAN_CONFIG_PATH"] == "/var/holoscan/app.yaml"
    assert package["models"]["decision"] == "/opt/holoscan/models/decision"
    both = run(engine, Call(["show"]))
    assert (both.returncode, both.stdout.count('"apiVersion"')) == (0, 2)
    assert run(engine, Call(["show", "all"])).returncode == 2


def test_the_manifest_s_environment_is_the_image_s(engine: Engine) -> None:
    app = json.loads(run(engine, Call(["show", "app"])).stdout)
    given = dict(entry.split("=", 1) for entry in engine.configuration["Env"])
    assert {name: given.get(name) for name in app["environment"]} == app["environment"]


def test_env(engine: Engine) -> None:
    given = {"MMCCD_PRESET": "full", "MMCCD_PACS_PASSWORD": "geheim"}
    done = run(engine, Call(["env"], variables=given))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "MMCCD_PRESET=full" in lines and "MMCCD_OPERATING_POINT=balanced" in lines
    assert f"HOLOSCAN_OUTPUT_PATH={OUTPUT}" in lines
    assert "geheim" not in done.stdout + done.stderr
    assert run(engine, Call(["env"], variables={"MMCCD_PRESET": "quick"})).returncode == 2


def test_mounted_settings_are_read(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("mmccd: {preset: fast, timeout_s: 77}\n")
    mounted = {"/var/holoscan/app.yaml": tmp_path / "app.yaml"}
    if isinstance(engine, Bubblewrap):  # it makes no place to mount at in a read-only root
        mounted = {"/var/holoscan": tmp_path}
    lines = run(engine, Call(["env"], readable=mounted)).stdout.splitlines()
    assert "MMCCD_PRESET=fast" in lines and "MMCCD_TIMEOUT_S=77.0" in lines


def test_extract(engine: Engine, tmp_path: Path) -> None:
    done = run(engine, Call(["extract"], writable={"/var/run/holoscan/export": tmp_path}))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"app", "config", "docs", "models"}
    assert (tmp_path / "models" / "decision" / "models" / "model.pt").stat().st_size > 1e6
    assert (tmp_path / "config" / "app.yaml").is_file()
    assert (tmp_path / "docs" / "deployment.md").is_file()
    text = (tmp_path / "docs" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {one["name"] for one in json.loads(text)["components"]}
    assert {"torch", "mmccd", "libc6", "decision"} <= names
    licences = (tmp_path / "docs" / "third_party_licences.txt").read_text()
    assert licences.count("\n") > 1000 and "torch 2." in licences


def test_extract_without_a_mount(engine: Engine) -> None:
    done = run(engine, Call(["extract"]))
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)


def test_the_service_s_help(engine: Engine) -> None:
    done = run(engine, Call(["-m", "mmccd.apps.pacs", "--help"], entrypoint=PYTHON))
    assert done.returncode == 0, done.stderr
    assert "--url" in done.stdout


def test_no_network(engine: Engine) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    assert run(engine, Call(["-c", code], entrypoint=PYTHON)).returncode != 0


def test_nothing_that_no_run_needs(engine: Engine, site: set[str]) -> None:
    unwanted = {"mlflow", "onnx", "onnxruntime", "onnxscript", "tensorboard", "ignite", "pip"}
    unwanted |= {"pytest", "mypy", "hypothesis", "playwright", "mkdocs", "dask", "uv", "cyclonedx"}
    assert site & unwanted == set()
    assert {"torch", "mmccd", "holoscan", "highdicom"} <= site
    files = engine.files()
    site_files = [path for path in files if path.startswith("/opt/mmccd/")]
    assert [path for path in site_files if path.endswith(".a")] == []
    installers = ("/pip/__init__.py", "/ensurepip/_bundled", "/pip-whl", "/cyclonedx/__init__.py")
    assert [path for path in files if path.endswith(installers)] == []
    left = ("/root/.cache/", "/var/lib/apt/lists/", "/tmp/", "/build/")
    assert [path for path in files if path.startswith(left)] == []


def test_what_is_compiled_is_used(engine: Engine) -> None:
    """Whatever the files' times, in a read-only root file system."""
    code = (
        "import importlib.util as u, mmccd.jobs as m; b=open(u.cache_from_source(m.__file__),'rb')"
    )
    done = run(engine, Call(["-c", f"{code}; print(b.read(8)[4])"], entrypoint=PYTHON))
    assert done.stdout.strip() == "1", "checked by no time and no hash (PEP 552)"


def test_a_phantom(engine: Engine, nifti: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    found = made_into(engine, nifti, tmp_path / "out")
    assert (found["rc"], found["state"]) == (0, "done"), found["log"]
    stages = found["studies"][0]["timings_s"]
    logger.info("a phantom: %.0f s, of these %s", time.monotonic() - began, stages)
    assert found["studies"][0]["result"]["anomaly_found"] is True
    names = {path.name for path in (tmp_path / "out").iterdir()}
    expected = {"report.json", "report.html", "anomaly_map.nii.gz", "segmentation.nii.gz"}
    assert expected | {"status.json", "brain_mask.nii.gz", "overview.png"} <= names
    health = Call(
        ["-m", "mmccd.apps.map.health"], entrypoint=PYTHON, readable={OUTPUT: tmp_path / "out"}
    )
    assert run(engine, health).returncode == 0
    assert made_into(engine, nifti, tmp_path / "out")["rc"] == 5, "results are there already"


def test_what_is_left_of_itk(engine: Engine, nifti: Path, tmp_path: Path) -> None:
    """N4 in the application, and volumes that ITK reads (docker/inventory/trim.py)."""
    found = made_into(engine, nifti, tmp_path / "out", MMCCD_BIAS_CORRECTION="true")
    assert found["rc"] == 0, found["log"]
    voxels = np.arange(4 * 5 * 6, dtype="<i2")
    header = "ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_SHORT\n"
    content = f"{header}ElementDataFile = LOCAL\n".encode() + voxels.tobytes()
    (tmp_path / "head.mha").write_bytes(content)
    code = f"from mmccd.io import read_volume; print(read_volume('{INPUT}/head.mha').data.sum())"
    call = Call(["-c", code], entrypoint=PYTHON, readable={INPUT: tmp_path})
    done = run(engine, call)
    assert done.stdout.strip() == f"{float(voxels.sum())}", done.stderr


def test_no_write_beside_output_and_tmp(engine: Engine, nifti: Path, tmp_path: Path) -> None:
    """Even where the root file system can be written to."""
    if not isinstance(engine, Bubblewrap):
        pytest.skip("docker shows no changes of a container that is gone; the root is read-only")
    (tmp_path / "out").mkdir()
    mark = tmp_path / "mark"
    mark.touch()
    call = Call(
        readable={INPUT: nifti},
        writable={OUTPUT: tmp_path / "out"},
        variables=QUICK,
        read_only=False,
    )
    done = run(engine, call)
    assert done.returncode == 0, done.stderr
    later = [
        path
        for path in engine.root.rglob("*")
        if not path.is_symlink() and path.stat().st_mtime > mark.stat().st_mtime
    ]
    assert later == []


def test_a_dicom_study(engine: Engine, tmp_path: Path, lesion_phantom: Phantom) -> None:
    """The phantom as a scanner stores it, with what MONAI Deploy's gateway lays beside each."""
    flair = lesion_phantom.images["flair"]
    pixels = np.rint(flair.data * (4000 / flair.data.max())).astype(np.uint16)
    datasets = single_frames(pixels, flair.affine)
    as_archived(datasets)
    save_all(datasets, tmp_path / "in")
    for path in list((tmp_path / "in").iterdir()):
        path.with_name(f"{path.name}.json").write_text('{"00080060": {"vr": "CS"}}')
    found = made_into(engine, tmp_path / "in", tmp_path / "out")
    assert found["rc"] == 0, found["log"]
    names = {path.name for path in (tmp_path / "out" / "dicom").iterdir()}
    assert {"segmentation.dcm", "report.dcm", "secondary_capture_1.dcm"} <= names
    text = found["log"] + (tmp_path / "out" / "status.json").read_text()
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("siemens_flair3d_4slices", 4),
        ("compressed_rle", 4),
        ("refuse_slicecount", 4),
        ("refuse_gantrytilting", 4),
    ],
)
def test_studies_of_scanners_that_are_refused(
    engine: Engine, real_data: Path, tmp_path: Path, name: str, code: int
) -> None:
    found = made_into(engine, real_data / "dicom" / name, tmp_path / "out")
    assert (found["rc"], found["state"]) == (code, "failed"), found["log"]
    assert found["studies"][0]["code"]
    assert not (tmp_path / "out" / "report.json").exists()


def test_exit_codes(engine: Engine, tmp_path: Path, nifti: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "head.nii.gz").write_bytes(b"\x1f\x8b no gzip")
    assert made_into(engine, tmp_path / "empty", tmp_path / "1")["rc"] == 3
    assert made_into(engine, tmp_path / "broken", tmp_path / "2")["rc"] == 3
    assert made_into(engine, nifti, tmp_path / "3", MMCCD_PRESET="quick")["rc"] == 2
    assert run(engine, Call(["--colour", "blue"])).returncode == 2
    read_only = Call(readable={INPUT: nifti, OUTPUT: tmp_path / "empty"}, variables=QUICK)
    assert run(engine, read_only).returncode == 5


def test_sigterm(engine: Engine, nifti: Path, tmp_path: Path) -> None:
    if not isinstance(engine, Bubblewrap):
        pytest.skip("the client's signals are docker's matter")
    output = tmp_path / "out"
    output.mkdir()
    call = Call(
        readable={INPUT: nifti}, writable={OUTPUT: output}, variables={"MMCCD_DEVICE": "cpu"}
    )
    process = start(engine, call)
    status = output / "status.json"
    deadline = time.monotonic() + 120
    while not (status.is_file() and "running" in status.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        inner = Path(f"/proc/{child}/task/{child}/children").read_text().split()
        os.kill(int(inner[0] if inner else child), signal.SIGTERM)
    process.communicate(timeout=60)
    found = json.loads(status.read_text())
    assert (found["state"], found["exit_code"], process.returncode) == ("cancelled", 143, 143)
