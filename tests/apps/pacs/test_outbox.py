"""mmccd.apps.pacs.outbox: parcels that vanish while somebody looks at them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mmccd.apps.pacs.outbox import Outbox, Parcel


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """With one parcel of five bytes."""
    file = tmp_path / "segmentation.dcm"
    file.write_bytes(b"12345")
    box = Outbox(tmp_path)
    box.open()
    box.put("study-1", "1.2.3", [file])
    return box


def test_its_size(outbox: Outbox) -> None:
    assert outbox.size == 5


def test_an_object_that_goes_in_the_meantime_has_no_size(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The courier removes a parcel between the listing and the look at its files."""
    (parcel,) = outbox.parcels()
    listed = parcel.files
    outbox.remove(parcel)
    monkeypatch.setattr(Parcel, "files", property(lambda _: listed))
    assert parcel.size == 0


def test_a_parcel_that_goes_in_the_meantime_is_no_trouble(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (parcel,) = outbox.parcels()
    found = list(parcel.folder.parent.iterdir())
    outbox.remove(parcel)
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(found))
    with caplog.at_level(logging.WARNING):
        assert outbox.parcels() == []
    assert not caplog.records


def test_a_damaged_one_is_said(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    (parcel,) = outbox.parcels()
    next(parcel.folder.glob("*.json")).write_text("{")
    with caplog.at_level(logging.WARNING):
        assert outbox.parcels() == []
    assert "cannot be used" in caplog.text
