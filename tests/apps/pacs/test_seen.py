"""What others see of the service: metrics, health, the page, the audit log, the webhook."""

from __future__ import annotations

import json
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from tests.apps.pacs.fakes import UID, Application, FakeArchive, Make, record
from tests.apps.pacs.orthanc import free_port
from tests.conftest import PROJECT
from tests.io.dicom_files import SECRETS

from mmccd.apps.map import health
from mmccd.apps.pacs.archive import OutageError
from mmccd.apps.pacs.audit import Audit
from mmccd.apps.pacs.events import Event, Events, Kind
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.metrics import Metrics
from mmccd.apps.pacs.outbox import Outbox
from mmccd.apps.pacs.run import run
from mmccd.apps.pacs.service import Service
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.watch import Watch, page
from mmccd.apps.pacs.webhook import Webhook
from mmccd.core import ResourceError, UnsuitableInputError, UsageError
from mmccd.jobs import study_name


class Seen:
    """A service with all listeners."""

    def __init__(self, folder: Path, make: Make, **settings: Any) -> None:
        given = PacsSettings(url="http://127.0.0.1", state=folder / "state")
        self.ledger = Ledger(given)
        self.listeners: list[Any] = [self._count]
        self.service: Service = make(events=Events([self._tell]), **settings)
        self.metrics = Metrics(self.service.ledger, Outbox(folder / "state"))
        self.audit = folder / "audit.jsonl"
        self.listeners += [self.metrics, Audit(self.audit, "operator")]
        self.events: list[Event] = []

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _count(self, event: Event) -> None:
        self.events.append(event)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def values(self) -> dict[str, float]:
        text = self.metrics.text().decode()
        return {
            sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
def seen(tmp_path: Path, make: Make) -> Seen:
    return Seen(tmp_path, make, attempts=1)


class TestMetrics:
    """Counted, and never named."""

    def test_a_study_from_end_to_end(
        self, seen: Seen, archive: FakeArchive, application: Application
    ) -> None:
        seen.service.once()
        values = seen.values()
        assert values["mmccd_studies done"] == values["mmccd_attempts_total done"] == 1
        assert values["mmccd_objects_total fetched"] == 6
        assert values["mmccd_objects_total stored"] == 1
        assert values["mmccd_bytes_total fetched"] == sum(map(len, archive.files))
        for stage in ("fetch", "predict", "store"):
            assert values[f"mmccd_stage_seconds_count {stage}"] == 1
        assert values["mmccd_last_look_timestamp_seconds"] > 1.7e9
        assert values["mmccd_outbox_bytes"] == 0
        text = seen.metrics.text().decode()
        assert not [secret for secret in (*SECRETS, UID, study_name(UID)) if secret in text]

    def test_failures(self, seen: Seen, archive: FakeArchive, application: Application) -> None:
        archive.add(f"{UID}.2").series[0].body_part = "KNEE"
        application.error = ResourceError("too large")
        seen.service.once()
        archive.add(f"{UID}.3")
        application.error = None
        archive.store_status = 503
        with pytest.raises(OutageError):
            seen.service.once()
        values = seen.values()
        assert values["mmccd_studies given up"] == values["mmccd_attempts_total given up"] == 1
        assert values["mmccd_studies refused"] == values["mmccd_attempts_total refused"] == 1
        assert values["mmccd_studies storing"] == 1
        assert values["mmccd_outbox_bytes"] == 64
        (errors,) = (name for name in values if name.startswith("mmccd_archive_errors_total"))
        assert errors.endswith("archive.unavailable")
        assert values[errors] == 1

    def test_the_board_uses_metrics_that_exist(self, seen: Seen) -> None:
        seen.service.once()
        archive_error = {"archive": "here:80", "code": "archive", "stage": "look"}
        seen.metrics(Event(Kind.ARCHIVE_ERROR, None, archive_error))
        known = {name.split(" ")[0] for name in seen.values()}
        board = json.loads((PROJECT / "docs" / "grafana.json").read_text())
        used = {
            name
            for panel in board["panels"]
            for target in panel["targets"]
            for name in re.findall(r"mmccd_\w+", target["expr"])
        }
        assert len(used) > 5
        assert used - known == set()


class TestAudit:
    """Who asked, what went where; the study by its hash."""

    def test_a_study_from_end_to_end(
        self, tmp_path: Path, seen: Seen, archive: FakeArchive
    ) -> None:
        seen.service.once()
        lines = seen.lines()
        assert [line["event"] for line in lines] == [
            "fetched",
            "predicted",
            "kept",
            "stored",
            "done",
        ]
        fetched = lines[0]
        host = archive.url.split("/")[2]
        assert (fetched["archive"], fetched["objects"], fetched["series"]) == (host, 6, 1)
        assert {line["study"] for line in lines} == {study_name(UID)}
        assert {line["user"] for line in lines} == {"operator"}
        text = seen.audit.read_text()
        assert not [secret for secret in (*SECRETS, UID) if secret in text]
        assert stat.S_IMODE(seen.audit.stat().st_mode) == 0o600

    def test_a_file_that_is_moved_away(self, tmp_path: Path) -> None:
        audit = Audit(tmp_path / "audit", "me")
        audit(Event(Kind.STARTED))
        (tmp_path / "audit").rename(tmp_path / "audit.1")
        audit(Event(Kind.ENDED))
        assert '"ended"' in (tmp_path / "audit").read_text()
        with pytest.raises(UsageError, match="MMCCD_PACS_AUDIT"):
            Audit(tmp_path / "no" / "folder", "me")

    def test_a_disk_that_is_full_hurts_nobody(
        self, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The service goes on; that its audit log cannot be written is a line of the log."""

        def full(event: Event) -> None:
            raise OSError(28, "No space left on device")

        seen.service.events = Events([full])
        assert seen.service.once() == 0


class TestWatch:
    """Over HTTP."""

    @pytest.fixture
    def url(self, seen: Seen) -> Iterator[str]:
        events = Events([Audit(seen.audit, "operator")])
        watch = Watch(("127.0.0.1", 0), seen.service.ledger, seen.metrics, events)
        yield f"http://127.0.0.1:{watch.port}"
        watch.close()

    def test_health(self, seen: Seen, archive: FakeArchive, url: str) -> None:
        assert requests.get(f"{url}/livez").status_code == 200
        assert requests.get(f"{url}/readyz").status_code == 503, "it has not looked yet"
        seen.service.once()
        answer = requests.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()["studies"]["done"]) == (200, 1)
        seen.service.ledger.message = "http://archive: cannot be reached"
        answer = requests.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()["message"]) == (
            503,
            "http://archive: cannot be reached",
        )
        seen.service.ledger._written -= 1000
        assert requests.get(f"{url}/livez").status_code == 503
        assert requests.get(f"{url}/status.json").status_code == 404
        assert requests.post(url).status_code == 501
        assert "mmccd_studies" in requests.get(f"{url}/metrics").text

    def test_the_page(
        self, seen: Seen, archive: FakeArchive, application: Application, url: str
    ) -> None:
        """Those that were given up stand first; texts are texts."""
        archive.add(f"{UID}.2")
        application.error = ResourceError("<b>too large</b>")
        seen.service.once()
        application.error = UnsuitableInputError("no FLAIR")
        archive.add(f"{UID}.3")
        seen.service.once()
        answer = requests.get(url)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.text.index("given up</td>") < answer.text.index("refused</td>")
        assert "&lt;b&gt;too large" in answer.text
        assert study_name(UID) in answer.text
        assert not [secret for secret in (*SECRETS, UID) if secret in answer.text]
        assert seen.lines()[-1]["event"] == "asked"
        assert seen.lines()[-1]["peer"] == "127.0.0.1"

    def test_an_empty_page(self, tmp_path: Path) -> None:
        given = PacsSettings(url="http://127.0.0.1", state=tmp_path)
        assert "no studies" in page(Ledger(given))

    def test_a_port_that_is_taken(self, seen: Seen, url: str) -> None:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(UsageError, match="MMCCD_PACS_WATCH_PORT"):
            Watch(("127.0.0.1", port), seen.service.ledger, seen.metrics, Events())

    def test_the_front_end_listens_where_it_is_told_to(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        url: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """And ends with 2 where it cannot; by default nothing listens."""
        monkeypatch.setattr("signal.signal", lambda *words: None)
        archive.studies.clear()
        words = ["--once", "--url", archive.url, "--state", str(tmp_path / "other")]
        port = free_port()
        for more, code in (([], 0), ([port], 0), ([url.rsplit(":", 1)[1]], 2)):
            assert run([*words, *(f"--watch-port={one}" for one in more)], {}) == code
            said = f"health and metrics on http://127.0.0.1:{port}" in capsys.readouterr().err
            assert said == (more == [port])

    def test_the_health_check_tells_of_what_was_given_up(
        self,
        tmp_path: Path,
        seen: Seen,
        application: Application,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        application.error = ResourceError("too large")
        seen.service.once()
        monkeypatch.setenv("HOLOSCAN_OUTPUT_PATH", str(tmp_path / "state"))
        assert health.main() == 0
        assert capsys.readouterr().out == "alive; 1 studies were given up\n"


@contextmanager
def hook(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A system that is told, and answers with a status."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/key-of-the-hook", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestWebhook:
    """Told of failures; its own hurt nobody."""

    def test_failures(self, seen: Seen, archive: FakeArchive, application: Application) -> None:
        with hook(200) as (url, told):
            webhook = Webhook(url)
            seen.listeners.append(webhook)
            application.error = ResourceError("too large")
            seen.service.once()
            application.error = None
            archive.add(f"{UID}.2")
            archive.store_status = 503
            for _ in range(3):
                with pytest.raises(OutageError):
                    seen.service.once()
            archive.store_status = 200
            seen.service.once()
            archive.fetch_status = 503
            archive.add(f"{UID}.3")
            for _ in range(3):
                with pytest.raises(OutageError):
                    seen.service.once()
            webhook.wait()
        assert [(one["event"], one.get("stage"), one["code"]) for one in told] == [
            ("given up", None, "resource"),
            ("archive error", "store", "archive.unavailable"),
            ("archive error", "fetch", "archive.unavailable"),
        ]
        assert told[0]["study"] == study_name(UID)
        text = json.dumps(told)
        assert not [secret for secret in (*SECRETS, UID) if secret in text]

    def test_the_end_of_the_service(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nobody has asked for it: here the archive is down and it was to look once."""
        monkeypatch.setattr("signal.signal", lambda *words: None)
        archive.query_status = 503
        state = tmp_path / "state"
        words = ["--once", "--url", archive.url, "--state", str(state)]
        with hook(200) as (url, told):
            assert run(words, {"MMCCD_PACS_WEBHOOK": url}) == 3
        assert [(one["event"], one["exit_code"]) for one in told] == [
            ("archive error", 3),
            ("ended", 3),
        ]
        lines = (state / "audit.jsonl").read_text().splitlines()
        events = [json.loads(line)["event"] for line in lines]
        assert events == ["started", "archive error", "ended"]

    def test_what_is_no_url(self) -> None:
        with pytest.raises(UsageError, match="MMCCD_PACS_WEBHOOK") as found:
            Webhook("example/key-of-the-hook")
        assert "key-of-the-hook" not in str(found.value)

    @pytest.mark.parametrize("status", [500, 302, None])
    def test_a_hook_that_fails(
        self,
        tmp_path: Path,
        seen: Seen,
        application: Application,
        caplog: pytest.LogCaptureFixture,
        status: int | None,
    ) -> None:
        with hook(status or 200) as (url, _):
            dead = f"http://127.0.0.1:{free_port()}/key-of-the-hook"
            webhook = Webhook(dead if status is None else url)
            seen.listeners.append(webhook)
            application.error = ResourceError("too large")
            assert seen.service.once() == 7
            webhook.wait()
        assert record(tmp_path)["state"] == "given up"
        assert "webhook" in caplog.text
        assert "key-of-the-hook" not in caplog.text
