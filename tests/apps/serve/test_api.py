"""The REST API of mmccd.apps.serve over real connections, with a quick engine."""

from __future__ import annotations

import http.client
import io
import json
import logging
import stat
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tests.apps.serve.fake import REFUSAL, STUDIES, Served, fake_runner, served, wait_for
from tests.field.test_studies import SECOND_VISIT, SECRETS, add

from mmccd import NOTICE
from mmccd.apps.serve.store import JOBS
from mmccd.apps.serve.worker import run_for_the_page
from mmccd.core import Console, ModelError, Settings
from mmccd.jobs import Outcome, Runner, Task
from mmccd.pipeline import AnomalyPipeline

PATIENT = "MUELLER_ANNA_1950-01-01.nii.gz"
HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "served") as running:
        yield running


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Served]:
    """A scan takes two seconds."""
    with served(tmp_path / "slow", fake_runner(2.0), max_queue=4) as running:
        yield running


def code(answer: httpx.Response) -> str:
    found = answer.json()["error"]
    assert set(found) == {"code", "exit_code", "message"}
    assert "\n" not in found["message"]
    return str(found["code"])


class TestScans:
    def test_from_the_upload_to_the_results(self, server: Served) -> None:
        given = server.upload(PATIENT)
        assert given["name"] == PATIENT
        assert len(given["id"]) == 32
        done = server.wait(given["id"])
        assert done["state"] == "done"
        assert done["error"] is None
        assert done["deleted"] > done["created"]
        files = {
            one["name"]: one["size"]
            for one in server.client.get(f"/api/scans/{done['id']}/files").json()
        }
        assert {"anomaly_map.nii.gz", "segmentation.nii.gz", "report.html", "report.json"} <= set(
            files
        )
        for name, size in files.items():
            content = server.client.get(f"/api/scans/{done['id']}/files/{name}")
            assert content.status_code == 200
            assert len(content.content) == size

    def test_the_zip_holds_every_file(self, server: Served) -> None:
        scan = server.wait(server.upload()["id"])
        answer = server.client.get(f"/api/scans/{scan['id']}/download")
        assert f"mmccd-{scan['id'][:8]}.zip" in answer.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            names = {name.partition("/")[2] for name in archive.namelist()}
        listed = {one["name"] for one in server.client.get(f"/api/scans/{scan['id']}/files").json()}
        assert names == listed
        again = server.client.get(f"/api/scans/{scan['id']}/download")
        assert again.content == answer.content

    def test_what_the_page_shows(self, server: Served) -> None:
        scan = server.wait(server.upload()["id"])
        place = f"/api/scans/{scan['id']}/view"
        figures = server.client.get(f"{place}/viewer.json").json()
        assert figures["volumes"] == ["flair", "map", "brain", "returned"]
        assert set(figures["points"]) == {"specific", "balanced", "sensitive"}
        assert figures["anomalous_ml"] == scan["summary"]["volumes_ml"]["anomalous"]
        for name in figures["volumes"]:
            assert server.client.get(f"{place}/{name}.nii.gz").content[:2] == b"\x1f\x8b"

    def test_progress_is_told(self, slow: Served) -> None:
        scan_id = slow.upload()["id"]
        seen = slow.wait(scan_id, lambda scan: bool(scan["share"]))
        assert (seen["state"], seen["stage"]) == ("running", "score")
        assert seen["seconds_left"] > 0
        assert slow.wait(scan_id)["seconds_left"] is None

    def test_the_queue_is_in_order(self, tmp_path: Path) -> None:
        did: list[str] = []
        with served(tmp_path, fake_runner(0.3, did)) as running:
            given = [running.upload()["id"] for _ in range(4)]
            assert [running.scan(one)["place"] for one in given[2:]] == [2, 3]
            running.wait(given[-1])
        assert did == given

    def test_several_dicom_files_are_one_scan(self, server: Served) -> None:
        files = [("files", (f"IM{n}", b"slice")) for n in range(5)]
        hidden = [("files", (name, b"x")) for name in (".DS_Store", "Thumbs.db", "DICOMDIR")]
        answer = server.client.post("/api/scans", files=files + hidden, data={"name": "study\n1"})
        assert answer.status_code == 201
        assert (answer.json()["name"], answer.json()["files"]) == ("study 1", 5)
        stored = server.store.folder / JOBS / answer.json()["id"] / "input"
        assert sorted(path.name for path in stored.iterdir()) == [f"{n:06d}.dcm" for n in range(5)]

    def test_the_content_is_kept_to_the_byte(self, server: Served) -> None:
        content = np.random.default_rng(0).bytes(3_000_001)
        scan = server.upload(content=content)
        assert scan["size"] == len(content)
        (stored,) = (server.store.folder / JOBS / scan["id"] / "input").iterdir()
        assert stored.read_bytes() == content


