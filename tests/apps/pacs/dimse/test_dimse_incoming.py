"""The folder of what was received: limits, age, removal, damage."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from tests.apps.pacs.dimse.parties import STUDY, nothing, study, uids

from mmccd.apps.pacs.archive import TOO_LARGE, ArchivedSeries, ExchangeError
from mmccd.apps.pacs.dimse.arrival import (
    OUT_OF_RESOURCES,
    Arrival,
    Header,
    RefusedError,
    header_of_file,
    hidden,
)
from mmccd.apps.pacs.dimse.incoming import Incoming, Limits
from mmccd.apps.pacs.dimse.removal import removing
from mmccd.core import OutputError, ResourceError

TODAY = date(2026, 1, 1)
LIMITS = Limits(study_mib=100, free_mib=0, keep_days=30, hold_s=600)
AT_ONCE = {"hold_s": 0}


class Sender(threading.Thread):
    """An association that is open until it is told to end."""

    def __init__(self) -> None:
        super().__init__(target=self._wait, daemon=True)
        self._over = threading.Event()
        self.start()

    def _wait(self) -> None:
        self._over.wait(60)

    def end(self) -> None:
        self._over.set()
        self.join()


Make = Callable[..., Incoming]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda **limits: Incoming(
        tmp_path / "state", "MMCCD", Limits(**{**vars(LIMITS), **limits})
    )


def arrival(path: Path, sender: threading.Thread) -> Arrival:
    dataset = pydicom.dcmread(path)
    meta, data = dataset.file_meta, DicomBytesIO()
    data.is_little_endian, data.is_implicit_VR = True, False
    write_dataset(data, Dataset(dataset))
    return Arrival(Header.of(dataset), meta, BytesIO(data.getvalue()), sender)


def send(incoming: Incoming, paths: list[Path], properly: bool = True) -> None:
    sender = Sender()
    for path in paths:
        incoming.take(arrival(path, sender))
    incoming.closed(sender, properly)
    sender.end()


def listed(incoming: Incoming) -> dict[str, int]:
    return {one.uid: one.instances for one in incoming.studies(TODAY)}


def fetch(incoming: Incoming, folder: Path, uid: str = STUDY) -> list[Path]:
    folder.mkdir()
    incoming.fetch(uid, incoming.series(uid), folder, nothing)
    return sorted(folder.iterdir())


def test_after_a_restart(tmp_path: Path, make: Make) -> None:
    """It is what was there; what was not finished is removed."""
    sent = study(tmp_path / "sent", series=2)
    send(make(), sent)
    folder = tmp_path / "state" / "incoming" / hidden(STUDY)
    (folder / ".part-0123").write_bytes(b"half")
    (tmp_path / "state" / "incoming" / "empty").mkdir()
    again = make()
    assert listed(again) == {STUDY: 12}
    assert uids(fetch(again, tmp_path / "out")) == uids(sent)
    assert not list(folder.glob(".part-*"))
    assert [one.name for one in folder.parent.iterdir()] == [hidden(STUDY)]


def test_a_sender_that_was_killed_with_us(tmp_path: Path, make: Make) -> None:
    sent, sender = study(tmp_path / "sent"), Sender()
    incoming = make()
    for path in sent[:3]:
        incoming.take(arrival(path, sender))
    again = make()
    assert not listed(again)
    send(again, sent[3:])
    assert listed(again) == {STUDY: 6}
    sender.end()


def test_a_sender_that_vanishes(tmp_path: Path, make: Make) -> None:
    """Its thread is over, and nobody has said so."""
    incoming, sender = make(hold_s=0), Sender()
    incoming.take(arrival(study(tmp_path / "sent")[0], sender))
    assert not listed(incoming)
    sender.end()
    assert listed(incoming) == {STUDY: 1}


def test_what_is_damaged(tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, and not removed."""
    send(make(), study(tmp_path / "sent"))
    folder = tmp_path / "state" / "incoming" / hidden(STUDY)
    (path, *_) = sorted(folder.glob("*.dcm"))
    path.write_bytes(path.read_bytes()[:140])
    assert listed(make()) == {STUDY: 5}
    assert "is damaged; it is left out" in caplog.text
    assert path.exists()
    with pytest.raises(ValueError, match="not a DICOM object"):
        header_of_file(path)


