"""TLS in both directions: dcmtk, Orthanc, and callers without the right certificate."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.apps.pacs.dimse.parties import (
    HERE,
    STUDY,
    dcmtk,
    nothing,
    receiving,
    same_objects,
    settings,
    study,
)
from tests.apps.pacs.orthanc import free_port, running_orthanc

from mmccd.apps.pacs.archive import UnreachableError
from mmccd.apps.pacs.dimse.ways import opened
from mmccd.core import UsageError


@dataclass(frozen=True)
class Pair:
    """Files of a certificate, its key, and the authority that has signed it."""

    cert: Path
    key: Path
    authority: Path

    def settings(self) -> dict[str, Any]:
        return {
            "tls": True,
            "tls_ca": str(self.authority),
            "tls_cert": str(self.cert),
            "tls_key": str(self.key),
        }


def openssl(*words: object, data: bytes = b"") -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, input=data)


def authority(folder: Path) -> Pair:
    folder.mkdir()
    key, cert = folder / "ca.key", folder / "ca.pem"
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=authority",
        "-keyout", key, "-out", cert,
    )  # fmt: skip
    return Pair(cert, key, cert)


def pair(folder: Path, name: str, by: Pair, host: str = f"IP:{HERE}") -> Pair:
    key, ask, cert = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.pem"
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", ask
    )
    (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
    openssl(
        "x509", "-req", "-in", ask, "-CA", by.cert, "-CAkey", by.key, "-CAcreateserial",
        "-days", 2, "-extfile", folder / f"{name}.ext", "-out", cert,
    )  # fmt: skip
    return Pair(cert, key, by.cert)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("tls") / "a"
    return pair(folder, "mmccd", authority(folder))


@pytest.fixture(scope="module")
def theirs(ours: Pair) -> Pair:
    by = Pair(ours.authority, ours.authority.with_suffix(".key"), ours.authority)
    return pair(ours.cert.parent, "pacs", by)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Of an authority that nobody knows."""
    folder = tmp_path_factory.mktemp("tls") / "b"
    return pair(folder, "stranger", authority(folder))


def echo(port: int, *words: object) -> int:
    return dcmtk("echoscu", "-aet", "SCANNER", "-aec", "MMCCD", *words, HERE, port).returncode


def with_pair(one: Pair, known: Path) -> list[object]:
    return ["+tls", one.key, one.cert, "+cf", known]