class TestRefusals:
    def test_of_the_checks(self, server: Served) -> None:
        scan = server.wait(server.upload(content=b"broken")["id"])
        assert scan["state"] == "refused"
        assert scan["error"]["code"] == "contrast.not_flair"
        assert scan["error"]["exit_code"] == 4
        assert scan["error"]["message"] == f"000000.nii.gz: {REFUSAL} (scan {scan['id'][:8]})"
        answer = server.client.get(f"/api/scans/{scan['id']}/files")
        assert (answer.status_code, code(answer)) == (409, "serve.not_now")

    def test_unchecked(self, server: Served) -> None:
        scan = server.wait(server.upload(content=b"broken")["id"])
        again = server.client.post(f"/api/scans/{scan['id']}/again?unchecked=true").json()
        assert again["unchecked"]
        assert again["error"] is None
        assert server.wait(scan["id"])["state"] == "done"
        answer = server.client.post(f"/api/scans/{scan['id']}/again")
        assert (answer.status_code, code(answer)) == (409, "serve.not_now")

    @pytest.mark.parametrize(
        ("files", "status", "expected"),
        [
            ([("a.nii", b"1"), ("b.nii", b"2")], 422, "serve.several"),
            ([(".hidden", b"1")], 422, "serve.no_file"),
        ],
    )
    def test_forms(
        self, server: Served, files: list[tuple[str, bytes]], status: int, expected: str
    ) -> None:
        answer = server.client.post("/api/scans", files=[("files", one) for one in files])
        assert (answer.status_code, code(answer)) == (status, expected)
        assert list((server.store.folder / "incoming").iterdir()) == []

    @pytest.mark.parametrize(
        ("method", "path", "status", "expected"),
        [
            ("GET", "/api/scans/0123", 404, "serve.unknown"),
            ("DELETE", "/api/scans/0123", 404, "serve.unknown"),
            ("GET", "/api/nothing", 404, "serve.address"),
            ("PUT", "/api/scans", 405, "serve.address"),
            ("POST", "/api/scans", 415, "serve.no_form"),
            ("POST", "/api/scans/0123/again?unchecked=perhaps", 422, "serve.request"),
            ("GET", "/static/../store.py", 404, "serve.address"),
        ],
    )
    def test_requests(
        self, server: Served, method: str, path: str, status: int, expected: str
    ) -> None:
        answer = server.client.request(method, path)
        assert (answer.status_code, code(answer)) == (status, expected)

    @pytest.mark.parametrize(
        "name", ["../../job.json", "%2e%2e/%2e%2e/job.json", "job.json", "x.html"]
    )
    def test_other_files(self, server: Served, name: str) -> None:
        scan = server.wait(server.upload()["id"])
        for kind in ("files", "view"):
            answer = server.client.get(f"/api/scans/{scan['id']}/{kind}/{name}")
            assert answer.status_code == 404

    def test_an_upload_that_breaks_off(self, server: Served) -> None:
        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = server.client.post("/api/scans", content=HEAD + b"half", headers=kind)
        assert (answer.status_code, code(answer)) == (400, "serve.broken")
        assert server.client.get("/api/scans").json()["scans"] == []
        assert list((server.store.folder / "incoming").iterdir()) == []

    def test_the_queue_is_full(self, slow: Served) -> None:
        for _ in range(4):
            slow.upload()
        answer = slow.client.post("/api/scans", files={"files": ("a.nii", b"one more")})
        assert (answer.status_code, code(answer)) == (429, "serve.queue_full")


