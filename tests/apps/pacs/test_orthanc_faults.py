"""What goes wrong with a real archive: Orthanc, with a prediction that takes no time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from tests.apps.pacs.orthanc import DICOMWEB, Orthanc, running_orthanc
from tests.io.dicom_files import AXIAL, as_archived, save_all, single_frames, voxels

from mmccd.apps.pacs.archive import OutageError
from mmccd.apps.pacs.check import check_object
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.service import Service
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.web import Archive
from mmccd.core import CancelledError

pytestmark = pytest.mark.slow
ROOT = "1.2.826.0.1.3680043.8.498.66"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)")
    settings = {"Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with running_orthanc(tmp_path_factory.mktemp("orthanc") / "archive", **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(archive: Orthanc) -> None:
    """No study is there at the beginning of a test."""
    for study in archive.ask("studies"):
        archive.delete(f"studies/{study}")


def send(archive: Orthanc, folder: Path, uid: str, slices: int = 6, first: int = 0) -> None:
    """A FLAIR of so many slices, or what has come late of it."""
    files = single_frames(voxels((8, 6, slices)), AXIAL, f"{uid}.5", 5, "t2_flair_tra")
    as_archived(files)
    for number, one in enumerate(files):
        one.StudyInstanceUID, one.SOPInstanceUID = uid, f"{uid}.5.{number + 1}"
    save_all(files[first:], folder)
    archive.send(folder)


class Prediction:
    """Three objects of the study, whose UIDs derive from the images, as ours do."""

    def __init__(self) -> None:
        self.sources: list[Counter[str]] = []
        self.before: Callable[[], None] = lambda: None

    def __call__(self, name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        self.before()
        images = [pydicom.dcmread(path) for path in source.iterdir()]
        self.sources.append(Counter(one.Modality for one in images))
        key = "".join(sorted(one.SOPInstanceUID for one in images if one.Modality == "MR"))
        (output / "dicom").mkdir(parents=True)
        for modality in ("SEG", "OT", "SR"):
            digest = hashlib.sha256(f"{key} {modality}".encode()).hexdigest()
            one = check_object()
            one.SpecificCharacterSet = images[0].SpecificCharacterSet
            one.PatientName, one.PatientID = images[0].PatientName, images[0].PatientID
            one.StudyInstanceUID = images[0].StudyInstanceUID
            one.SeriesInstanceUID = f"2.25.{int(digest[:28], 16)}"
            one.SOPInstanceUID = f"2.25.{int(digest[28:56], 16)}"
            one.Modality = modality
            one.save_as(output / "dicom" / f"{modality}.dcm", enforce_file_format=True)


@pytest.fixture
def prediction() -> Prediction:
    return Prediction()


def service(
    archive: Orthanc, folder: Path, prediction: Prediction, state: str = "state"
) -> Service:
    """As after a restart."""
    settings = PacsSettings(
        url=archive.dicomweb,
        state=folder / state,
        settle_s=0,
        retry_s=0,
        days=0,
        attempts=1,
        poll_s=1,
    )
    ledger = Ledger(settings)
    ledger.open()
    ours = Archive(settings)
    return Service(settings, ours, [ours], ledger, prediction)


def results(archive: Orthanc) -> Counter[str]:
    """Objects of ours in each study, by what follows the root of its UID."""
    found: Counter[str] = Counter()
    for study in archive.ask("studies?expand"):
        uid = study["MainDicomTags"]["StudyInstanceUID"].removeprefix(f"{ROOT}.")
        series = [archive.ask(f"series/{name}") for name in study["Series"]]
        found[uid] += sum(
            len(one["Instances"])
            for one in series
            if one["MainDicomTags"]["Modality"] in ("SEG", "OT", "SR")
        )
    return found


def test_it_goes_down_with_nine_studies_due(
    tmp_path: Path, archive: Orthanc, prediction: Prediction
) -> None:
    """After the third prediction, and comes back: nothing is lost, doubled or given up; each study
    is predicted once.
    """
    numbers = [str(number) for number in range(1, 10)]
    for number in numbers:
        send(archive, tmp_path / number, f"{ROOT}.{number}")

    def down() -> None:
        if len(prediction.sources) == 3:
            archive.stop()

    prediction.before = down
    one = service(archive, tmp_path, prediction)
    with pytest.raises(OutageError):
        one.once()
    for _ in range(3):
        with pytest.raises(OutageError):
            one.once()
    one.ledger.close()
    prediction.before = lambda: None
    archive.start()
    archive.wait()
    one = service(archive, tmp_path, prediction)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise CancelledError("SIGTERM")

    one._wait = wait  # type: ignore[method-assign]
    with pytest.raises(CancelledError):
        one.forever()
    one.ledger.close()
    assert {record.state for record in one.ledger.records.values()} == {"done"}
    assert results(archive) == Counter(dict.fromkeys(numbers, 3))
    assert len(prediction.sources) == 9
    assert not list((tmp_path / "state" / "outbox").iterdir())


def test_late_instances(tmp_path: Path, archive: Orthanc, prediction: Prediction) -> None:
    """The study is done again, with the earlier report beside the images; a third time it is
    not.
    """
    send(archive, tmp_path / "1", f"{ROOT}.1")
    one = service(archive, tmp_path, prediction)
    assert one.once() == 0
    send(archive, tmp_path / "2", f"{ROOT}.1", 8, first=6)
    assert [one.once(), one.once(), one.once()] == [0, 0, 0]
    one.ledger.close()
    assert prediction.sources == [Counter(MR=6), Counter(MR=8, SR=1)]
    assert results(archive) == Counter({"1": 6})


def test_two_services(tmp_path: Path, archive: Orthanc, prediction: Prediction) -> None:
    """Both predict at the same time; there is one set of results."""
    send(archive, tmp_path / "1", f"{ROOT}.1")
    one = service(archive, tmp_path, prediction)
    other = service(archive, tmp_path, prediction, "other")

    def first() -> None:
        prediction.before = lambda: None
        assert one.once() == 0

    prediction.before = first
    assert other.once() == 0
    assert [one.once(), other.once()] == [0, 0]
    for each in (one, other):
        each.ledger.close()
    assert len(prediction.sources) == 2
    assert results(archive) == Counter({"1": 3})


def test_what_the_archive_tells(tmp_path: Path, archive: Orthanc, prediction: Prediction) -> None:
    """What the choice of series needs is in a real archive's answers."""
    send(archive, tmp_path / "1", f"{ROOT}.1")
    one = service(archive, tmp_path, prediction)
    (series,) = one.source.series(f"{ROOT}.1")
    assert (series.description, series.modality, series.instances) == ("t2_flair_tra", "MR", 6)
    one.ledger.close()