class TestRemoval:
    def test_when_all_have_the_results(self, tmp_path: Path, make: Make) -> None:
        incoming = make(**AT_ONCE)
        send(incoming, study(tmp_path / "sent"))
        fetch(incoming, tmp_path / "out")
        stored: list[str] = []
        one, two = removing(incoming, [Place("one", stored), Place("two", stored)])
        assert (one.name, two.name) == ("one", "two")
        one.store(STUDY, [])
        assert listed(incoming) == {STUDY: 6}
        one.store(STUDY, [])
        assert listed(incoming) == {STUDY: 6}, "the same one twice is one"
        two.store(STUDY, [])
        assert listed(incoming) == {}
        assert not list((tmp_path / "state" / "incoming").iterdir())
        assert stored == ["one", "one", "two"]

    def test_over_a_restart(self, tmp_path: Path, make: Make) -> None:
        """Of several destinations one has the results before it, one after it."""
        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        fetch(incoming, tmp_path / "out")
        incoming.stored(STUDY, "one", ["one", "two"])
        again = make(**AT_ONCE)
        assert listed(again) == {STUDY: 6}
        again.stored(STUDY, "two", ["one", "two"])
        assert listed(again) == {}

    def test_only_what_was_fetched(self, tmp_path: Path, make: Make) -> None:
        """What came since then stays, also where it has taken the place of another."""
        incoming = make(**AT_ONCE)
        sent = study(tmp_path / "sent")
        send(incoming, sent[:4])
        fetch(incoming, tmp_path / "out")
        send(incoming, sent[3:])
        incoming.stored(STUDY, "one", ["one"])
        assert listed(incoming) == {STUDY: 3}
        assert uids(fetch(incoming, tmp_path / "rest")) == uids(sent[3:])

    def test_also_series_that_were_not_fetched(self, tmp_path: Path, make: Make) -> None:
        """The service fetches those that may be FLAIR; the study is done all the same."""
        incoming = make(**AT_ONCE)
        send(incoming, study(tmp_path / "sent", series=2))
        (tmp_path / "out").mkdir()
        assert incoming.fetch(STUDY, incoming.series(STUDY)[:1], tmp_path / "out", nothing) == 6
        incoming.stored(STUDY, "one", ["one"])
        assert listed(incoming) == {}

    def test_a_second_half(self, tmp_path: Path, make: Make) -> None:
        """It finds the first one still there, and is not taken for a study of its own."""
        incoming = make(hold_s=60)
        sent = study(tmp_path / "sent")
        send(incoming, sent[:3])
        fetch(incoming, tmp_path / "out")
        incoming.stored(STUDY, "one", ["one"])
        assert listed(incoming) == {STUDY: 3}
        send(incoming, sent[3:])
        assert listed(incoming) == {STUDY: 6}
        fetch(incoming, tmp_path / "again")
        incoming.stored(STUDY, "one", ["one"])
        folder = tmp_path / "state" / "incoming" / hidden(STUDY)
        os.utime(folder / ".done", (time.time() - 61,) * 2)
        assert listed(incoming) == {}
        assert not folder.exists()

    def test_nothing_was_fetched(self, tmp_path: Path, make: Make) -> None:
        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        incoming.stored(STUDY, "one", ["one"])
        incoming.stored("1.2.3", "one", ["one"])
        assert listed(incoming) == {STUDY: 6}

    def test_by_age(self, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
        incoming = make(keep_days=2)
        send(incoming, study(tmp_path / "sent"))
        send(incoming, study(tmp_path / "other", "1.2.3.4"))
        folder, long_ago = tmp_path / "state" / "incoming" / hidden(STUDY), time.time() - 172_801
        for path in folder.iterdir():
            os.utime(path, (long_ago, long_ago))
        assert listed(incoming) == {"1.2.3.4": 6}
        assert not folder.exists()
        assert "removed 6 received objects, which were not done within 2 days" in caplog.text


class Place:
    """A destination."""

    def __init__(self, name: str, stored: list[str]) -> None:
        self.name, self._stored = name, stored

    def store(self, study: str, files: object) -> None:
        self._stored.append(self.name)


class TestFetch:
    def test_another_disk(
        self, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_links(*words: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        monkeypatch.setattr(os, "link", no_links)
        assert len(fetch(incoming, tmp_path / "out")) == 6

    def test_what_is_done_with_the_copy_is_not_done_with_ours(
        self, tmp_path: Path, make: Make
    ) -> None:
        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        for path in fetch(incoming, tmp_path / "out"):
            path.unlink()
        assert len(fetch(incoming, tmp_path / "again")) == 6

    def test_somebody_has_removed_it(self, tmp_path: Path, make: Make) -> None:
        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        next((tmp_path / "state" / "incoming").rglob("*.dcm")).unlink()
        with pytest.raises(ExchangeError, match="a received object is gone"):
            fetch(incoming, tmp_path / "out")
        with pytest.raises(ExchangeError, match="0 of 3 received objects"):
            incoming.fetch("1.2", [ArchivedSeries("1.3", "MR", "", 3)], tmp_path, nothing)

    def test_no_room(self, tmp_path: Path, make: Make) -> None:
        incoming = make()
        send(incoming, study(tmp_path / "sent"))
        with pytest.raises(OutputError, match="temporary folder cannot be written"):
            incoming.fetch(STUDY, incoming.series(STUDY), tmp_path / "nowhere" / "x", nothing)

    def test_too_large_now(self, tmp_path: Path, make: Make) -> None:
        """A limit that was lowered after it was received."""
        send(make(), study(tmp_path / "sent", Rows=1024, Columns=600, PixelData=bytes(1228800)))
        with pytest.raises(ResourceError, match="larger than 1 MiB") as found:
            fetch(make(study_mib=1), tmp_path / "out")
        assert found.value.code == TOO_LARGE, "it is refused, and not tried again"


def test_it_is_removed_while_an_object_comes(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, so that its sender sends it again: nothing is answered for that is not there."""
    (path, *_) = study(tmp_path / "sent")
    incoming, sender = make(), Sender()
    one = arrival(path, sender)
    write = Arrival.write_to

    def removed_meanwhile(self: Arrival, to: Path) -> None:
        write(self, to)
        incoming._forget(hidden(STUDY))
        to.parent.mkdir()
        write(self, to)

    monkeypatch.setattr(Arrival, "write_to", removed_meanwhile)
    with pytest.raises(RefusedError) as found:
        incoming.take(one)
    assert found.value.status == OUT_OF_RESOURCES
    assert not list((tmp_path / "state").rglob("*.dcm"))
    sender.end()


def test_too_many_studies(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmccd.apps.pacs.dimse.incoming._MOST_STUDIES", 1)
    incoming = make()
    send(incoming, study(tmp_path / "sent"))
    with pytest.raises(RefusedError, match="too many studies"):
        send(incoming, study(tmp_path / "other", "1.2.3.4"))
