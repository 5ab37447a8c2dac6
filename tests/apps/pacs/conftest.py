"""A service beside an archive on this machine that misbehaves as it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.pacs.fakes import Application, FakeArchive, running
from tests.io.dicom_files import write_series

from mmccd.apps.pacs.events import Events
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.service import Service
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.web import Archive


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The front end sends all lines to stderr, for good."""
    root, ours = logging.getLogger(), logging.getLogger("mmccd")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[FakeArchive]:
    files = [path.read_bytes() for path in sorted(write_series(tmp_path / "source").iterdir())]
    with running(FakeArchive(files)) as server:
        yield server


@pytest.fixture
def second(archive: FakeArchive) -> Iterator[FakeArchive]:
    """Another archive, which has no studies."""
    server = FakeArchive(archive.files)
    server.studies.clear()
    with running(server):
        yield server


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def make(
    tmp_path: Path, archive: FakeArchive, application: Application, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Service]]:
    """Makes a service on the archive, as after a restart; temporary files lie in ``tmp``, and none
    may stay.
    """
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("mmccd.apps.pacs.ledger._ENDING_S", 0.2)
    ledgers: list[Ledger] = []

    def service(events: Events | None = None, **settings: Any) -> Service:
        state = settings.get("state", tmp_path / "state")
        for ledger in ledgers:
            if ledger.settings.state == state:
                ledger.close()
        values = {"url": archive.url, "settle_s": 0, "retry_s": 0, "days": 0, "state": state}
        chosen = PacsSettings(**{**values, **settings})
        ledgers.append(Ledger(chosen))
        ledgers[-1].open()
        source, route = Archive(chosen), chosen.route
        destinations = [source] if route is None else [source, Archive(route)]
        return Service(chosen, source, destinations, ledgers[-1], application, events)

    yield service
    for ledger in ledgers:
        ledger.close()
    assert not list((tmp_path / "tmp").iterdir())
