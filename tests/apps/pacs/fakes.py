"""An archive and a prediction that do, and fail, as a test tells them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mmccd.apps.pacs.multipart import pack
from mmccd.apps.pacs.service import Service
from mmccd.jobs import study_name
from mmccd.outputs import MANUFACTURER

UID = "1.2.826.0.1.3680043.8.498.1"
Make = Callable[..., Service]


@dataclass
class FakeSeries:
    """A series as the archive tells of it, and its objects."""

    uid: str
    files: list[bytes]
    description: str = ""
    body_part: str = ""
    modality: str = "MR"
    manufacturer: str = "Scanners"
    promised: int | None = None

    def entry(self) -> dict[str, Any]:
        count = len(self.files) if self.promised is None else self.promised
        return {
            "0020000E": value(self.uid),
            "00080060": value(self.modality),
            "00080070": value(self.manufacturer),
            "00201209": value(count),
            **({"0008103E": value(self.description)} if self.description else {}),
            **({"00180015": value(self.body_part)} if self.body_part else {}),
        }


@dataclass
class FakeStudy:
    """A study: what came from the scanner, and what was stored in it."""

    series: list[FakeSeries]
    stored: list[bytes] = field(default_factory=list)

    @property
    def results(self) -> list[FakeSeries]:
        """Of each stored body, one series of each kind."""
        ours = {"manufacturer": MANUFACTURER}
        return [
            FakeSeries(f"2.25.{number}{kind}", [b"result"], modality=name, **ours)
            for number, _ in enumerate(self.stored, 1)
            for kind, name in enumerate(("SEG", "OT", "SR"))
        ]


class FakeArchive(ThreadingHTTPServer):
    """A DICOMweb service with MR studies of one series; what goes wrong is set by the test."""

    daemon_threads = True

    def __init__(self, files: list[bytes]) -> None:
        self.files = files
        self.studies: dict[str, FakeStudy] = {}
        self.query_status, self.fetch_status, self.store_status = 200, 200, 200
        self.store_answer: dict[str, Any] = {}
        self.cut = 0
        self.promised: int | None = None
        self.asked: list[str] = []
        self.authorization = ""
        self.add(UID)
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dicom-web"

    def add(self, uid: str, **values: Any) -> FakeStudy:
        """A further study."""
        self.studies[uid] = FakeStudy([FakeSeries(f"{uid}.5", self.files, **values)])
        return self.studies[uid]

    def fetched(self, uid: str = UID) -> list[str]:
        """The series of a study that were fetched, by what follows the study's UID."""
        paths = (re.fullmatch(rf"studies/{uid}/series/([0-9.]+)\?", path) for path in self.asked)
        return [found.group(1).removeprefix(f"{uid}.") for found in paths if found]

    def series_of(self, uid: str) -> list[FakeSeries]:
        study = self.studies[uid]
        if self.promised is not None:
            study.series[0].promised = self.promised
        return [*study.series, *study.results]


class _Handler(BaseHTTPRequestHandler):
    server: FakeArchive

    def do_GET(self) -> None:  # noqa: N802
        server = self.server
        path, _, query = self.path.removeprefix("/dicom-web/").partition("?")
        server.authorization = self.headers.get("Authorization", "")
        server.asked.append(f"{path}?{query}")
        if path == "studies":
            uids = list(server.studies) if "offset=0" in query else []
            self.entries([study_entry(uid, server.series_of(uid)) for uid in uids])
        elif found := re.fullmatch(r"studies/([0-9.]+)/series", path):
            self.entries([one.entry() for one in server.series_of(found.group(1))])
        elif found := re.fullmatch(r"studies/([0-9.]+)/series/([0-9.]+)(/instances)?(/.+)?", path):
            (series,) = [one for one in server.series_of(found[1]) if one.uid == found[2]]
            if found[3] and not found[4]:
                self.entries([{"00080018": value(f"{series.uid}.1")}])
                return
            files = series.files[:1] if found[4] else series.files
            files = server.files if series.uid.endswith(".5") and not found[4] else files
            body, kind = pack(files)
            self.answer(server.fetch_status, body[: len(body) - server.cut], kind)

    def do_POST(self) -> None:  # noqa: N802
        server, uid = self.server, self.path.rsplit("/", 1)[1]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.asked.append(f"store {uid}")
        if server.store_status == 200 and not server.store_answer:
            study = server.studies.setdefault(uid, FakeStudy([]))
            if body not in study.stored:  # the same objects, with the same UIDs
                study.stored.append(body)
        self.answer(server.store_status, json.dumps(server.store_answer).encode())

    def entries(self, content: list[dict[str, Any]]) -> None:
        self.answer(self.server.query_status, json.dumps(content).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/dicom+json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def value(content: object) -> dict[str, Any]:
    return {"Value": [content]}


def study_entry(uid: str, series: list[FakeSeries]) -> dict[str, Any]:
    counts = (one.entry()["00201209"]["Value"][0] for one in series)
    return {"0020000D": value(uid), "00201208": value(sum(counts))}


@contextmanager
def running(server: FakeArchive) -> Iterator[FakeArchive]:
    """It answers until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Application:
    """Stands for the prediction: fails as it is told, or writes an object, which is another one
    where its input is.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.seen: list[int] = []

    def __call__(self, name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        self.seen.append(len(list(source.iterdir())))
        beat()
        if self.error is not None:
            raise self.error
        digest = hashlib.sha256()
        for path in sorted(source.iterdir()):
            digest.update(path.read_bytes())
        (output / "dicom").mkdir(parents=True)
        (output / "dicom" / "segmentation.dcm").write_bytes(digest.hexdigest().encode())


def record(folder: Path, uid: str = UID) -> dict[str, Any]:
    """What the state file says of a study."""
    text = (folder / "state" / "status.json").read_text()
    assert uid not in text
    return dict(json.loads(text)["studies"][study_name(uid)])
