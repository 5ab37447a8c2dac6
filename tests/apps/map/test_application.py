"""``python app`` as a program: results, exit codes, the status file, and nothing of the patient."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.conftest import PROJECT
from tests.io.dicom_files import SECRETS, as_archived, save_all, single_frames, write_series
from tests.programs import run_python

from mmccd.jobs import study_name
from mmccd.phantom import Phantom

# Where CI is set these tests run, or fail: they are never left out unnoticed.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("holoscan") is None and not os.environ.get("CI"),
        reason="the MONAI Deploy App SDK is not installed",
    ),
]
Image = tuple[NDArray[np.uint16], NDArray[np.float64]]


@pytest.fixture(scope="module")
def head(lesion_phantom: Phantom) -> Image:
    """Whole numbers in 12 bits, as a scanner stores them."""
    flair = lesion_phantom.images["flair"]
    return np.rint(flair.data * (4000 / flair.data.max())).astype(np.uint16), flair.affine


@pytest.fixture
def nifti(tmp_path: Path, head: Image) -> Path:
    nib.save(nib.Nifti1Image(*head), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def variables_of(variables: dict[str, str]) -> dict[str, str]:
    """Settings that are quick, and nobody's own."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MMCCD_", "HOLOSCAN_"))
    }
    settings = {
        "MMCCD_PRESET": "fast",
        "MMCCD_DEVICE": "cpu",
        "MMCCD_THRESHOLD": "0.7",
        "OMP_NUM_THREADS": "1",
    }
    return {**clean, **settings, **variables}


def command(source: Path, output: Path, models: Path) -> list[str]:
    """What follows ``python``."""
    return [str(PROJECT / "app"), "-i", str(source), "-o", str(output), "-m", str(models)]


