"""The round trip with a real archive on this machine: Debian's Orthanc with the settings of
docker/orthanc.json, and dcmtk.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from tests.apps.pacs.orthanc import DICOMWEB, Orthanc, running_orthanc
from tests.conftest import PROJECT
from tests.io.dicom_files import SECRETS, as_archived, save_all, single_frames
from tests.outputs.dicom.test_objects import columns_rows_slices, ones_in_patient_space

from mmccd.jobs import study_name
from mmccd.phantom import Phantom

# Where CI is set these tests run, or fail (but for the archive itself): they are never left out
# unnoticed.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("holoscan") is None and not os.environ.get("CI"),
        reason="the MONAI Deploy App SDK is not installed",
    ),
]
STUDY = "1.2.826.0.1.3680043.8.498.77"
USER, PASSWORD = "mmccd", "a pass:wörd"
MINUTES_S = 240
TIMES = {"flair": (9000.0, 120.0, 2500.0), "t1": (600.0, 12.0, None), "t2": (5000.0, 95.0, None)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)")
    settings = json.loads((PROJECT / "docker" / "orthanc.json").read_text())
    settings |= {"RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(DICOMWEB)]}
    with running_orthanc(tmp_path_factory.mktemp("orthanc") / "archive", **settings) as running:
        yield running


def send_study(
    folder: Path,
    phantom: Phantom,
    archive: Orthanc,
    uid: str,
    contrasts: tuple[str, ...] = ("t1", "flair", "t2"),
    first: int = 1,
) -> None:
    """A study of the phantom, a series for each contrast, numbered from the first on."""
    for number, name in enumerate(contrasts, first):
        image = phantom.images[name]
        array = np.rint(image.data * (4000 / image.data.max())).astype(np.uint16)
        datasets = single_frames(array, image.affine, f"{uid}.{number}", number, f"{name} tra")
        as_archived(datasets)
        for dataset in datasets:
            dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = uid, f"{uid}.9"
            dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = TIMES[name]
            dataset.ScanningSequence = ["SE", "IR"] if name == "flair" else ["SE"]
        save_all(datasets, folder / name)
    archive.send(folder)


def start(
    archive: Orthanc, folder: Path, bundles: Path, *words: str, **variables: str
) -> subprocess.Popen[str]:
    """The service with settings that are quick; its temporary files lie in ``folder/tmp``."""
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "password").write_text(PASSWORD + "\n")
    settings = {
        "MMCCD_PACS_URL": archive.dicomweb,
        "MMCCD_PACS_STATE": str(folder / "state"),
        "MMCCD_PACS_USER": USER,
    }
    settings |= {
        "MMCCD_PACS_PASSWORD_FILE": str(folder / "password"),
        "MMCCD_PACS_SETTLE_S": "0",
        "MMCCD_PACS_DAYS": "0",
    }
    settings |= {"HOLOSCAN_MODEL_PATH": str(bundles), "TMPDIR": str(folder / "tmp")}
    return program(["-m", "mmccd.apps.pacs", *words], {**settings, **variables})


def start_application(source: Path, output: Path, bundles: Path) -> subprocess.Popen[str]:
    """The application on the same files, without an archive."""
    return program(
        [str(PROJECT / "app"), "-i", str(source), "-o", str(output), "-m", str(bundles)], {}
    )


def program(words: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
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
    environment = {**clean, **settings, **variables}
    return subprocess.Popen(
        [sys.executable, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def once(
    archive: Orthanc, folder: Path, bundles: Path, **variables: str
) -> tuple[int, str, dict[str, Any]]:
    """One look at the archive: exit code, log, state file."""
    process = start(archive, folder, bundles, "--once", **variables)
    out, err = process.communicate(timeout=MINUTES_S)
    assert out == ""
    return process.returncode, err, json.loads((folder / "state" / "status.json").read_text())


def modalities(archive: Orthanc, uid: str) -> dict[str, int]:
    """The number of objects in a study, by modality."""
    (study,) = [
        entry
        for entry in archive.ask("studies?expand")
        if entry["MainDicomTags"]["StudyInstanceUID"] == uid
    ]
    series = [archive.ask(f"series/{name}") for name in study["Series"]]
    return {
        entry["MainDicomTags"]["Modality"] + entry["MainDicomTags"]["SeriesNumber"]: len(
            entry["Instances"]
        )
        for entry in series
    }


def seg_of(archive: Orthanc, folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The segmentation in the archive: array and affine in RAS."""
    (series,) = [
        entry
        for entry in archive.ask("series?expand")
        if entry["MainDicomTags"]["Modality"] == "SEG"
    ]
    (folder / "seg.dcm").write_bytes(archive.read(f"instances/{series['Instances'][0]}/file"))
    return columns_rows_slices(
        highdicom.seg.segread(folder / "seg.dcm").get_volume(combine_segments=True)
    )