class TestTooLarge:
    def test_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        """By the default of 2 GB: the answer comes though nothing of the body was sent."""
        with served(tmp_path) as running:
            connection = http.client.HTTPConnection(urlsplit(running.address).netloc, timeout=10)
            connection.putrequest("POST", "/api/scans")
            connection.putheader("Content-Type", "multipart/form-data; boundary=x")
            connection.putheader("Content-Length", str(2**31 + 2**25))
            connection.endheaders()
            answer = connection.getresponse()
            assert answer.status == 413
            assert json.load(answer)["error"]["code"] == "serve.too_large"
            connection.close()

    def test_is_cut_off_where_no_length_is_told(self, tmp_path: Path) -> None:
        """It never takes more of the disk than the limit."""
        seen: list[int] = []
        with served(tmp_path, max_mib=4) as running:

            def body() -> Iterator[bytes]:
                yield HEAD
                for _ in range(400):
                    yield bytes(2**20)
                    seen.append(
                        sum(file.stat().st_size for file in (tmp_path / "incoming").rglob("*.nii"))
                    )

            kind = {"content-type": "multipart/form-data; boundary=x"}
            try:
                answer = running.client.post("/api/scans", content=body(), headers=kind)
                assert (answer.status_code, code(answer)) == (413, "serve.too_large")
            except httpx.TransportError:
                pass  # the server has closed the connection while we were sending
            assert len(seen) < 400
            assert max(seen) <= 4 * 2**20
            wait_for(
                lambda: {"left": len(list((tmp_path / "incoming").iterdir()))},
                lambda found: found["left"] == 0,
            )


class TestCancelAndDelete:
    def test_cancel_at_work(self, slow: Served) -> None:
        first, second = slow.upload()["id"], slow.upload()["id"]
        slow.wait(first, lambda scan: scan["stage"] is not None)
        assert slow.client.post(f"/api/scans/{first}/cancel").json()["state"] == "cancelled"
        assert slow.wait(second)["state"] == "done"
        assert slow.scan(first)["state"] == "cancelled"
        assert slow.client.post(f"/api/scans/{first}/again").json()["state"] == "waiting"
        assert slow.wait(first)["state"] == "done"

    def test_again_at_once_is_another_run(self, slow: Served) -> None:
        """What the first run says after it was cancelled does not count."""
        scan_id = slow.upload(content=b"broken")["id"]
        slow.wait(scan_id, lambda scan: scan["stage"] == "score")
        slow.client.post(f"/api/scans/{scan_id}/cancel")
        again = slow.client.post(f"/api/scans/{scan_id}/again?unchecked=true").json()
        assert (again["state"], again["stage"]) == ("waiting", None)
        assert slow.wait(scan_id)["state"] == "done"

    def test_cancel_while_it_waits(self, slow: Served) -> None:
        slow.upload()
        second = slow.upload()["id"]
        assert slow.client.post(f"/api/scans/{second}/cancel").json()["state"] == "cancelled"

    @pytest.mark.parametrize("at_work", [True, False])
    def test_delete_leaves_nothing(self, slow: Served, at_work: bool) -> None:
        scan_id = slow.upload()["id"]
        if at_work:
            slow.wait(scan_id, lambda scan: scan["stage"] is not None)
        else:
            slow.wait(scan_id)
        assert slow.client.delete(f"/api/scans/{scan_id}").status_code == 204
        assert slow.client.get(f"/api/scans/{scan_id}").status_code == 404
        assert slow.wait(slow.upload()["id"])["state"] == "done", "the engine goes on"
        assert not (slow.store.folder / JOBS / scan_id).exists()

    def test_what_is_over_is_deleted_in_time(self, tmp_path: Path) -> None:
        with served(tmp_path, keep_h=1.0) as running:
            scan = running.wait(running.upload()["id"])
            running.store.expire(1.0)
            assert running.scan(scan["id"])["state"] == "done"
            time.sleep(0.01)
            running.store.expire(1e-9)
            assert running.client.get(f"/api/scans/{scan['id']}").status_code == 404