def start(source: Path, output: Path, models: Path, **variables: str) -> subprocess.Popen[str]:
    """The application with settings that are quick."""
    return subprocess.Popen(
        [sys.executable, *command(source, output, models)],
        env=variables_of(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=output.parent,
    )


def run(
    source: Path, output: Path, models: Path, anew: bool = False, **variables: str
) -> tuple[int, str, dict[str, Any]]:
    """The application to its end: exit code, stderr, status file (empty where there is none).

    Args:
        anew: started as a program, and its working process too, else both are forked.
    """
    if anew:
        process = start(source, output, models, **variables)
        out, err = process.communicate(timeout=300)
        code = process.returncode
    else:
        found = run_python(command(source, output, models), output.parent, variables_of(variables))
        code, out, err = found.returncode, found.stdout, found.stderr
    assert out == ""
    status = output / "status.json"
    return code, err, json.loads(status.read_text()) if status.is_file() else {}


def in_study(uid: str) -> Callable[[list[Dataset]], None]:
    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets:
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, f"{uid}.5"
            dataset.SOPInstanceUID = f"{uid}.{dataset.SOPInstanceUID}"

    return change


def test_one_nifti_file(tmp_path: Path, nifti: Path, shared_bundles: Path) -> None:
    """Results lie in the output folder itself; each log line is JSON; settings reach the pipeline;
    a second run is refused.
    """
    code, err, status = run(
        nifti,
        tmp_path / "out",
        shared_bundles,
        anew=True,
        MMCCD_LOG_FORMAT="json",
        MMCCD_BIAS_CORRECTION="1",
        MMCCD_SEED="7",
    )
    assert code == 0, err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["input"]["bias_correction"] is True
    assert report["settings"]["seed"] == 7
    assert (status["state"], status["exit_code"]) == ("done", 0)
    (study,) = status["studies"]
    assert (study["name"], study["output"], study["state"]) == ("head", ".", "done")
    assert set(study["timings_s"]) == {"read", "brain", "check", "score", "write"}
    lines = [json.loads(line) for line in err.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    before = (tmp_path / "out" / "status.json").read_bytes()
    found = run(nifti, tmp_path / "out", shared_bundles)
    failed(found, 5, "replace them with MMCCD_FORCE=1")
    assert "--" not in found[1]
    assert (tmp_path / "out" / "status.json").read_bytes() == before, "that of the first run"
    assert (tmp_path / "out" / "report.json").is_file()


def test_what_is_chosen_and_what_was_there_before(
    tmp_path: Path, head: Image, shared_bundles: Path
) -> None:
    """Objects alone, a PDF among them; earlier objects beside the images are no image, and their
    report is superseded; dates in descriptions and flags are nowhere.
    """
    datasets = single_frames(*head, description="flair 2024-03-05")
    as_archived(datasets)
    source = save_all(datasets, tmp_path / "in")
    chosen = {"MMCCD_OUTPUTS": "dicom", "MMCCD_DICOM_OBJECTS": "report,pdf,segmentation"}
    code, err, _ = run(source, tmp_path / "first", shared_bundles, **chosen)
    assert code == 0, err
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        "status.json",
        "report.json",
        "dicom",
    }
    objects = sorted((tmp_path / "first" / "dicom").iterdir())
    assert [path.name for path in objects] == ["report.dcm", "report_pdf.dcm", "segmentation.dcm"]
    for path in objects:
        shutil.copy(path, source / f"earlier_{path.name}")
    found = {}
    for name, more in (("again", {}), ("second", {"MMCCD_SEED": "1"})):
        code, err, status = run(source, tmp_path / name, shared_bundles, **chosen, **more)
        assert code == 0, err
        text = err + json.dumps(status) + (tmp_path / name / "report.json").read_text()
        assert "2024" not in text.replace(json.dumps(status["versions"]), "")
        found[name] = json.loads((tmp_path / name / "report.json").read_text())
    first = json.loads((tmp_path / "first" / "report.json").read_text())
    assert found["again"]["dicom"] == first["dicom"]
    assert "supersedes" not in found["again"]
    report = pydicom.dcmread(tmp_path / "first" / "dicom" / "report.dcm")
    (superseded,) = found["second"]["supersedes"]
    assert superseded["sop_instance_uid"] == report.SOPInstanceUID
    assert superseded["date"][:10].replace("-", "") == report.InstanceCreationDate
    newer = pydicom.dcmread(tmp_path / "second" / "dicom" / "report.dcm")
    (item,) = newer.PredecessorDocumentsSequence
    (series,) = item.ReferencedSeriesSequence
    (reference,) = series.ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == report.SOPInstanceUID


def test_objects_alone_of_an_image_that_has_none(
    tmp_path: Path, nifti: Path, shared_bundles: Path
) -> None:
    found = run(nifti, tmp_path / "out", shared_bundles, MMCCD_OUTPUTS="dicom")
    failed(found, 4, "the input is no DICOM series")
    assert found[2]["studies"][0]["code"] == "dicom.no_objects"
    assert "MMCCD_OUTPUTS=both" in found[1]


def test_two_studies_of_which_one_is_bad(tmp_path: Path, head: Image, shared_bundles: Path) -> None:
    """The good one is done, the code is that of the bad one, and the patient's name is nowhere."""
    good, bad = tmp_path / "in" / "Mustermann_PID-4711", tmp_path / "in" / "Erika"
    datasets = single_frames(*head, description="flair Mustermann")
    in_study("1.2.8")(datasets)
    save_all(datasets, good)
    write_series(bad, lambda datasets: (in_study("1.2.9")(datasets), datasets.pop(3)))
    code, err, status = run(tmp_path / "in", tmp_path / "out", shared_bundles)
    assert code == 4, err
    by_name = {study["name"]: study for study in status["studies"]}
    assert by_name[study_name("1.2.8")]["exit_code"] == 0
    assert "slices are missing" in by_name[study_name("1.2.9")]["message"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["status.json", study_name("1.2.8")]
    )
    assert (tmp_path / "out" / study_name("1.2.8") / "report.json").is_file()
    objects = {path.name for path in (tmp_path / "out" / study_name("1.2.8") / "dicom").iterdir()}
    assert {"segmentation.dcm", "secondary_capture_1.dcm", "report.dcm"} <= objects
    text = err + (tmp_path / "out" / "status.json").read_text()
    assert not [
        secret for secret in (*SECRETS, "1.2.8.5", "1.2.9.5") if secret.lower() in text.lower()
    ]


def failed(found: tuple[int, str, dict[str, Any]], code: int, *texts: str) -> None:
    """The run ended with that code, and each text stands in an error of one line; no traceback."""
    assert found[0] == code, found[1]
    errors = [line for line in found[1].splitlines() if " ERROR " in line]
    for text in texts:
        assert [line for line in errors if text in line], found[1]
    assert len(errors) == len(texts)
    assert "Traceback" not in found[1]


class TestExitCodes:
    """Each run ends with its code, and leaves nothing but the status file."""

    def test_what_is_wrong_at_once(self, tmp_path: Path, nifti: Path, shared_bundles: Path) -> None:
        output = tmp_path / "out"
        failed(
            run(nifti, output, shared_bundles, MMCCD_PRESET="quick"),
            2,
            "MMCCD_PRESET: 'quick': cannot be used",
        )
        assert not output.exists()
        failed(run(tmp_path / "none", output, shared_bundles), 3, "no such file")
        assert [path.name for path in output.iterdir()] == ["status.json"]
        failed(run(nifti, nifti, shared_bundles), 5, "is a file")

    def test_two_bad_files(self, tmp_path: Path, shared_bundles: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "damaged.nii.gz").write_bytes(b"no image")
        nib.save(
            nib.Nifti1Image(np.zeros((8, 8, 1), np.int16), np.eye(4)),
            tmp_path / "in" / "flat.nii.gz",
        )
        found = run(tmp_path / "in", tmp_path / "out", shared_bundles)
        failed(found, 3, "is not a NIfTI file or is damaged", "has shape (8, 8, 1)")
        assert [study["exit_code"] for study in found[2]["studies"]] == [3, 4]
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.json"]

    @pytest.mark.parametrize(
        ("name", "value", "code", "text"),
        [
            ("MMCCD_DEVICE", "cuda:99", 2, "this machine has"),
            ("HOLOSCAN_MODEL_PATH", "nowhere", 6, "no such bundle"),
            ("MMCCD_TIMEOUT_S", "0.01", 7, "took longer than 0.01 s"),
        ],
    )
    def test_what_is_wrong_later(
        self,
        tmp_path: Path,
        nifti: Path,
        shared_bundles: Path,
        name: str,
        value: str,
        code: int,
        text: str,
    ) -> None:
        models = tmp_path / value if name == "HOLOSCAN_MODEL_PATH" else shared_bundles
        found = run(
            nifti,
            tmp_path / "out",
            models,
            **({} if name == "HOLOSCAN_MODEL_PATH" else {name: value}),
        )
        failed(found, code, text)
        assert (found[2]["state"], found[2]["exit_code"]) == ("failed", code)
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.json"]


def test_sigterm_in_the_middle(tmp_path: Path, nifti: Path, shared_bundles: Path) -> None:
    """Code 143, the status file says so, and nothing is half written."""
    process = start(nifti, tmp_path / "out", shared_bundles)
    status = tmp_path / "out" / "status.json"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if status.is_file() and '"stage": "score"' in status.read_text():
            break
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    assert json.loads(status.read_text())["state"] == "running"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143, err
    content = json.loads(status.read_text())
    assert (content["state"], content["exit_code"], content["studies"][0]["state"]) == (
        "cancelled",
        143,
        "cancelled",
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.json"]


def test_a_low_stack_limit(tmp_path: Path, nifti: Path, shared_bundles: Path) -> None:
    """One line, before anything is done."""
    words = (
        f'ulimit -s 8192; exec "{sys.executable}" "{PROJECT / "app"}" -i "{nifti}" -o'
        f' "{tmp_path / "out"}" -m "{shared_bundles}"'
    )
    found = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "the stack is limited to 8 MiB" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
