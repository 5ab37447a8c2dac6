"""The archive's trouble is not the study's: nothing is lost, nothing doubled, nothing given up."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.apps.pacs.fakes import UID, Application, FakeArchive, Make, record

from mmccd.apps.pacs import clock
from mmccd.apps.pacs.archive import (
    ArchiveError,
    FullError,
    NotAllowedError,
    OutageError,
    UnavailableError,
)
from mmccd.apps.pacs.events import Event, Events, Kind
from mmccd.apps.pacs.service import Service
from mmccd.core import CancelledError, OutputError, ResourceError
from mmccd.jobs import study_name

NINE = [f"{UID}.{number}" for number in range(1, 10)]


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, which the test moves."""
    moment = [1_800_000_000.0]
    monkeypatch.setattr(clock, "seconds", lambda: moment[0])
    return moment


def live(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    time_s: list[float],
    until_s: float,
    at: Callable[[float], None] = lambda passed: None,
) -> list[float]:
    """Let a service run for so many seconds of faked time; its waits."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time_s[0] += seconds
        at(sum(waits))
        if sum(waits) > until_s:
            raise CancelledError("SIGTERM")

    monkeypatch.setattr(service, "_wait", wait)
    with pytest.raises(CancelledError):
        service.forever()
    return waits


def outbox(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "state" / "outbox").iterdir())


def states(folder: Path) -> list[tuple[str, int]]:
    content = json.loads((folder / "state" / "status.json").read_text())
    return [(one["state"], one["attempts"]) for one in content["studies"].values()]


class TestStoring:
    """An archive that takes no results."""

    def test_twenty_minutes(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
        time_s: list[float],
    ) -> None:
        """Waits grow, the study is predicted once, and its results come through, across a restart
        in the middle.
        """
        archive.store_status = 503
        live(make(), monkeypatch, time_s, 300)
        assert record(tmp_path)["state"] == "storing"
        assert outbox(tmp_path) == [study_name(UID)]

        def back(passed: float) -> None:
            archive.store_status = 503 if passed < 900 else 200

        waits = live(make(), monkeypatch, time_s, 1800, back)
        assert waits[:4] == [60, 120, 240, 480]
        assert application.seen == [6]
        assert len(archive.studies[UID].stored) == 1
        assert (record(tmp_path)["state"], record(tmp_path)["attempts"]) == ("done", 0)
        assert outbox(tmp_path) == []

    def test_what_is_kept_is_for_nobody_else(
        self, tmp_path: Path, archive: FakeArchive, make: Make
    ) -> None:
        archive.store_status = 401
        with pytest.raises(NotAllowedError):
            make().once()
        box = tmp_path / "state" / "outbox"
        parcel = box / study_name(UID)
        assert [stat.S_IMODE(one.stat().st_mode) for one in (box, parcel)] == [0o700, 0o700]
        assert not [path for path in box.rglob("*") if UID in path.name]

    @pytest.mark.parametrize(
        ("status", "answer"),
        [(409, {}), (202, {"00081198": {"Value": [{}]}})],
    )
    def test_one_study_s_results_are_refused(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        time_s: list[float],
        status: int,
        answer: dict[str, Any],
    ) -> None:
        """The pass goes on; the results are stored again later, and are not made again."""
        archive.add(f"{UID}.2")
        archive.store_status, archive.store_answer = status, answer
        service = make()
        assert service.once() == 5
        assert states(tmp_path) == [("storing", 0)] * 2
        assert len(outbox(tmp_path)) == 2
        archive.store_status, archive.store_answer = 200, {}
        service.once()
        assert len(outbox(tmp_path)) == 2, "not at once"
        time_s[0] += 31
        assert service.once() == 0
        assert states(tmp_path) == [("done", 0)] * 2
        assert len(application.seen) == 2

    def test_an_archive_that_is_full(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        archive.store_status = 507
        with pytest.raises(FullError):
            make().once()
        archive.store_status = 200
        assert make().once() == 0
        assert application.seen == [6]
        assert states(tmp_path) == [("done", 0)]

    def test_what_is_kept_is_bounded(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """Where too much waits to be stored nothing more is predicted, and nothing is dropped."""
        for uid in NINE[:3]:
            archive.add(uid)
        archive.store_status = 409

        def large(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
            application(name, source, output, beat)
            (output / "dicom" / "large.dcm").write_bytes(b"x" * 2**20)

        service = make(keep_mib=1, workers=1, ahead=0)
        service.predict = large
        with pytest.raises(FullError, match="MMCCD_PACS_KEEP_MIB"):
            service.once()
        assert len(application.seen) == len(outbox(tmp_path)) == 1
        archive.store_status = 200
        service = make(keep_mib=1, workers=1, ahead=0)
        service.predict = large
        for parcel in service.outbox.parcels():
            for errand in parcel.errands.values():
                errand.due = ""
            parcel.write()
        assert service.once() == 0
        assert states(tmp_path) == [("done", 0)] * 4

    def test_an_archive_that_moves_gets_what_was_kept(
        self, tmp_path: Path, archive: FakeArchive, second: FakeArchive, make: Make
    ) -> None:
        """Under another address it is still the archive that the results are for."""
        archive.store_status = 503
        with pytest.raises(OutageError):
            make().once()
        assert make(url=second.url).once() == 0
        assert len(second.studies[UID].stored) == 1
        assert outbox(tmp_path) == []

    def test_an_outage_that_is_seen_meanwhile_ends_no_prediction(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """What waits is stored while others are predicted; that this fails lets nothing further
        begin, and what is at work is kept.
        """
        archive.store_status = 409
        service = make(workers=1, ahead=0, poll_s=1)
        assert service.once() == 5
        for uid in NINE[:2]:
            archive.add(uid)
        archive.store_status = 503
        for parcel in service.outbox.parcels():
            parcel.errands["archive"].due = "2999"
            parcel.write()

        def predict(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
            for parcel in service.outbox.parcels():
                parcel.errands["archive"].due = ""
                parcel.write()
            end = time.monotonic() + 10
            while "store" not in archive.asked[-1] and time.monotonic() < end:
                beat()
                time.sleep(0.05)
            time.sleep(0.3)
            beat()
            application(name, source, output, beat)

        service.predict = predict
        with pytest.raises(OutageError):
            service.once()
        assert len(application.seen) == 2
        assert len(outbox(tmp_path)) == 2
        assert sorted(states(tmp_path)) == [
            ("storing", 0),
            ("storing", 0),
            ("waiting", 0),
        ]

    def test_a_second_archive_has_its_own_retries(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        second: FakeArchive,
        application: Application,
        make: Make,
        time_s: list[float],
    ) -> None:
        """That one is out of reach keeps nobody from the other, nor the next study from its way."""
        archive.add(f"{UID}.2")
        second.store_status = 503
        service = make(route_url=second.url)
        assert service.once() == 0
        assert [len(one.stored) for one in archive.studies.values()] == [1, 1]
        assert states(tmp_path) == [("storing", 0)] * 2
        second.store_status = 200
        asked = len(second.asked)
        service.once()
        assert len(second.asked) == asked, "it is left alone for a while"
        time_s[0] += 61
        assert make(route_url=second.url).once() == 0
        assert states(tmp_path) == [("done", 0)] * 2
        assert [len(one.stored) for one in second.studies.values()] == [1, 1]
        assert [len(one.stored) for one in archive.studies.values()] == [1, 1]
        assert len(application.seen) == 2


class TestFetching:
    """An archive that gives no images."""

    @pytest.mark.parametrize(
        ("attribute", "status"),
        [("query_status", 503), ("fetch_status", 500), ("fetch_status", 403)],
    )
    def test_an_outage_stops_the_pass(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        attribute: str,
        status: int,
    ) -> None:
        """No study pays for it, however often it is tried."""
        for uid in NINE:
            archive.add(uid)
        setattr(archive, attribute, status)
        service = make(attempts=1)
        for _ in range(4):
            archive.asked.clear()
            with pytest.raises(OutageError):
                service.once()
            assert sum(archive.fetched(uid) != [] for uid in archive.studies) <= 2
        setattr(archive, attribute, 200)
        assert service.once() == 0
        assert states(tmp_path) == [("done", 0)] * 10
        assert len(application.seen) == 10

    def test_an_archive_that_goes_down_with_nine_studies_due(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
        time_s: list[float],
    ) -> None:
        """It goes down for an hour after the third study is predicted; all nine are done in the
        end, each once.
        """
        archive.studies.clear()
        for uid in NINE:
            archive.add(uid)

        def predict(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
            application(name, source, output, beat)
            if len(application.seen) == 3:
                archive.query_status = archive.fetch_status = archive.store_status = 503

        def back(passed: float) -> None:
            if passed > 3600:
                archive.query_status = archive.fetch_status = archive.store_status = 200

        service = make(attempts=1, retry_s=300)
        service.predict = predict
        waits = live(service, monkeypatch, time_s, 9000, back)
        assert max(waits) == 600
        assert states(tmp_path) == [("done", 0)] * 9
        assert len(application.seen) == 9
        assert [len(study.stored) for study in archive.studies.values()] == [1] * 9

    @pytest.mark.parametrize(("cut", "promised"), [(200, 6), (0, 7)])
    def test_a_series_that_arrives_in_part_is_not_used(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        cut: int,
        promised: int,
    ) -> None:
        """It is tried again, at no cost; the next study goes on."""
        archive.cut, archive.promised = cut, promised
        service = make(attempts=1)
        assert [service.once(), service.once()] == [3, 3]
        assert application.seen == []
        assert states(tmp_path) == [("waiting", 0)]
        archive.cut, archive.promised = 0, 6
        service.once()
        assert application.seen == [6]

    def test_a_study_that_breaks_the_archive_does_not_stop_the_others(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The archive answers 500 for it, always: it waits, and the others come first."""
        for uid in NINE:
            archive.add(uid)
        service = make(retry_s=3600, workers=1, ahead=0)
        fetch = service.source.fetch

        def broken(study: str, *words: Any) -> int:
            if study == UID:
                raise UnavailableError("HTTP 500")
            return fetch(study, *words)

        monkeypatch.setattr(service.source, "fetch", broken)
        with pytest.raises(UnavailableError):
            service.once()
        assert service.once() == 0
        assert record(tmp_path)["state"] == "waiting"
        assert sorted(states(tmp_path)).count(("done", 0)) == 9