class TestRestart:
    def test_the_queue_stays_and_what_was_open_is_done_again(self, tmp_path: Path) -> None:
        with served(tmp_path, fake_runner(1.0)) as running:
            done = running.wait(running.upload("first.nii")["id"])
            open_ones = [running.upload(f"{n}.nii")["id"] for n in range(2)]
            running.wait(open_ones[0], lambda scan: scan["stage"] is not None)
        did: list[str] = []
        with served(tmp_path, fake_runner(0.0, did)) as running:
            names = [scan["name"] for scan in running.client.get("/api/scans").json()["scans"]]
            assert names == ["first.nii", "0.nii", "1.nii"]
            assert running.scan(done["id"]) == done
            for scan_id in open_ones:
                assert running.wait(scan_id)["state"] == "done"
        assert did == open_ones

    def test_damaged_folders_are_removed(self, tmp_path: Path) -> None:
        with served(tmp_path) as running:
            good = running.wait(running.upload()["id"])["id"]
        for name in ("empty", "damaged"):
            (tmp_path / JOBS / name).mkdir()
        (tmp_path / JOBS / "damaged" / "job.json").write_text('{"version": 1, "id"')
        (tmp_path / "incoming" / "half").mkdir()
        with served(tmp_path) as running:
            assert [scan["id"] for scan in running.client.get("/api/scans").json()["scans"]] == [
                good
            ]
        assert [path.name for path in (tmp_path / JOBS).iterdir()] == [good]
        assert list((tmp_path / "incoming").iterdir()) == []


class TestChoice:
    """An upload of which it is not clear which series is meant."""

    def test_several_studies(self, tmp_path: Path) -> None:
        settings: list[Settings] = []
        with served(tmp_path, fake_runner(settings=settings)) as running:
            scan = running.wait(running.upload("a.zip", b"studies")["id"])
            assert (scan["state"], scan["error"]["code"]) == ("refused", "dicom.several_studies")
            assert [one["description"] for one in scan["choices"]] == [
                one.description for one in STUDIES
            ]
            assert scan["choices"][2]["doubt"] == STUDIES[2].doubt
            assert "1.2." not in json.dumps(scan), "no UID"
            wanted = scan["choices"][1]["id"]
            again = running.client.post(f"/api/scans/{scan['id']}/again?series={wanted}").json()
            assert (again["series"], again["error"]) == (wanted, None)
            done = running.wait(scan["id"])
        assert (done["state"], done["series"]) == ("done", wanted)
        assert done["choices"] == scan["choices"], "another one can be chosen"
        assert [one.series for one in settings] == ["auto", "uid=1.2.2.5"]

    def test_another_series_of_a_scan_that_is_done(self, server: Served) -> None:
        scan = server.wait(server.upload("a.zip", b"series!")["id"])
        assert scan["state"] == "done"
        place = f"/api/scans/{scan['id']}/again"
        assert code(server.client.post(place)) == "serve.not_now"
        wanted = scan["choices"][1]["id"]
        again = server.client.post(f"{place}?series={wanted}")
        assert again.json()["state"] in ("waiting", "running")
        assert server.wait(scan["id"])["series"] == wanted
        assert code(server.client.post(f"{place}?series={wanted}")) == "serve.not_now", "it is that"

    def test_one_that_is_not_there(self, server: Served) -> None:
        scan = server.wait(server.upload("a.zip", b"studies")["id"])
        answer = server.client.post(f"/api/scans/{scan['id']}/again?series=1.2.3")
        assert (answer.status_code, code(answer)) == (404, "serve.no_series")
        assert server.scan(scan["id"])["state"] == "refused"

    def test_it_outlives_a_restart(self, tmp_path: Path) -> None:
        with served(tmp_path, fake_runner()) as running:
            scan = running.wait(running.upload("a.zip", b"studies")["id"])
        with served(tmp_path, fake_runner(2.0)) as running:
            assert running.scan(scan["id"]) == scan
            wanted = scan["choices"][0]["id"]
            running.client.post(f"/api/scans/{scan['id']}/again?series={wanted}")
            running.wait(scan["id"], lambda one: one["stage"] is not None)
        settings: list[Settings] = []
        with served(tmp_path, fake_runner(settings=settings)) as running:
            done = running.wait(scan["id"])
            assert (done["state"], done["series"]) == ("done", wanted)
        assert [one.series for one in settings] == ["uid=1.2.1.3"]

    def test_a_record_from_before_there_were_choices(self, tmp_path: Path) -> None:
        with served(tmp_path) as running:
            scan = running.wait(running.upload()["id"])
        path = tmp_path / JOBS / scan["id"] / "job.json"
        record = json.loads(path.read_text())
        del record["choices"], record["series"]
        path.write_text(json.dumps(record))
        with served(tmp_path) as running:
            assert running.scan(scan["id"]) == scan

    def test_true_files(self, tmp_path: Path) -> None:
        """Two visits of a patient in one zip, listed by what the working process runs, and the
        chosen one taken.
        """
        folder = tmp_path / "visits"
        add(folder, 3)
        add(folder, 4, **SECOND_VISIT)
        archive = tmp_path / "visits.zip"
        with zipfile.ZipFile(archive, "w") as content:
            for file in folder.iterdir():
                content.write(file, file.name)
        tasks: list[Task] = []
        with served(tmp_path / "served", without_models(tasks)) as running:
            scan = running.wait(running.upload("visits.zip", archive.read_bytes())["id"])
            assert scan["error"]["code"] == "dicom.several_studies"
            told = [
                (one["date"], one["study_description"], one["images"]) for one in scan["choices"]
            ]
            assert told == [("2024-06-11", "Brain again", 6), ("2023-01-05", "Brain", 6)]
            assert not [word for word in SECRETS if word in json.dumps(scan).lower()]
            wanted = scan["choices"][1]["id"]
            running.client.post(f"/api/scans/{scan['id']}/again?series={wanted}")
            assert running.wait(scan["id"])["error"]["code"] == "bundle.missing"
        assert [one.settings.series for one in tasks] == ["auto", "uid=1.2.31.3"]


