"""An archive takes the objects, twice, and files them under the study of their source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.pacs.orthanc import Orthanc, running_orthanc
from tests.io.dicom_files import as_archived, write_series
from tests.outputs.dicom.results import result_on

from mmccd.outputs.dicom.write import write_dicom


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path / "archive") as running:
        yield running


def test_the_objects_join_their_study(tmp_path: Path, archive: Orthanc) -> None:
    write_series(tmp_path / "source", as_archived)
    result = write_dicom(result_on(tmp_path / "source"), tmp_path)
    for folder in ("source", "dicom", "dicom"):
        archive.send(tmp_path / folder)
    assert [len(archive.ask(kind)) for kind in ("patients", "studies", "series")] == [1, 1, 4]
    assert len(archive.ask("instances")) == 6 + len(result.report.dicom or ()), (
        "objects of a second run are the same ones"
    )
    series = {
        entry["MainDicomTags"]["Modality"]: entry["MainDicomTags"]["SeriesNumber"]
        for entry in archive.ask("series?expand")
    }
    assert series == {"MR": "5", "SEG": "5001", "OT": "5002", "SR": "5003"}