def test_the_round_trip(
    tmp_path: Path, archive: Orthanc, lesion_phantom: Phantom, shared_bundles: Path
) -> None:
    """Results come back in the study; they are those that the application makes of the same files;
    a second and a third look do nothing more.
    """
    send_study(tmp_path / "source", lesion_phantom, archive, STUDY)
    count = lesion_phantom.brain.shape[2]
    assert modalities(archive, STUDY) == {"MR1": count, "MR2": count, "MR3": count}
    direct = start_application(tmp_path / "source", tmp_path / "out", shared_bundles)
    code, err, status = once(archive, tmp_path, shared_bundles)
    assert code == 0, err
    record = status["studies"][study_name(STUDY)]
    assert (status["state"], record["state"], record["exit_code"]) == ("done", "done", 0)
    after = modalities(archive, STUDY)
    assert {name: after[name] for name in ("MR1", "MR2", "MR3")} == {
        "MR1": count,
        "MR2": count,
        "MR3": count,
    }
    assert set(after) - {"MR1", "MR2", "MR3"} == {
        "SEG2001",
        "OT2002",
        "SR2003",
    }, "from series 2, the FLAIR"
    assert not list((tmp_path / "tmp").glob("mmccd*")), "no patient's files stay"
    text = err + (tmp_path / "state" / "status.json").read_text()
    assert not [secret for secret in (*SECRETS, STUDY, PASSWORD) if secret.lower() in text.lower()]

    _, err = direct.communicate(timeout=MINUTES_S)
    assert direct.returncode == 0, err
    nifti = nib.load(tmp_path / "out" / "segmentation.nii.gz")
    expected = ones_in_patient_space(np.asarray(nifti.dataobj), nifti.affine)
    assert len(expected) > 20
    np.testing.assert_allclose(
        ones_in_patient_space(*seg_of(archive, tmp_path)), expected, atol=0.01
    )
    written = {
        str(pydicom.dcmread(path).SOPInstanceUID) for path in (tmp_path / "out" / "dicom").iterdir()
    }
    stored = {entry["MainDicomTags"]["SOPInstanceUID"] for entry in archive.ask("instances?expand")}
    assert written <= stored, "the same objects, to their UIDs"

    code, err, status = once(archive, tmp_path, shared_bundles)
    assert (code, "fetched" in err) == (0, False), err
    (tmp_path / "state" / "status.json").unlink()
    code, err, status = once(archive, tmp_path, shared_bundles)
    assert (code, "has results in the archive" in err, "fetched" in err) == (0, True, False), err
    assert status["studies"][study_name(STUDY)]["state"] == "done"
    assert modalities(archive, STUDY) == after


def test_a_study_without_flair_and_sigterm(
    tmp_path: Path, archive: Orthanc, lesion_phantom: Phantom, shared_bundles: Path
) -> None:
    """It is refused with exit code 4 and nothing is stored; the service goes on, and ends with 143
    when it is told to.
    """
    uid = STUDY + "1"
    send_study(tmp_path / "source", lesion_phantom, archive, uid, ("t1", "t2"))
    process = start(archive, tmp_path, shared_bundles, MMCCD_PACS_POLL_S="1")
    path = tmp_path / "state" / "status.json"
    end = time.monotonic() + MINUTES_S
    record: dict[str, Any] = {}
    while time.monotonic() < end and process.poll() is None and record.get("state") != "refused":
        time.sleep(0.2)
        record = (
            json.loads(path.read_text())["studies"].get(study_name(uid), {})
            if path.is_file()
            else {}
        )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert (record["state"], record["exit_code"], record["attempts"]) == ("refused", 4, 0)
    assert set(modalities(archive, uid)) == {"MR1", "MR2"}
    assert json.loads(path.read_text())["state"] == "cancelled"
    assert not list((tmp_path / "tmp").glob("mmccd*"))


def test_a_study_that_grows(
    tmp_path: Path, archive: Orthanc, lesion_phantom: Phantom, shared_bundles: Path
) -> None:
    """A better FLAIR comes late (of two that are alike, the one with the lower number): both
    results are in the archive, and the prediction has seen the earlier report beside the images.
    """
    for study in archive.ask("studies"):  # of other tests
        archive.delete(f"studies/{study}")
    uid = STUDY + "2"
    send_study(tmp_path / "first", lesion_phantom, archive, uid, ("t1", "flair"), 5)
    code, err, _ = once(archive, tmp_path, shared_bundles)
    assert code == 0, err
    first = modalities(archive, uid)
    send_study(tmp_path / "late", lesion_phantom, archive, uid, ("flair",), 3)
    code, err, status = once(archive, tmp_path, shared_bundles)
    assert (code, "has grown since it was done" in err) == (0, True), err
    after = modalities(archive, uid)
    assert set(after) - set(first) == {"MR3", "SEG3001", "OT3002", "SR3003"}
    assert len(status["studies"][study_name(uid)]["images"]) == 2
    assert f"fetched {2 * lesion_phantom.brain.shape[2] + 1} objects of 3 series" in err
    reports = {int(one.SeriesNumber): one for one in our_reports(archive)}
    (study,) = reports[3003].PredecessorDocumentsSequence
    (earlier,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert earlier.ReferencedSOPInstanceUID == reports[6003].SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in reports[6003]
    code, err, _ = once(archive, tmp_path, shared_bundles)
    assert (code, modalities(archive, uid)) == (0, after), "once is enough"


def our_reports(archive: Orthanc) -> list[pydicom.Dataset]:
    """The structured reports that are ours."""
    found = [
        pydicom.dcmread(io.BytesIO(archive.read(f"instances/{one}/file")))
        for one in archive.ask("instances")
    ]
    return [one for one in found if (one.Modality, one.Manufacturer) == ("SR", "MMCCD")]