def without_models(seen: list[Task]) -> Runner:
    """What the working process runs, up to the loading of models."""

    def no_models() -> AnomalyPipeline:
        raise ModelError("there are no models", code="bundle.missing")

    def run(tasks: Sequence[Task]) -> Iterator[Outcome | None]:
        for task in tasks:
            seen.append(task)
            yield run_for_the_page(task, no_models, Console())

    return run  # type: ignore[return-value]


class TestPrivacy:
    @pytest.mark.parametrize("when", ["after a scan", "at the start"])
    def test_what_a_killed_process_has_unpacked(self, tmp_path: Path, when: str) -> None:
        """It lies in the server's folder, and is removed."""
        left, other = tmp_path / "tmp" / "mmccd-abc" / "000001.dcm", tmp_path / "tmp" / "other"
        for file in (left, other):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        with served(tmp_path) as running:
            if when == "after a scan":
                left.parent.mkdir(exist_ok=True)
                left.touch()
                running.wait(running.upload()["id"])
                running.wait(running.upload()["id"])
            assert not left.parent.exists()
        assert other.exists(), "what a library keeps stays"

    def test_no_name_in_paths_and_log(
        self, server: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        scan = server.wait(server.upload(PATIENT)["id"])
        server.wait(server.upload(PATIENT, b"broken")["id"])
        server.client.get(f"/api/scans/{scan['id']}/download")
        assert "MUELLER" not in caplog.text
        assert not [path for path in server.store.folder.rglob("*") if "MUELLER" in path.name]
        told = [
            path for path in server.store.folder.rglob("*.json") if "MUELLER" in path.read_text()
        ]
        assert {path.name for path in told} == {"job.json"}

    def test_nobody_else_may_read_the_folder(self, server: Served) -> None:
        assert stat.S_IMODE(server.store.folder.stat().st_mode) == 0o700


class TestGuard:
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "192.168.0.1", ""])
    def test_other_names_are_refused(self, server: Served, host: str) -> None:
        """A site whose name is made to point here reads nothing, and not the page either."""
        for path in ("/", "/api/scans"):
            answer = server.client.get(path, headers={"host": host})
            assert (answer.status_code, code(answer)) == (421, "serve.host")

    @pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:80", "LOCALHOST"])
    def test_own_names_are_let_in(self, server: Served, host: str) -> None:
        assert server.client.get("/api/scans", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"origin": "http://localhost:9"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ],
    )
    def test_other_sites_are_refused(self, server: Served, headers: dict[str, str]) -> None:
        scan = server.wait(server.upload()["id"])
        for method, path in (
            ("POST", "/api/scans"),
            ("DELETE", f"/api/scans/{scan['id']}"),
            ("GET", "/api/scans"),
        ):
            answer = server.client.request(method, path, headers=headers)
            assert (answer.status_code, code(answer)) == (403, "serve.origin")
        assert server.scan(scan["id"])["state"] == "done"

    def test_the_own_page_is_let_in(self, server: Served) -> None:
        headers = {"origin": server.address, "sec-fetch-site": "same-origin"}
        assert server.client.get("/api/scans", headers=headers).status_code == 200

    def test_the_own_page_behind_a_proxy_with_tls(self, server: Served) -> None:
        headers = {"origin": "https://localhost", "host": "localhost"}
        assert server.client.get("/api/scans", headers=headers).status_code == 200

    def test_headers(self, server: Served) -> None:
        for path in ("/", "/static/page.js", "/api/scans", "/api/nothing"):
            headers = server.client.get(path).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"

    def test_a_report_reaches_nothing_of_the_server(self, server: Served) -> None:
        scan = server.wait(server.upload()["id"])
        answer = server.client.get(f"/api/scans/{scan['id']}/files/report.html")
        assert "sandbox allow-scripts" in answer.headers["content-security-policy"]
        assert "'self'" not in answer.headers["content-security-policy"]


