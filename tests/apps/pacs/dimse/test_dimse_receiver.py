"""What is sent to us: dcmtk's storescu against the receiver, and callers that mean no good."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.uid import JPEGLSLossless
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    SegmentationStorage,
    StudyRootQueryRetrieveInformationModelFind,
)
from tests.apps.pacs.dimse.parties import (
    HERE,
    STUDY,
    dcmtk,
    needed,
    nothing,
    receiving,
    same_objects,
    storescu,
    study,
    uids,
    until,
)
from tests.apps.pacs.orthanc import free_port
from tests.io.dicom_files import SECRETS

from mmccd.apps.pacs.dimse import server
from mmccd.apps.pacs.dimse.arrival import hidden
from mmccd.apps.pacs.dimse.connection import tame
from mmccd.apps.pacs.dimse.ways import Ways
from mmccd.core import UsageError

TODAY = date(2026, 1, 2)


def incoming(state: Path) -> list[Path]:
    return sorted((state / "incoming").glob("*/*.dcm"))


def fetched(ways: Ways, folder: Path, uid: str = STUDY) -> list[Path]:
    folder.mkdir()
    assert ways.source is not None
    series = ways.source.series(uid)
    assert ways.source.fetch(uid, series, folder, nothing) == len(list(folder.iterdir()))
    return sorted(folder.iterdir())


def listed(ways: Ways) -> dict[str, int]:
    assert ways.source is not None
    return {one.uid: one.instances for one in ways.source.studies(TODAY)}


def echoes(port: int) -> bool:
    return dcmtk("echoscu", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port).returncode == 0


@contextlib.contextmanager
def association(port: int, title: str = "SCANNER", called: str = "MMCCD") -> Iterator[Any]:
    entity = AE(title)
    entity.dimse_timeout = 3
    contexts = [build_context(MRImageStorage), build_context(SegmentationStorage)]
    handlers = [(evt.EVT_CONN_OPEN, lambda event: tame(event.assoc, 5, 2**16))]
    one = entity.associate(HERE, port, contexts, called, evt_handlers=handlers)
    try:
        yield one
    finally:
        if one.is_established:
            one.release()


class TestEcho:
    def test_it_answers(self, tmp_path: Path) -> None:
        with receiving(tmp_path) as (_, port):
            done = dcmtk("echoscu", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port)
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize(
        ("calling", "called", "reason"),
        [
            ("STRANGER", "MMCCD", "Calling AE Title Not Recognized"),
            ("scanner", "MMCCD", "Calling AE Title Not Recognized"),
            ("SCANNER", "OTHER", "Called AE Title Not Recognized"),
        ],
    )
    def test_who_may_not_call(
        self,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        calling: str,
        called: str,
        reason: str,
    ) -> None:
        with receiving(tmp_path) as (_, port), caplog.at_level(logging.WARNING):
            done = dcmtk("echoscu", "-v", "-aet", calling, "-aec", called, HERE, port)
        assert done.returncode != 0
        assert reason in done.stdout
        assert f"rejected {calling}@127.0.0.1" in caplog.text or called == "OTHER"

    @pytest.mark.parametrize(
        ("allow", "fits"),
        [
            ("SCANNER@127.0.0.1", True),
            ("SCANNER@127.0.0.0/8", True),
            ("OTHER, SCANNER", True),
            ("SCANNER@10.0.0.1", False),
            ("OTHER,SCANNER@10.0.0.1", False),
        ],
    )
    def test_addresses(self, tmp_path: Path, allow: str, fits: bool) -> None:
        """Also where another caller may come from anywhere: from there only under its name."""
        with receiving(tmp_path, allow=allow, store="PACS@10.0.0.2:104") as (_, port):
            done = dcmtk("echoscu", "-v", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port)
        assert (done.returncode == 0) == fits, done.stdout

    def test_who_cannot_be_anybody(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Where all callers have addresses, others are not even asked for a name."""
        words = {"allow": "SCANNER@10.0.0.1", "store": "", "url": "http://127.0.0.1:9/x"}
        with receiving(tmp_path, **words) as (_, port):
            assert dcmtk("echoscu", "-aec", "MMCCD", HERE, port).returncode != 0
        assert "refused a connection from 127.0.0.1: nobody there may call" in caplog.text

    def test_the_port_is_taken(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind((HERE, 0))
            other.listen()
            port = other.getsockname()[1]
            with (
                pytest.raises(UsageError, match=f"{port}: cannot be listened on .*in use"),
                receiving(tmp_path, listen=f"{HERE}:{port}"),
            ):
                pass


class TestStore:
    def test_a_study(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Many files, two series; what arrives is what was sent, in folders that name nobody."""
        sent = study(tmp_path / "sent", slices=100, series=2)
        with receiving(tmp_path / "state") as (ways, port), caplog.at_level(logging.DEBUG):
            done = storescu(port, *sent)
            assert done.returncode == 0, done.stdout
            assert listed(ways) == {STUDY: 200}
            assert ways.source is not None
            series = {one.uid: one for one in ways.source.series(STUDY)}
            assert {uid: one.instances for uid, one in series.items()} == {
                f"{STUDY}.1": 100,
                f"{STUDY}.2": 100,
            }
            assert series[f"{STUDY}.1"].modality == "MR"
            assert series[f"{STUDY}.1"].manufacturer == "ACME"
            same_objects(fetched(ways, tmp_path / "out"), sent)
        folder = tmp_path / "state" / "incoming"
        assert (
            folder.stat().st_mode & 0o777,
            incoming(tmp_path / "state")[0].stat().st_mode & 0o777,
        ) == (
            0o700,
            0o600,
        )
        names = " ".join(str(path) for path in folder.rglob("*"))
        assert not any(secret in names + caplog.text for secret in (*SECRETS, STUDY))

    def test_other_forms(self, tmp_path: Path) -> None:
        """Enhanced ones, and compressed as they are."""
        array = pydicom.dcmread(study(tmp_path / "sent")[0])
        array.compress(JPEGLSLossless)
        array.SOPInstanceUID = array.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.77"
        array.save_as(tmp_path / "compressed", enforce_file_format=True)
        with receiving(tmp_path / "state") as (_, port):
            done = dcmtk(
                "storescu", "-xt", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port,
                tmp_path / "compressed",
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
        (path,) = incoming(tmp_path / "state")
        found = pydicom.dcmread(path)
        assert found.file_meta.TransferSyntaxUID == JPEGLSLossless
        assert (found.pixel_array == array.pixel_array).all()

    def test_twice(self, tmp_path: Path) -> None:
        """An object that comes again is one object."""
        sent = study(tmp_path / "sent")
        with receiving(tmp_path / "state") as (ways, port):
            for _ in range(2):
                assert storescu(port, *sent).returncode == 0
            assert listed(ways) == {STUDY: 6}

    def test_several_at_once(self, tmp_path: Path) -> None:
        """Senders of one study each, and two of one study."""
        first = study(tmp_path / "a", f"{STUDY}.1", slices=40)
        other = study(tmp_path / "b", f"{STUDY}.2", slices=40)
        needed("storescu")
        with receiving(tmp_path / "state") as (ways, port):
            processes = [
                subprocess.Popen(
                    ["storescu", "-aet", "SCANNER", "-aec", "MMCCD", HERE, str(port), *map(str, p)],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for p in (first, other[:20], other[20:])
            ]
            assert [one.wait(60) for one in processes] == [0, 0, 0]
            until(lambda: listed(ways) == {f"{STUDY}.1": 40, f"{STUDY}.2": 40})

    def test_other_classes(self, tmp_path: Path) -> None:
        """Refused when the association is negotiated."""
        sent = study(tmp_path / "sent", SOPClassUID=CTImageStorage, Modality="CT")
        with receiving(tmp_path / "state") as (ways, port):
            done = storescu(port, sent[0])
            assert done.returncode != 0
            assert "No valid Presentation Context" in done.stdout
            find = AE("SCANNER").associate(
                HERE, port, [build_context(StudyRootQueryRetrieveInformationModelFind)], "MMCCD"
            )
            assert not find.is_established
            assert not listed(ways)

    @pytest.mark.parametrize(("manufacturer", "code"), [("MMCCD", 0x0000), ("ACME", 0x0124)])
    def test_only_results_of_ours(self, tmp_path: Path, manufacturer: str, code: int) -> None:
        (path, *_) = study(
            tmp_path / "sent", SOPClassUID=SegmentationStorage, Modality="SEG",
            Manufacturer=manufacturer,
        )  # fmt: skip
        with receiving(tmp_path / "state") as (ways, port), association(port) as one:
            assert one.send_c_store(pydicom.dcmread(path)).Status == code
            assert not listed(ways), "there is no image"

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        (path, *_) = study(tmp_path / "sent")
        with receiving(tmp_path / "state") as (ways, port), association(port) as one:
            for name, value in (("StudyInstanceUID", ""), ("SeriesInstanceUID", "../../x")):
                dataset = pydicom.dcmread(path)
                dataset[name] = DataElement(name, "UI", value, validation_mode=IGNORE)
                answer = one.send_c_store(dataset)
                assert (answer.Status, answer.ErrorComment) == (
                    0xC000,
                    "the data set cannot be read",
                )
            assert not listed(ways)
        assert not incoming(tmp_path / "state")

    def test_another_object_than_the_request_says(self, tmp_path: Path) -> None:
        (path, *_) = study(tmp_path / "sent")
        dataset = pydicom.dcmread(path)
        with receiving(tmp_path / "state") as (_, port), association(port) as one:
            send, one.dimse.send_msg = one.dimse.send_msg, None

            def other(message: Any, context: int) -> None:
                message.AffectedSOPInstanceUID = "1.2.3.4"
                send(message, context)

            one.dimse.send_msg = other
            assert one.send_c_store(dataset).Status == 0xA900
        assert not incoming(tmp_path / "state")


class TestLimits:
    def test_the_disk_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Refused so that an archive sends again later; and then it goes on."""
        sent = study(tmp_path / "sent")
        free = shutil.disk_usage(tmp_path)._replace(free=2**30)
        with receiving(tmp_path / "state", keep_free_mib=1024) as (ways, port):
            with monkeypatch.context() as patch:
                patch.setattr(shutil, "disk_usage", lambda path: free)
                done = storescu(port, "+v", *sent) if False else storescu(port, *sent)
                assert "Refused: OutOfResources" in done.stdout or "A700" in done.stdout, (
                    done.stdout
                )
                assert not listed(ways)
            assert storescu(port, *sent).returncode == 0
            assert listed(ways) == {STUDY: 6}
        assert "the disk is full (status A700)" in caplog.text

    def test_the_disk_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the middle of a file: nothing of it is left, and it is not acknowledged."""
        (path, *_) = study(tmp_path / "sent")

        def no_room(number: int) -> None:
            raise OSError(28, "No space left on device")

        with receiving(tmp_path / "state") as (_, port), association(port) as one:
            monkeypatch.setattr(os, "fsync", no_room)
            answer = one.send_c_store(pydicom.dcmread(path))
            assert answer.Status == 0xA700
            assert answer.ErrorComment == "cannot be written (No space left on device)"
            monkeypatch.undo()
            assert one.send_c_store(pydicom.dcmread(path)).Status == 0
        assert len([p for p in (tmp_path / "state" / "incoming").rglob("*") if p.is_file()]) == 1

    def test_a_study_that_is_too_large(self, tmp_path: Path) -> None:
        sent = study(tmp_path / "sent", slices=4, Rows=512, Columns=512, PixelData=bytes(2**19))
        with receiving(tmp_path / "state", max_mib=1) as (_, port), association(port) as one:
            codes = [one.send_c_store(pydicom.dcmread(path)).Status for path in sent]
        assert codes == [0, 0xA700, 0xA700, 0xA700], "two halves and their headers are too much"

    def test_an_object_that_is_too_large(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is not even kept in memory: the association is aborted on the way."""
        (path, *_) = study(
            tmp_path / "sent", 1 * STUDY, PixelData=bytes(6 * 2**20), Rows=3 * 2**10, Columns=2**10
        )
        with receiving(tmp_path / "state", max_mib=1) as (_, port), association(port) as one:
            answer = one.send_c_store(pydicom.dcmread(path))
            assert "Status" not in answer
            until(lambda: one.is_aborted)
        assert "it sends more than is allowed" in caplog.text
        assert not incoming(tmp_path / "state")

    def test_too_many_associations(self, tmp_path: Path) -> None:
        with receiving(tmp_path, associations=2) as (_, port):
            with association(port) as one, association(port) as two:
                assert one.is_established and two.is_established
                done = dcmtk("echoscu", "-v", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port)
                assert done.returncode != 0
                assert "Local Limit Exceeded" in done.stdout
            until(
                lambda: (
                    dcmtk("echoscu", "-aet", "SCANNER", "-aec", "MMCCD", HERE, port).returncode == 0
                )
            )

    def test_too_many_connections(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Ones that say nothing are not kept without end, and end by themselves."""
        monkeypatch.setattr(server, "_SPARE", 1)
        with receiving(tmp_path, associations=1, silence_s=1) as (_, port):
            silent = [socket.create_connection((HERE, port)) for _ in range(4)]
            until(lambda: "too many are open" in caplog.text)
            for one in silent:
                one.settimeout(10)
                assert one.recv(1) == b""
                one.close()
            until(lambda: echoes(port))

    @pytest.mark.parametrize(
        "first",
        [
            b"\x01\x00\x00\x00\x00\x44",  # the head of a request, and nothing more
            b"\x01\x00\xff\xff\xff\xff",  # one of 4 GiB
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03",  # data before a request
            b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",  # an abort before a request
            b"\x01\x00\x00\x00\x00\x02ab",
        ],
    )
    def test_who_speaks_otherwise(self, tmp_path: Path, first: bytes) -> None:
        """Ended at the latest when silence has lasted; nobody else is kept waiting."""
        with receiving(tmp_path, silence_s=2, associations=1) as (_, port):
            with socket.create_connection((HERE, port)) as one:
                one.sendall(first)
                one.settimeout(10)
                began = time.monotonic()
                with contextlib.suppress(ConnectionError):
                    while one.recv(100):
                        pass
                assert time.monotonic() - began < 8
            until(lambda: echoes(port), 3)

    def test_who_stops_in_the_middle(self, tmp_path: Path) -> None:
        """Of a PDU, on an association: it is ended, and its place is free again."""
        with receiving(tmp_path, silence_s=1, associations=1) as (_, port):
            with association(port) as one:
                one.dul.socket.socket.sendall(b"\x04\x00\x00\x00\x10\x00")
                until(lambda: not one.is_established)
            until(lambda: echoes(port), 3)

    def test_the_service_ends_while_somebody_is_connected(self, tmp_path: Path) -> None:
        began = time.monotonic()
        with contextlib.ExitStack() as clients:
            with receiving(tmp_path, silence_s=60) as (_, port):
                clients.enter_context(socket.create_connection((HERE, port)))
                clients.enter_context(association(port))
                one = clients.enter_context(association(port))
                one.dul.socket.socket.sendall(b"\x04\x00\x00\x00\x10\x00")
                time.sleep(0.3)
            until(lambda: not [t for t in threading.enumerate() if "Acceptor" in t.name], 5)
        assert time.monotonic() - began < 10


class TestAbort:
    def test_in_the_middle_of_a_study(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What was answered for is there; the study is not worked on, until its sender has come
        again, or did not come for long.
        """
        caplog.set_level(logging.INFO)
        sent = study(tmp_path / "sent")
        with receiving(tmp_path / "state") as (ways, port):
            with association(port) as one:
                for path in sent[:3]:
                    assert one.send_c_store(pydicom.dcmread(path)).Status == 0
                assert not listed(ways), "it is being sent"
                one.abort()
            until(lambda: "their sender broke off" in caplog.text)
            assert len(incoming(tmp_path / "state")) == 3
            assert not listed(ways)
            assert storescu(port, *sent[2:]).returncode == 0
            until(lambda: listed(ways) == {STUDY: 6})
            same_objects(fetched(ways, tmp_path / "out"), sent)

    def test_a_sender_that_never_comes_again(self, tmp_path: Path) -> None:
        with receiving(tmp_path / "state") as (ways, port):
            with association(port) as one:
                assert one.send_c_store(pydicom.dcmread(study(tmp_path / "sent")[0])).Status == 0
                one.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            marker = tmp_path / "state" / "incoming" / hidden(STUDY) / ".open"
            time.sleep(0.5)
            assert not listed(ways)
            long_ago = time.time() - 601
            os.utime(marker, (long_ago, long_ago))
            assert listed(ways) == {STUDY: 1}


@pytest.mark.slow
class TestKill:
    def test_what_was_answered_for_is_there(self, tmp_path: Path) -> None:
        """kill -9 in the middle of a study, several times: nothing is lost, nothing is half."""
        sent = study(tmp_path / "sent", slices=60)
        answered: set[str] = set()
        for number in range(3):
            port = free_port()
            with contextlib.ExitStack() as stack:
                process = stack.enter_context(program(tmp_path / "state", port))
                one = stack.enter_context(association(port))
                killer = threading.Timer(0.15 + 0.1 * number, process.kill)
                killer.start()
                for path in sent:
                    dataset = pydicom.dcmread(path)
                    if str(dataset.SOPInstanceUID) in answered:
                        continue
                    with contextlib.suppress(RuntimeError):
                        if one.send_c_store(dataset).get("Status") == 0:
                            answered.add(str(dataset.SOPInstanceUID))
                        continue
                    break
                killer.join()
            assert answered <= uids(incoming(tmp_path / "state"))
        assert answered
        with receiving(tmp_path / "state") as (ways, port):
            assert not list((tmp_path / "state" / "incoming").rglob(".part-*"))
            assert not listed(ways), "its sender was broken off"
            assert storescu(port, *sent).returncode == 0
            until(lambda: listed(ways) == {STUDY: 60})
            same_objects(fetched(ways, tmp_path / "out"), sent)


@contextlib.contextmanager
def program(state: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The receiver as a process of its own."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.apps.pacs.dimse.parties import receiving\n"
        f"with receiving(Path({str(state)!r}), listen='{HERE}:{port}'):\n"
        "    print('up', flush=True); time.sleep(60)\n"
    )
    root = Path(__file__).parents[4]
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
