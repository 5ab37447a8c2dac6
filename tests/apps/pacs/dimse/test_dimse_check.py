"""What --check says of DIMSE: a line each, and nothing is stored."""

from __future__ import annotations

import socket
from pathlib import Path

from pynetdicom import evt
from tests.apps.pacs.dimse.parties import HERE, peer, settings, study
from tests.apps.pacs.orthanc import free_port, running_orthanc

from mmccd.apps.pacs.dimse.check import check
from mmccd.apps.pacs.dimse.uids import ECHO, FIND, MOVE, OWN


def said(state: Path, **words: object) -> dict[str, tuple[bool, str]]:
    lines = check(settings(state, **words))
    assert all("\n" not in text for _, _, text in lines)
    return {what: (ok, text) for what, ok, text in lines}


def test_orthanc(tmp_path: Path) -> None:
    """Everything works; and where the archive does not know us, that is said."""
    listen = free_port()
    modality = {"AET": "MMCCD", "Host": HERE, "Port": listen, "AllowStorageCommitment": True}
    words = {
        "DicomAet": "PACS",
        "DicomModalities": {"mmccd": modality},
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
    }
    sent = study(tmp_path / "sent")
    with running_orthanc(tmp_path / "archive", **words) as archive:
        name = f"PACS@{HERE}:{archive.dicom}"
        given = {"source": "move", "peer": name, "store": name, "commit": True}
        found = said(tmp_path, listen=f"{HERE}:{listen}", **given)
        assert all(ok for ok, _ in found.values()), found
        assert found[f"{name} sends an object"][1].startswith("no MR study to try it with; asked")
        archive.send(tmp_path / "sent")
        for way in ("move", "get"):
            words = {**given, "source": way, "listen": f"{HERE}:{listen}"}
            ok, text = said(tmp_path, **words)[f"{name} sends an object"]
            assert ok and 600 < int(text.removesuffix(" bytes")) < sent[0].stat().st_size
        ok, text = said(tmp_path, listen=f"{HERE}:{listen}", ae_title="OTHER", **given)[
            f"{name} sends an object"
        ]
        assert not ok
        assert "sent 0 of a series' 1 objects" in text
        assert list(found) == [
            f"listen {HERE}:{listen}",
            f"{name} echo",
            f"{name} query",
            f"{name} C-MOVE",
            f"{name} C-GET",
            f"{name} sends an object",
            f"{name} stores Segmentation Storage",
            f"{name} stores Comprehensive 3D SR Storage",
            f"{name} stores Secondary Capture Image Storage",
            f"{name} storage commitment",
        ]
        assert found[f"listen {HERE}:{listen}"][1] == "free; PACS may call"
        assert found[f"{name} C-GET"][1] == "offered, and not used"
        assert len(archive.ask("instances")) == 6, "nothing was stored"


def test_what_is_not_offered(tmp_path: Path) -> None:
    def destination_unknown(event: object) -> object:
        yield None, None

    handlers = [
        (evt.EVT_C_ECHO, lambda event: 0),
        (evt.EVT_C_FIND, lambda event: iter([])),
        (evt.EVT_C_MOVE, destination_unknown),
    ]
    with peer([ECHO, FIND, MOVE, OWN[0]], handlers) as port, socket.socket() as other:
        other.bind((HERE, 0))
        other.listen()
        listen = f"{HERE}:{other.getsockname()[1]}"
        name = f"PACS@{HERE}:{port}"
        given = {"source": "move", "peer": name, "store": name, "commit": True}
        found = said(tmp_path, listen=listen, **given)
    assert found[f"listen {listen}"][0] is False
    assert "in use" in found[f"listen {listen}"][1]
    assert found[f"{name} sends an object"][0] is False
    assert "does not know where MMCCD is (status A801)" in found[f"{name} sends an object"][1]
    assert f"{name} C-GET" not in found
    assert found[f"{name} stores Segmentation Storage"][0] is True
    missing = "not offered; expected that it is; allow it in the archive"
    assert found[f"{name} stores Comprehensive 3D SR Storage"] == (False, missing)
    assert found[f"{name} storage commitment"] == (False, missing)


def test_nobody_is_there(tmp_path: Path) -> None:
    name = f"PACS@{HERE}:{free_port()}"
    found = said(tmp_path, source="get", peer=name, store=name)
    ((ok, text),) = found.values()
    assert not ok
    assert "cannot be reached (ConnectionRefusedError)" in text


def test_files_for_tls(tmp_path: Path) -> None:
    name = f"PACS@{HERE}:{free_port()}"
    found = said(tmp_path, source="get", peer=name, store=name, tls=True, tls_ca=__file__)
    assert not any(ok for ok, _ in found.values())
    assert all("cannot be used; expected certificates" in text for _, text in found.values())


def test_nothing_is_dimse(tmp_path: Path) -> None:
    assert said(tmp_path, url="http://127.0.0.1:9/x") == {}