class TestToken:
    TOKEN = "a" * 43

    @pytest.fixture
    def asking(self, tmp_path: Path) -> Iterator[Served]:
        with served(tmp_path, token=self.TOKEN) as running:
            yield running

    @pytest.mark.parametrize("given", [None, "Bearer other", f"Basic {TOKEN}", "Bearer"])
    def test_without_it(self, asking: Served, given: str | None) -> None:
        headers = {"authorization": given} if given else {}
        for method, path in (("GET", "/api/scans"), ("GET", "/api/about"), ("POST", "/api/scans")):
            answer = asking.client.request(method, path, headers=headers)
            assert (answer.status_code, code(answer)) == (401, "serve.token")
        assert asking.client.get("/").status_code == 200, "the page itself holds nothing"

    def test_with_it(self, asking: Served) -> None:
        headers = {"authorization": f"Bearer {self.TOKEN}"}
        assert asking.client.get("/api/scans", headers=headers).status_code == 200

    def test_it_becomes_a_cookie(self, asking: Served) -> None:
        assert asking.client.post("/api/session", json={"token": "other"}).status_code == 401
        answer = asking.client.post("/api/session", json={"token": self.TOKEN})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert asking.client.get("/api/scans").status_code == 200


def test_openapi_knows_every_answer(server: Served) -> None:
    found = server.client.get("/api/openapi.json").json()
    assert found["info"]["description"] == NOTICE
    assert set(found["paths"]["/api/scans/{scan_id}"]) == {"get", "delete"}
    form = found["paths"]["/api/scans"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["required"] == ["files"]
    for methods in found["paths"].values():
        for one in methods.values():
            assert {"4XX", "5XX"} <= set(one["responses"])


def test_ten_uploads_at_once(tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(2_000_000)
    with served(tmp_path, fake_runner(0.05)) as running:
        made: list[str] = []
        threads = [
            threading.Thread(target=lambda: made.append(running.upload(content=content)["id"]))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == 10
        assert {running.wait(one)["state"] for one in made} == {"done"}
