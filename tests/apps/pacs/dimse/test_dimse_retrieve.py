"""Archives that are asked by C-FIND and send by C-MOVE or C-GET: Orthanc, dcmtk's dcmqrscp, and
some that misbehave.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless
from pynetdicom import evt
from tests.apps.pacs.dimse.parties import (
    HERE,
    STUDY,
    dcmtk,
    nothing,
    peer,
    returned,
    running,
    same_objects,
    settings,
    study,
)
from tests.apps.pacs.orthanc import Orthanc, free_port, running_orthanc
from tests.io.dicom_files import AXIAL, SECRETS, multi_frame, save

from mmccd.apps.pacs.archive import (
    TOO_LARGE,
    ArchiveError,
    ExchangeError,
    NotAllowedError,
    Source,
    UnavailableError,
    UnreachableError,
)
from mmccd.apps.pacs.dimse.uids import FIND, GET, IMAGES
from mmccd.apps.pacs.dimse.ways import opened
from mmccd.core import CancelledError, OutputError, ResourceError

TODAY = date(2026, 1, 15)
WAYS = ("move", "get")


@contextlib.contextmanager
def source(way: str, port: int, folder: Path, listen: int = 0, **words: Any) -> Iterator[Source]:
    """What asks an archive."""
    words |= {"listen": f"{HERE}:{listen or free_port()}"} if way == "move" else {}
    asked = {"source": way, "peer": f"PACS@{HERE}:{port}", **words}
    with opened(settings(folder / "state", **asked)) as ways:
        assert ways.source is not None
        yield ways.source


def fetched(one: Source, folder: Path, uid: str = STUDY) -> list[Path]:
    folder.mkdir()
    count = one.fetch(uid, one.series(uid), folder, nothing)
    assert count == len(list(folder.iterdir()))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Orthanc]:
    words = {
        "DicomAet": "PACS",
        "DicomModalities": {"mmccd": ["MMCCD", HERE, port]},
    }
    with running_orthanc(tmp_path_factory.mktemp("orthanc") / "archive", **words) as running:
        yield running


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, archive: Orthanc) -> list[Path]:
    """Two series of FLAIR, and a CT of the same day."""
    folder = tmp_path_factory.mktemp("sent")
    files = study(folder / "mr", slices=20, series=2, StudyDate="20260110")
    study(folder / "ct", "1.2.3.99", Modality="CT", StudyDate="20260110")
    study(folder / "old", "1.2.3.98", StudyDate="20251201")
    archive.send(folder)
    return files


@pytest.mark.parametrize("way", WAYS)
class TestOrthanc:
    def test_a_study(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        """Listed, described and fetched; the voxels are those that were sent."""
        with (
            caplog.at_level(logging.DEBUG),
            source(way, archive.dicom, tmp_path, port, days=7) as one,
        ):
            assert [(found.uid, found.instances) for found in one.studies(TODAY)] == [(STUDY, 40)]
            series = {found.uid: found for found in one.series(STUDY)}
            assert {uid: found.instances for uid, found in series.items()} == {
                f"{STUDY}.1": 20,
                f"{STUDY}.2": 20,
            }
            first = series[f"{STUDY}.1"]
            assert (first.modality, first.manufacturer) == ("MR", "ACME")
            assert first.description == "t2_flair_tra"
            same_objects(fetched(one, tmp_path / "out"), sent)
        assert not any(secret in caplog.text for secret in (*SECRETS, STUDY))

    def test_all_days(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        with source(way, archive.dicom, tmp_path, port, days=0) as one:
            assert {found.uid for found in one.studies(TODAY)} == {STUDY, "1.2.3.98"}
        with source(way, archive.dicom, tmp_path, port, days=100) as one:
            assert {found.uid for found in one.studies(TODAY)} == {STUDY, "1.2.3.98"}

    def test_one_series(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        beats: list[float] = []
        with source(way, archive.dicom, tmp_path, port) as one:
            series = [found for found in one.series(STUDY) if found.uid == f"{STUDY}.2"]
            count = one.fetch(STUDY, series, tmp_path, lambda: beats.append(time.monotonic()))
        assert count == 20
        assert beats
        same_objects(sorted(tmp_path.glob("*.dcm")), sent[20:])

    def test_as_stored(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        """Compressed images come as they are, enhanced ones whole."""
        array = np.random.default_rng(1).integers(0, 4000, (12, 10, 6)).astype(np.uint16)
        dataset = multi_frame(array, AXIAL, "1.2.3.70.1")
        dataset.StudyInstanceUID, dataset.Manufacturer = "1.2.3.70", "ACME"
        save(dataset, tmp_path / "sent" / "enhanced")
        small = pydicom.dcmread(sent[0])
        small.StudyInstanceUID, small.SeriesInstanceUID = "1.2.3.70", "1.2.3.70.2"
        small.compress(JPEGLSLossless)
        small.SOPInstanceUID = small.file_meta.MediaStorageSOPInstanceUID = "1.2.3.70.2.1"
        small.save_as(tmp_path / "sent" / "compressed", enforce_file_format=True)
        for path in (tmp_path / "sent").iterdir():
            put(archive, path)
        with source(way, archive.dicom, tmp_path, port) as one:
            found = fetched(one, tmp_path / "out", "1.2.3.70")
        same_objects(found, sorted((tmp_path / "sent").iterdir()))
        assert JPEGLSLossless in [
            pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in found
        ]

    def test_several_at_once(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        """Each gets what it has asked for."""
        uids, failed = [STUDY, "1.2.3.98", STUDY], list[BaseException]()
        with source(way, archive.dicom, tmp_path, port) as one:

            def work(number: int) -> None:
                try:
                    fetched(one, tmp_path / str(number), uids[number])
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failed
        assert [len(list((tmp_path / str(n)).iterdir())) for n in range(2)] == [40, 6]

    def test_too_large(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        large = {"Rows": 512, "Columns": 512, "PixelData": bytes(2**19)}
        study(tmp_path / "sent", "1.2.3.60", slices=4, **large)
        archive.send(tmp_path / "sent")
        (tmp_path / "out").mkdir()
        with source(way, archive.dicom, tmp_path, port, max_mib=1) as one:
            series = one.series("1.2.3.60")
            with pytest.raises(
                ResourceError, match="larger than 1 MiB; raise MMCCD_PACS_MAX_MIB"
            ) as found:
                one.fetch("1.2.3.60", series, tmp_path / "out", nothing)
            assert found.value.code == TOO_LARGE, "it is refused, and not tried again"

    def test_the_folder_cannot_be_written(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        with source(way, archive.dicom, tmp_path, port) as one:
            series = one.series(STUDY)
            with (
                monkeypatch.context() as patch,
                pytest.raises(OutputError, match="No space left on device"),
            ):
                patch.setattr("mmccd.apps.pacs.dimse.arrival.write_file_meta_info", no_room)
                one.fetch(STUDY, series, tmp_path, nothing)

    def test_it_is_cancelled(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        def cancel() -> None:
            raise CancelledError("SIGTERM")

        with source(way, archive.dicom, tmp_path, port) as one:
            with pytest.raises(CancelledError):
                one.fetch(STUDY, one.series(STUDY), tmp_path, cancel)
            same_objects(fetched(one, tmp_path / "again"), sent)

    def test_what_the_archive_does_not_have(
        self, tmp_path: Path, way: str, archive: Orthanc, sent: list[Path], port: int
    ) -> None:
        with source(way, archive.dicom, tmp_path, port) as one:
            series = one.series(STUDY)
            with pytest.raises(ArchiveError):
                one.fetch("1.2.3.4.5", series, tmp_path, nothing)


def put(archive: Orthanc, path: Path) -> None:
    """Without another word on its form."""
    url = f"http://{HERE}:{archive.http}/instances"
    with urllib.request.urlopen(url, data=path.read_bytes(), timeout=10):
        pass


def no_room(*words: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_archive_that_does_not_know_where_we_are(
    tmp_path: Path, archive: Orthanc, sent: list[Path]
) -> None:
    with (
        source("move", archive.dicom, tmp_path, ae_title="UNKNOWN") as one,
        pytest.raises(ArchiveError) as found,
    ):
        one.fetch(STUDY, one.series(STUDY), tmp_path, nothing)
    assert found.value.exit_code == 3


def test_nobody_else_can_send(
    tmp_path: Path, archive: Orthanc, sent: list[Path], port: int
) -> None:
    """With C-MOVE only what was asked for is taken, even from the archive."""
    with source("move", archive.dicom, tmp_path, port):
        done = dcmtk("storescu", "-v", "-aet", "PACS", "-aec", "MMCCD", HERE, port, sent[0])
        assert "0x124" in done.stdout
    assert not list(tmp_path.rglob("*.dcm"))


@pytest.mark.parametrize("way", WAYS)
def test_dcmqrscp(tmp_path: Path, way: str) -> None:
    """An archive that neither counts nor filters by modality."""
    sent, listen, port = study(tmp_path / "sent", slices=10, series=2), free_port(), free_port()
    (tmp_path / "db").mkdir()
    (tmp_path / "qr.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nmmccd = (MMCCD, {HERE}, {listen})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nPACS {tmp_path / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with running(["dcmqrscp", "-c", tmp_path / "qr.cfg", port], port):
        done = dcmtk("storescu", "-aet", "MMCCD", "-aec", "PACS", HERE, port, *sent)
        assert done.returncode == 0, done.stdout
        with source(way, port, tmp_path, listen) as one:
            assert [(found.uid, found.instances) for found in one.studies(TODAY)] == [(STUDY, 20)]
            same_objects(fetched(one, tmp_path / "out"), sent)


RETURNED = [returned(uid) for uid in IMAGES]
Answers = Callable[[Any], Iterator[Any]]


@contextlib.contextmanager
def misbehaving(
    tmp_path: Path, find: Answers | None = None, transfer: Answers | None = None
) -> Iterator[Source]:
    """An archive with one study, which is asked and sends by C-GET."""
    handlers = [(evt.EVT_C_FIND, find or finds), (evt.EVT_C_GET, transfer or gives())]
    with (
        peer([FIND, GET, *RETURNED], handlers) as port,
        source("get", port, tmp_path, silence_s=2) as one,
    ):
        yield one


def finds(event: Any) -> Iterator[Any]:
    """A study of one series of six."""
    answer = Dataset()
    answer.QueryRetrieveLevel = level = event.identifier.QueryRetrieveLevel
    answer.StudyInstanceUID = STUDY
    answer.ModalitiesInStudy = answer.Modality = "MR"
    answer.NumberOfStudyRelatedInstances = answer.NumberOfSeriesRelatedInstances = 6
    answer.SeriesInstanceUID = f"{STUDY}.1"
    if level != "IMAGE":
        yield 0xFF00, answer
        return
    for number in range(6):
        answer.SOPInstanceUID = f"{STUDY}.1.{100 + number}"
        answer.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        yield 0xFF00, answer


def gives(*last: Any, count: int = 0) -> Answers:
    def handler(event: Any) -> Iterator[Any]:
        yield count
        yield from last

    return handler


class TestMisbehaving:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (0xA700, UnavailableError),
            (0xA900, UnavailableError),
            (0xC001, UnavailableError),
            (0x0122, UnavailableError),
            (0x0124, NotAllowedError),
        ],
    )
    def test_queries_that_fail(self, tmp_path: Path, code: int, kind: type[ArchiveError]) -> None:
        def find(event: Any) -> Iterator[Any]:
            yield code, None

        with misbehaving(tmp_path, find) as one, pytest.raises(kind, match=f"{code:04X}"):
            one.studies(TODAY)

    def test_answers_without_sense(self, tmp_path: Path) -> None:
        """What has no UID that can be one is left out, and so is what says that it has no MR."""

        def find(event: Any) -> Iterator[Any]:
            for uid, modality in (("", "MR"), ("1.2.3", "CT"), ("1.2.4", "MR")):
                answer = Dataset()
                answer.StudyInstanceUID, answer.ModalitiesInStudy = uid, [modality, "SR"]
                answer.NumberOfStudyRelatedInstances = 6
                yield 0xFF00, answer

        with misbehaving(tmp_path, find) as one:
            assert [found.uid for found in one.studies(TODAY)] == ["1.2.4"]

    def test_one_that_is_silent(self, tmp_path: Path) -> None:
        def find(event: Any) -> Iterator[Any]:
            time.sleep(4)
            yield 0xFF00, None

        began = time.monotonic()
        with (
            misbehaving(tmp_path, find) as one,
            pytest.raises(UnreachableError, match="within 2 s"),
        ):
            one.studies(TODAY)
        assert time.monotonic() - began < 8

    def test_one_that_stops_sending(self, tmp_path: Path) -> None:
        def transfer(event: Any) -> Iterator[Any]:
            yield 6
            time.sleep(5)

        beats: list[int] = []
        began = time.monotonic()
        with misbehaving(tmp_path, transfer=transfer) as one:
            series = one.series(STUDY)
            with pytest.raises(UnreachableError, match="fetching a series"):
                one.fetch(STUDY, series, tmp_path, lambda: beats.append(1))
        assert time.monotonic() - began < 10
        assert len(beats) > 5

    def test_one_that_ends_the_connection(self, tmp_path: Path) -> None:
        def transfer(event: Any) -> Iterator[Any]:
            event.assoc.abort()
            yield 0

        with misbehaving(tmp_path, transfer=transfer) as one:
            series = one.series(STUDY)
            with pytest.raises(UnreachableError):
                one.fetch(STUDY, series, tmp_path, nothing)

    @pytest.mark.parametrize("count", [0, 5])
    def test_one_that_says_that_it_has_sent_all(self, tmp_path: Path, count: int) -> None:
        """Six are listed, fewer come, and the archive is content."""
        sent = study(tmp_path / "sent")
        objects = [(0xFF00, pydicom.dcmread(path)) for path in sent[:count]]
        transfer = gives(*objects, (0x0000, None), count=count)
        (tmp_path / "out").mkdir()
        with misbehaving(tmp_path, transfer=transfer) as one:
            series = one.series(STUDY)
            with pytest.raises(ExchangeError, match=f"sent {count} of a series' 6 objects"):
                one.fetch(STUDY, series, tmp_path / "out", nothing)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (0xA701, UnavailableError),
            (0xA702, ExchangeError),
            (0xA900, ExchangeError),
            (0xC001, ExchangeError),
            (0x0124, NotAllowedError),
        ],
    )
    def test_transfers_that_fail(self, tmp_path: Path, code: int, kind: type[ArchiveError]) -> None:
        with misbehaving(tmp_path, transfer=gives((code, None), count=6)) as one:
            series = one.series(STUDY)
            with pytest.raises(kind, match=f"{code:04X}"):
                one.fetch(STUDY, series, tmp_path, nothing)

    def test_what_is_no_image(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A spectrum in the series is not taken, and not missed."""
        caplog.set_level(logging.INFO)
        sent = study(tmp_path / "sent")

        def find(event: Any) -> Iterator[Any]:
            for code, answer in finds(event):
                if answer.get("SOPInstanceUID") == f"{STUDY}.1.105":
                    answer.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.2"
                yield code, answer

        objects = [(0xFF00, pydicom.dcmread(path)) for path in sent]
        objects[5][1].SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.2"
        (tmp_path / "out").mkdir()
        with misbehaving(tmp_path, find, gives(*objects, (0x0000, None), count=6)) as one:
            assert one.fetch(STUDY, one.series(STUDY), tmp_path / "out", nothing) == 5
        assert "1 objects of a series are no MR images" in caplog.text

    def test_nobody_is_there(self, tmp_path: Path) -> None:
        with (
            source("get", free_port(), tmp_path) as one,
            pytest.raises(UnreachableError, match=r"cannot be reached \(ConnectionRefusedError\)"),
        ):
            one.studies(TODAY)

    def test_one_without_queries(self, tmp_path: Path) -> None:
        with (
            peer([GET], []) as port,
            source("get", port, tmp_path) as one,
            pytest.raises(UnavailableError, match="takes nothing of what was proposed"),
        ):
            one.studies(TODAY)

    @pytest.mark.parametrize(
        ("reason", "kind", "message"),
        [
            ((1, 1, 3), NotAllowedError, "Calling AE title not recognised"),
            ((1, 1, 7), NotAllowedError, "Called AE title not recognised"),
            ((2, 3, 2), UnavailableError, "has no association free .Local limit exceeded"),
        ],
    )
    def test_one_that_rejects_us(
        self, tmp_path: Path, reason: tuple[int, ...], kind: type[ArchiveError], message: str
    ) -> None:
        def reject(event: Any) -> None:
            event.assoc.acse.send_reject(*reason)
            event.assoc.kill()

        with (
            peer([FIND], [(evt.EVT_REQUESTED, reject)]) as port,
            source("get", port, tmp_path) as one,
            pytest.raises(kind, match=message),
        ):
            one.studies(TODAY)