class TestThisMachine:
    """A disk that is full, and a kill."""

    def test_no_room_for_results(
        self,
        tmp_path: Path,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def full(*words: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        service = make(attempts=1)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "copyfile", full)
            with pytest.raises(OutputError, match="No space left"):
                service.once()
        assert states(tmp_path) == [("waiting", 0)]
        assert outbox(tmp_path) == []
        assert service.once() == 0
        assert states(tmp_path) == [("done", 0)]

    def test_no_room_for_images_or_the_prediction(
        self, tmp_path: Path, application: Application, make: Make
    ) -> None:
        application.error = OutputError("no space left")
        service = make(attempts=1)
        for _ in range(3):
            with pytest.raises(OutputError):
                service.once()
        application.error = None
        assert service.once() == 0
        assert states(tmp_path) == [("done", 0)]

    @pytest.mark.parametrize("stage", ["fetch", "store"])
    def test_a_kill_between_predictions_counts_for_nothing(
        self, tmp_path: Path, application: Application, make: Make, stage: str
    ) -> None:
        for _ in range(4):
            service = make(attempts=2, settle_s=3600)
            service.once()
            service.ledger.begin(study_name(UID), stage)
        make(attempts=2, settle_s=3600)
        assert (record(tmp_path)["state"], record(tmp_path)["kills"]) == ("waiting", 0)
        assert make(settle_s=3600).once() == 0
        assert application.seen == [6], "a restart goes on with what was open, at once"

    def test_a_study_that_kills_the_service_is_given_up_in_the_end(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """Those that were beside it are then done alone, and pay nothing more."""
        archive.add(f"{UID}.2")
        told: list[Event] = []
        for times in range(1, 4):
            service = make(attempts=3)
            names = [study_name(UID), study_name(f"{UID}.2")] if times == 1 else [study_name(UID)]
            for uid in archive.studies:
                service.ledger.is_due(study_name(uid), 6)
            for name in names:
                service.ledger.begin(name, "predict")
            make(events=Events([told.append]), attempts=3)
            assert record(tmp_path)["kills"] == times
        assert (record(tmp_path)["state"], record(tmp_path)["attempts"]) == ("given up", 0)
        assert [event.kind for event in told] == [Kind.GIVEN_UP]
        assert make(attempts=3).once() == 7, "it is in the exit code"
        assert record(tmp_path, f"{UID}.2")["state"] == "done"
        assert len(application.seen) == 1
        assert make(retry=True).once() == 0
        assert record(tmp_path)["state"] == "done"

    def test_suspects_are_done_alone(
        self, archive: FakeArchive, make: Make, tmp_path: Path
    ) -> None:
        for uid in NINE[:3]:
            archive.add(uid)
        service = make(workers=4)
        service.once()
        at_work: list[int] = []
        busy: set[str] = set()

        def predict(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
            busy.add(name)
            at_work.append(len(busy))
            busy.discard(name)
            raise ResourceError("no")

        for one in service.ledger.records.values():
            one.kills, one.state, one.due, one.images = 1, "waiting", "2000", {"x": 1}
        service.predict = predict
        service.once()
        assert at_work == [1, 1, 1, 1]

    def test_results_that_were_kept_before_a_kill_are_found_again(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """The state file is lost, or says that the study is still at work."""
        archive.store_status = 503
        service = make()
        with pytest.raises(ArchiveError):
            service.once()
        service.ledger.begin(study_name(UID), "predict")
        archive.store_status = 200
        assert make().once() == 0
        assert application.seen == [6]
        assert states(tmp_path) == [("done", 0)]

        archive.studies[UID].stored.clear()
        (tmp_path / "state" / "status.json").unlink()
        archive.store_status = 503
        with pytest.raises(ArchiveError):
            make().once()
        (tmp_path / "state" / "status.json").unlink()
        archive.store_status = 200
        assert make().once() == 0
        assert application.seen == [6, 6]
        assert len(archive.studies[UID].stored) == 1

    def test_what_was_half_kept_is_made_again(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        service = make()
        staged = tmp_path / "state" / "outbox" / f".{study_name(UID)}"
        staged.mkdir()
        (staged / "segmentation.dcm").write_bytes(b"half")
        service = make()
        assert not staged.exists()
        assert service.once() == 0
        assert b"half" not in archive.studies[UID].stored[0]


def test_another_service_was_faster_and_there_is_a_second_archive(
    tmp_path: Path, archive: FakeArchive, second: FakeArchive, application: Application, make: Make
) -> None:
    """The second archive gets the results all the same."""
    one, two = make(), make(state=tmp_path / "other", route_url=second.url)

    def slow(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        assert one.once() == 0
        application(name, source, output, beat)

    two.predict = slow
    assert two.once() == 0
    assert len(archive.studies[UID].stored) == len(second.studies[UID].stored) == 1
    assert len([path for path in archive.asked if path.startswith("store")]) == 1


def test_two_services_on_one_archive(
    tmp_path: Path, archive: FakeArchive, application: Application, make: Make
) -> None:
    """The second one, whose prediction ends when the first has stored, stores nothing more."""
    one, two = make(), make(state=tmp_path / "other")

    def slow(name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        assert one.once() == 0
        application(name, source, output, beat)
        (output / "dicom" / "segmentation.dcm").write_bytes(b"of other settings")

    two.predict = slow
    assert two.once() == 0
    assert len(application.seen) == 2
    assert len(archive.studies[UID].stored) == 1
    assert [two.once(), one.once()] == [0, 0]
    assert len(application.seen) == 2