class TestListening:
    def test_who_has_a_certificate(
        self, tmp_path: Path, ours: Pair, theirs: Pair, stranger: Pair,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        sent = study(tmp_path / "sent")
        with receiving(tmp_path / "state", **ours.settings()) as (ways, port):
            words = with_pair(theirs, ours.authority)
            done = dcmtk("storescu", "-aet", "SCANNER", "-aec", "MMCCD", *words, HERE, port, *sent)
            assert done.returncode == 0, done.stdout
            assert ways.source is not None
            assert [one.instances for one in ways.source.studies(date.today())] == [6]
            assert echo(port), "in the clear"
            assert echo(port, "+tla", "+cf", ours.authority), "without a certificate"
            assert echo(port, *with_pair(stranger, ours.authority)), "of another authority"
            assert echo(port, *words) == 0
        assert "a connection from 127.0.0.1 failed" in caplog.text

    def test_who_does_not_shake_hands_holds_nobody(self, tmp_path: Path, ours: Pair) -> None:
        """In pynetdicom's own server the first silent connection stops all others."""
        words = {**ours.settings(), "tls_ca": "", "silence_s": 3}
        with receiving(tmp_path, **words) as (_, port):
            silent = [socket.create_connection((HERE, port)) for _ in range(3)]
            began = time.monotonic()
            assert echo(port, "+tla", "+cf", ours.authority) == 0
            assert time.monotonic() - began < 2.5
            for one in silent:
                one.settimeout(10)
                assert one.recv(1) == b""
                one.close()

    @pytest.mark.parametrize("name", ["tls_ca", "tls_cert", "tls_key"])
    def test_files_that_are_none(self, tmp_path: Path, ours: Pair, name: str) -> None:
        (tmp_path / "text").write_text("no certificate")
        words = {**ours.settings(), name: str(tmp_path / "text")}
        with (
            pytest.raises(UsageError, match="cannot be used; expected (a )?certificate"),
            receiving(tmp_path / "state", **words),
        ):
            pass

    def test_a_key_with_a_password(self, tmp_path: Path, ours: Pair) -> None:
        """Nobody is asked for it at the terminal."""
        locked = tmp_path / "locked.key"
        openssl("rsa", "-aes256", "-passout", "pass:secret", "-in", ours.key, "-out", locked)
        words = {**ours.settings(), "tls_key": str(locked)}
        with (
            pytest.raises(UsageError, match="without a password"),
            receiving(tmp_path / "state", **words),
        ):
            pass


@pytest.mark.parametrize("way", ["move", "get"])
def test_orthanc(
    tmp_path: Path, ours: Pair, theirs: Pair, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked, sending and storing over TLS alone, each side with a certificate."""
    caplog.set_level(logging.INFO)
    listen = free_port()
    modality = {"AET": "MMCCD", "Host": HERE, "Port": listen, "UseDicomTls": True}
    words = {
        "DicomAet": "PACS",
        "DicomModalities": {"mmccd": {**modality, "AllowStorageCommitment": True}},
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.cert),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(ours.authority),
        "DicomTlsRemoteCertificateRequired": True,
    }
    sent = study(tmp_path / "sent", slices=10)
    with running_orthanc(tmp_path / "archive", **words) as archive:
        tls = with_pair(theirs, ours.authority)
        done = dcmtk("storescu", "-aet", "MMCCD", "-aec", "PACS", *tls, HERE, archive.dicom, *sent)
        assert done.returncode == 0, done.stdout
        name = f"PACS@{HERE}:{archive.dicom}"
        given = {"source": way, "peer": name, "store": name, "commit": True, **ours.settings()}
        chosen = settings(tmp_path / "state", listen=f"{HERE}:{listen}", **given)
        with opened(chosen) as ways:
            assert ways.source is not None
            series = ways.source.series(STUDY)
            (tmp_path / "out").mkdir()
            assert ways.source.fetch(STUDY, series, tmp_path / "out", nothing) == 10
            same_objects(sorted((tmp_path / "out").iterdir()), sent)
            ways.destinations[0].store(STUDY, sent[:1])
        assert json.dumps(archive.ask("system"))
    assert f"on port {listen} (TLS)" in caplog.text


class TestCalling:
    def test_whom_we_do_not_trust(self, tmp_path: Path, ours: Pair, stranger: Pair) -> None:
        """A certificate of another authority, and one of another host."""
        with receiving(tmp_path / "a", **{**stranger.settings(), "tls_ca": ""}) as (_, port):
            self._refused(tmp_path, ours, f"{HERE}:{port}", "certificate cannot be trusted")
        by = Pair(ours.authority, ours.authority.with_suffix(".key"), ours.authority)
        other = pair(tmp_path, "other", by, "DNS:pacs.example")
        with receiving(tmp_path / "b", **{**other.settings(), "tls_ca": ""}) as (_, port):
            self._refused(tmp_path, ours, f"{HERE}:{port}", "IP address mismatch")

    def test_who_does_not_trust_us(self, tmp_path: Path, ours: Pair, stranger: Pair) -> None:
        with receiving(tmp_path / "a", **ours.settings()) as (_, port):
            us = Pair(stranger.cert, stranger.key, ours.authority)
            self._refused(tmp_path, us, f"{HERE}:{port}", "takes our certificate")

    def test_who_speaks_no_tls(self, tmp_path: Path, ours: Pair) -> None:
        with receiving(tmp_path / "a", silence_s=2) as (_, port):
            self._refused(tmp_path, ours, f"{HERE}:{port}", "over TLS; is it|no TLS")

    def _refused(self, folder: Path, one: Pair, address: str, message: str) -> None:
        words = {**one.settings(), "source": "get", "peer": f"MMCCD@{address}", "silence_s": 3}
        with (
            opened(settings(folder / "state", ae_title="SCANNER", **words)) as ways,
            pytest.raises(UnreachableError, match=message),
        ):
            assert ways.source is not None
            ways.source.studies(date.today())
