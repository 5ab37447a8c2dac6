"""The whole way with the prediction itself: C-FIND, C-MOVE, the networks, C-STORE, storage
commitment.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.apps.pacs.orthanc import free_port, running_orthanc
from tests.apps.pacs.test_pacs import (
    MINUTES_S,
    STUDY,
    modalities,
    program,
    seg_of,
    send_study,
    start_application,
)
from tests.io.dicom_files import SECRETS
from tests.outputs.dicom.test_objects import ones_in_patient_space

from mmccd.jobs import study_name
from mmccd.phantom import Phantom

pytestmark = pytest.mark.slow


def test_the_round_trip(tmp_path: Path, lesion_phantom: Phantom, shared_bundles: Path) -> None:
    """The objects in the archive are those that the application makes of the same files."""
    listen = free_port()
    modality = {"AET": "MMCCD", "Host": "127.0.0.1", "Port": listen}
    known = {"mmccd": {**modality, "AllowStorageCommitment": True}}
    with running_orthanc(tmp_path / "archive", DicomAet="PACS", DicomModalities=known) as archive:
        send_study(tmp_path / "source", lesion_phantom, archive, STUDY)
        peer = f"PACS@127.0.0.1:{archive.dicom}"
        words = ["--source", "move", "--peer", peer, "--store", peer, "--commit", "--once"]
        variables = {
            "MMCCD_PACS_LISTEN": f"127.0.0.1:{listen}",
            "MMCCD_PACS_STATE": str(tmp_path / "state"),
            "MMCCD_PACS_SETTLE_S": "0",
            "MMCCD_PACS_DAYS": "0",
            "HOLOSCAN_MODEL_PATH": str(shared_bundles),
        }
        process = program(["-m", "mmccd.apps.pacs", *words], variables)
        out, log = process.communicate(timeout=MINUTES_S)
        assert process.returncode == 0, log
        assert out == ""
        status = json.loads((tmp_path / "state" / "status.json").read_text())
        assert status["studies"][study_name(STUDY)]["state"] == "done"
        made = set(modalities(archive, STUDY)) - {"MR1", "MR2", "MR3"}
        assert made == {"SEG2001", "OT2002", "SR2003"}, "from series 2, the FLAIR"
        found = ones_in_patient_space(*seg_of(archive, tmp_path))
        entries = archive.ask("instances?expand")
    stored = {entry["MainDicomTags"]["SOPInstanceUID"] for entry in entries}
    assert not [secret for secret in (*SECRETS, STUDY) if secret in log]
    direct = start_application(tmp_path / "source", tmp_path / "out", shared_bundles)
    _, log = direct.communicate(timeout=MINUTES_S)
    assert direct.returncode == 0, log
    objects = [pydicom.dcmread(path) for path in (tmp_path / "out" / "dicom").iterdir()]
    assert {str(one.SOPInstanceUID) for one in objects} <= stored, "the same, to their UIDs"
    assert len(found) > 20
    assert np.isfinite(found).all()
